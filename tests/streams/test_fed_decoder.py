"""The decoder that is fed: sizes that change, packets that are lost, and what a camera may do to it."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aihub.bench.cameras import CameraServer, EncodedClip
from aihub.bench.cameras.h264 import Encoder, split_annexb
from aihub.errors import ConnectError
from aihub.streams.decoder import Decoder, open_stream, open_with_ffmpeg
from aihub.streams.depacketise import CODECS, H264, Codec
from aihub.streams.fed_decoder import FedDecoder
from aihub.streams.probe import probing
from aihub.streams.sources import Source
from aihub.telemetry import STREAM_FALLBACKS
from aihub.types import Image
from tests.streams.conftest import GStreamerServer, h264, h265
from tests.streams.raw_servers import answering, mute_after_play, serving
from tests.streams.sending import GivenSession, Sender

Picture = list[bytes]
"""The packets of one coded picture."""


def drawn(number: int, width: int = 160, height: int = 96) -> Image:
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[:, 6 * number % width :][:, :16] = 255
    return picture


def sent(
    count: int, *, key_every: int = 10, sets: bool = True, sender: Sender | None = None
) -> list[Picture]:
    """Pictures drawn, coded, and cut into packets, one list a picture."""
    encoder, sender = Encoder(160, 96), sender or Sender()
    pictures = []
    for number in range(count):
        coded = encoder.encode(drawn(number), key=number % key_every == 0)
        before = [*encoder.parameter_sets] if coded.key and sets else []
        pictures.append(sender.picture([*before, coded.nal], 300))
    return pictures


def fed(
    deliveries: Iterable[Picture | BaseException | None], codec: Codec = H264, **changes: Any
) -> FedDecoder:
    return FedDecoder(GivenSession(deliveries), codec, [], 1.0, **changes)


def read(decoder: Decoder, limit: int = 1000) -> list[Image]:
    """All pictures until the first grab without one."""
    found: list[Image] = []
    while len(found) < limit and decoder.grab():
        picture = decoder.retrieve()
        assert picture is not None
        found.append(picture.copy())
    return found


@contextmanager
def playing(url: str, username: str = "", password: str = "") -> Iterator[FedDecoder]:
    source = Source(url, username, password)
    with probing(source, 5) as probed:
        decoder = open_stream(source, 5, 5, probed.line)
    assert isinstance(decoder, FedDecoder)
    try:
        yield decoder
    finally:
        decoder.release()


def test_every_picture_comes_out_at_once() -> None:
    session = GivenSession(sent(30))
    decoder = FedDecoder(session, H264, [], 1.0)
    behind = []
    for number in range(30):
        assert decoder.grab()
        behind.append(session.delivered - number - 1)
        picture = decoder.retrieve()
        assert picture is not None
        assert np.abs(picture.astype(int) - drawn(number)).mean() < 4
    assert behind == [0] * 30, "no picture waits for the next"
    assert not decoder.grab()
    decoder.release()
    assert session.closed


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_after_a_loss_pictures_are_whole_or_not_there(share: float) -> None:
    rng, pictures = random.Random(3), sent(120)
    clean = read(fed(pictures))
    decoder = fed([[packet for packet in picture if rng.random() >= share] or [b""] for picture in pictures])
    found = read(decoder)
    known = {picture.tobytes() for picture in clean}
    assert len(clean) == 120
    assert all(picture.tobytes() in known for picture in found)
    assert decoder.corrupt >= 120 - len(found) - 12 > 0  # a picture lost whole is not counted


def test_only_key_pictures_if_asked() -> None:
    pictures = sent(40)
    clean = read(fed(pictures))
    found = read(fed(pictures, keyframes_only=True, rest_s=0.0))
    assert [picture.tobytes() for picture in found] == [clean[place].tobytes() for place in (0, 10, 20, 30)]


def test_it_begins_where_decoding_can_start() -> None:
    pictures = sent(30)
    decoder = fed(pictures[4:])
    assert len(read(decoder)) == 20
    assert decoder.corrupt == 0, "nothing was lost: it came late"


def test_waiting_for_a_key_picture_takes_its_time_and_no_more() -> None:
    deltas = sent(10)[1:]

    def endless() -> Iterator[Picture]:
        while True:
            time.sleep(0.001)
            yield random.choice(deltas)

    decoder = FedDecoder(GivenSession(endless()), H264, [], 0.2)
    started = time.monotonic()
    assert not decoder.grab()
    assert 0.15 < time.monotonic() - started < 5


def test_parameter_sets_may_come_with_the_description_alone() -> None:
    sets = list(Encoder(160, 96).parameter_sets)
    decoder = FedDecoder(GivenSession(sent(12, sets=False)), H264, sets, 1.0)
    assert len(read(decoder)) == 12


def test_a_pause_ends_no_session() -> None:
    pictures = sent(30)
    decoder = fed([*pictures[:5], None, *pictures[5:]])
    assert len(read(decoder)) == 5
    assert len(read(decoder)) == 20, "it goes on at the next key picture"


def test_what_goes_wrong_inside_a_read_is_raised_outside() -> None:
    """OpenCV takes the process down when a read raises."""
    decoder = fed([*sent(5), MemoryError("none left")])
    with pytest.raises(MemoryError):
        read(decoder)
    assert len(read(fed([*sent(5), ConnectError("lost")]))) == 5


def test_garbage_between_pictures_hurts_only_pictures() -> None:
    rng, sender = random.Random(5), Sender()
    pictures = sent(40, sender=sender)
    for picture in pictures[11:19]:
        for place, packet in enumerate(picture):
            picture[place] = packet[:14] + rng.randbytes(len(packet) - 14)
    decoder = fed(pictures)
    assert sum(decoder.grab() for _ in range(200)) >= 30


def three_sizes() -> Iterator[Image]:
    for width, height in ((320, 180), (640, 360), (160, 96)):
        for number in range(15):
            yield drawn(number, width, height)


THREE_SHAPES = [(180, 320, 3)] * 15 + [(360, 640, 3)] * 15 + [(96, 160, 3)] * 15


def test_size_changes_within_one_session() -> None:
    with (
        CameraServer([EncodedClip("sizes", three_sizes, 50.0)], loop=False) as cameras,
        playing(cameras.url(0)) as decoder,
    ):
        shapes = [picture.shape for picture in read(decoder)]
        assert decoder.changes == 2
        assert cameras.statistics()["cameras"]["cam1"]["plays"] == 1
    assert shapes == THREE_SHAPES


@pytest.mark.xfail(
    strict=True,
    reason="OpenCV 5.0 keeps the size of a session's first picture (it compares with codecpar, which never changes)",
)
def test_size_changes_within_one_session_that_ffmpeg_receives() -> None:
    with CameraServer([EncodedClip("sizes", three_sizes, 50.0)], loop=False) as cameras:
        decoder = open_with_ffmpeg(Source(cameras.url(0)), 2, 2)
        shapes = [picture.shape for picture in read(decoder)]
        decoder.release()
    assert shapes == THREE_SHAPES


ENCODERS = [
    ("H264", "x264enc tune=zerolatency", "video/x-h264"),
    ("H264", "x264enc bframes=2", "video/x-h264"),
    ("H265", "x265enc tune=zerolatency", "video/x-h265"),
    ("H265", "x265enc", "video/x-h265"),
]


@pytest.mark.gstreamer
@pytest.mark.parametrize(("name", "encoder", "caps"), ENCODERS, ids=[row[1] for row in ENCODERS])
def test_no_picture_is_lost_where_the_size_changes(
    name: str, encoder: str, caps: str, tmp_path: Path
) -> None:
    """With pictures that are shown in another order than they are sent, too."""
    launch = shutil.which("gst-launch-1.0")
    if launch is None:
        pytest.skip("gst-launch-1.0 is not on this machine")
    codec = CODECS[name]
    sender, packets = Sender(codec), []
    for width, height in ((320, 180), (640, 360)):
        part = tmp_path / str(width)
        line = (
            f"videotestsrc num-buffers=20 ! video/x-raw,format=I420,width={width},height={height} "
            f"! {encoder} ! {caps},stream-format=byte-stream ! filesink location={part}"
        )
        subprocess.run([launch, "-q", *line.split()], check=True, timeout=60)
        units: list[bytes] = []
        for unit in split_annexb(part.read_bytes()):
            begins = not codec.is_slice(codec.kind(unit)) or codec.is_first(unit)
            if begins and any(codec.is_slice(codec.kind(before)) for before in units):
                packets.append(sender.picture(units))
                units = []
            units.append(unit)
        packets.append(sender.picture(units))
    decoder = fed(packets, codec)
    shapes = [picture.shape for picture in read(decoder)]
    assert shapes == [(180, 320, 3)] * 20 + [(360, 640, 3)] * 20
    assert (decoder.changes, decoder.corrupt) == (1, 0)


@pytest.mark.gstreamer
def test_gstreamer_plays_at_once(gstreamer: Callable[..., GStreamerServer]) -> None:
    options = ("--user", "ad min", "--password", "p@:", "--auth", "digest")
    server = gstreamer({"/cam": h264(), "/h265": h265()}, *options)
    for path, codec in (("/cam", "H264"), ("/h265", "H265")):
        with playing(server.url(path), "ad min", "p@:") as decoder:
            assert decoder.codec == codec
            assert [picture.shape for picture in read(decoder, 12)] == [(180, 320, 3)] * 12


@pytest.mark.gstreamer
def test_a_camera_that_sends_over_udp_alone_is_left_to_ffmpeg(
    gstreamer: Callable[..., GStreamerServer],
) -> None:
    server = gstreamer({"/cam": h264()}, "--transport", "udp")
    counter = STREAM_FALLBACKS.labels("not over TCP")
    before = counter._value.get()
    with probing(Source(server.url()), 5) as probed:
        decoder = open_stream(Source(server.url()), 5, 5, probed.line)
    assert not isinstance(decoder, FedDecoder)
    assert decoder.grab()
    decoder.release()
    assert counter._value.get() == before + 1


@pytest.mark.parametrize("handle", [mute_after_play, answering()], ids=["plays silence", "sets nothing up"])
def test_a_camera_that_plays_nothing_is_told_apart_in_time(handle: Callable[..., None]) -> None:
    started = time.monotonic()
    with serving(handle) as port:
        source = Source(f"rtsp://127.0.0.1:{port}/cam")
        with (
            probing(source, 0.5) as probed,
            pytest.raises(ConnectError, match="does not play it within 500 ms"),
        ):
            open_stream(source, 0.5, 0.5, probed.line)
    assert time.monotonic() - started < 5
