"""The decoder: OpenCV's habits that would hurt a host, each shown to be cured."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aihub.errors import ConnectError, FormatError
from aihub.streams.capture import _Environment
from aihub.streams.decoder import OPTIONS, open_with_ffmpeg
from aihub.streams.sources import Source, parse_source
from tests.streams.conftest import GStreamerServer, h264
from tests.streams.fakes import spec
from tests.streams.raw_servers import free_port, serving, silent


def file_source(path: Path, query: str = "?pace=0") -> Source:
    return parse_source(spec(url=f"file:{path}{query}"), allow_files=True)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_silent_camera_does_not_keep_others_from_opening(clip: Path) -> None:
    """OpenCV holds a lock of its own during every open unless told not to."""
    faults: list[Exception] = []

    def open_silent(port: int) -> None:
        try:
            open_with_ffmpeg(Source(f"rtsp://127.0.0.1:{port}/x"), 0.8, 0.8)
        except ConnectError as error:
            faults.append(error)

    with serving(silent) as port:
        blocked = in_thread(lambda: open_silent(port))
        time.sleep(0.2)
        started = time.monotonic()
        open_with_ffmpeg(file_source(clip), 1.5, 1.5).release()
        assert time.monotonic() - started < 0.5
        assert blocked.is_alive()
        blocked.join(5)
    assert "does not play it within 800 ms" in str(faults[0])


def test_a_failing_open_prints_no_password(capfd: pytest.CaptureFixture[str]) -> None:
    source = Source(f"rtsp://127.0.0.1:{free_port()}/x", "admin", "s3cretword")
    with pytest.raises(ConnectError) as caught:
        open_with_ffmpeg(source, 1.0, 1.0)
    printed = capfd.readouterr()
    assert "s3cretword" not in printed.out + printed.err + str(caught.value)


def test_captures_with_equal_options_open_together() -> None:
    environment = _Environment(hold_s=5)
    with environment.reads("a"):
        second = environment.reads("a")
        thread = in_thread(second.__enter__)
        thread.join(2)
        assert not thread.is_alive()


def test_captures_with_other_options_wait_their_turn() -> None:
    environment, order = _Environment(hold_s=5), []

    def other() -> None:
        with environment.reads("b"):
            order.append(os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"])

    with environment.reads("a"):
        thread = in_thread(other)
        time.sleep(0.1)
        order.append(os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"])
    thread.join(2)
    assert order == ["a", "b"]


@pytest.mark.parametrize("before", [None, "rtsp_transport;udp"])
def test_the_environment_is_left_as_it_was_found(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    monkeypatch.setenv(name, before or "")
    if before is None:
        monkeypatch.delenv(name)
    environment = _Environment()
    for options in ("a", "b"):
        with environment.reads(options):
            assert os.environ[name] == options
        assert os.environ.get(name) == before


def test_a_capture_that_blocks_holds_nobody_up() -> None:
    environment = _Environment(hold_s=0.2)
    blocked = environment.reads("a")
    blocked.__enter__()  # never comes back
    started = time.monotonic()
    with environment.reads("b"):
        assert 0.1 < time.monotonic() - started < 5


def test_a_crowd_does_not_shut_out_the_one_with_other_options() -> None:
    environment, ending, opened = _Environment(hold_s=0.5), threading.Event(), threading.Event()

    def crowd() -> None:
        while not ending.is_set():
            with environment.reads("tcp"):
                time.sleep(0.01)

    def loner() -> None:
        with environment.reads("udp"):
            opened.set()

    threads = [in_thread(crowd) for _ in range(8)]
    time.sleep(0.05)
    in_thread(loner)
    assert opened.wait(2)
    ending.set()
    for thread in threads:
        thread.join(2)


def test_options_ask_for_the_transport() -> None:
    assert "prefer_tcp" in OPTIONS["tcp"]
    assert "rtsp_transport;udp" in OPTIONS["udp"]


def test_a_file_is_read_to_its_end(clip: Path) -> None:
    decoder = open_with_ffmpeg(file_source(clip), 5, 5)
    read = 0
    while not decoder.ended:
        read += decoder.grab()
    picture = decoder.retrieve()
    decoder.release()
    assert read == 50
    assert decoder.codec == "JPEG"
    assert picture is None or picture.shape == (96, 160, 3)


def test_a_file_is_paced_like_a_camera(clip: Path) -> None:
    decoder = open_with_ffmpeg(file_source(clip, ""), 5, 5)
    started = time.monotonic()
    assert all(decoder.grab() for _ in range(20))
    decoder.release()
    assert 0.6 < time.monotonic() - started < 5, "20 frames at 25 a second"


def test_a_looping_file_starts_again(clip: Path) -> None:
    decoder = open_with_ffmpeg(file_source(clip, "?pace=0&loop=1"), 5, 5)
    read = sum(decoder.grab() for _ in range(160))
    assert not decoder.ended
    decoder.release()
    assert read == 160


def test_pictures_are_the_caller_s_own(clip: Path) -> None:
    decoder = open_with_ffmpeg(file_source(clip), 5, 5)
    decoder.grab()
    first = decoder.retrieve()
    assert first is not None
    kept = first.copy()
    for _ in range(10):
        decoder.grab()
        decoder.retrieve()
    decoder.release()
    assert first.flags.c_contiguous
    assert first.dtype == np.uint8
    assert np.array_equal(first, kept)


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    text = tmp_path / "note.mp4"
    text.write_text("not a video")
    with pytest.raises(FormatError, match=r"note\.mp4"):
        open_with_ffmpeg(file_source(text), 5, 5)


def test_broken_packets_do_not_end_a_file(clip: Path, tmp_path: Path) -> None:
    broken, rng = bytearray(clip.read_bytes()), random.Random(5)
    for _ in range(60):
        broken[rng.randrange(8000, len(broken) - 8000)] = rng.randrange(256)
    path = tmp_path / "broken.avi"
    path.write_bytes(broken)
    decoder = open_with_ffmpeg(file_source(path), 5, 5)
    read = 0
    for _ in range(200):
        read += decoder.grab()
        if decoder.ended:
            break
    decoder.release()
    assert read > 20


@pytest.mark.gstreamer
@pytest.mark.parametrize(
    ("offers", "transport", "plays"),
    [
        ("both", "tcp", True),
        ("both", "udp", True),
        ("udp", "udp", True),
        ("udp", "tcp", True),  # tcp is a preference
        ("tcp", "udp", False),  # udp is not
    ],
)
def test_transport_is_each_stream_s_own(
    gstreamer: Callable[..., GStreamerServer], offers: str, transport: str, plays: bool
) -> None:
    server = gstreamer({"/cam": h264()}, "--transport", offers)
    source = Source(server.url(), transport=transport)
    if plays:
        decoder = open_with_ffmpeg(source, 5, 5)
        assert decoder.grab()
        assert decoder.codec == "H264"
        decoder.release()
    else:
        with pytest.raises(ConnectError, match="refuses to play it over udp"):
            open_with_ffmpeg(source, 5, 5)
