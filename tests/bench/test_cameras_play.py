"""Real players watch the cameras: OpenCV's FFmpeg over TCP and UDP, and GStreamer; and every fault is seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from aihub.bench import footage
from aihub.bench.cameras import CameraServer, EncodedClip
from aihub.bench.footage import Footage
from aihub.types.frame import Image


def _moving() -> Iterator[Image]:
    """A block that jumps over a slope of grey: every picture is another one than its neighbours."""
    slope = np.repeat(np.linspace(40, 200, 320, dtype=np.uint8)[None], 180, axis=0)
    for number in range(1 << 30):
        image = np.dstack([slope] * 3)
        left, top = 37 * number % 280, 23 * number % 140
        image[top : top + 32, left : left + 32] = (30, 60, 220)
        yield image


def _strange(image: Image) -> int:
    """Pixels that are not the slope's: the block has 1024."""
    slope = np.linspace(40, 200, 320)[None, :, None]
    return int((np.abs(image - slope) > 25).any(axis=2).sum())


MOVING = Footage("moving", (320, 180), 100.0, 3.0, _moving)


@contextmanager
def watching(url: str, transport: str = "tcp", timeout_s: float = 3.0) -> Iterator[cv2.VideoCapture]:
    """OpenCV on a camera; without the 20 frames FFmpeg usually spends on guessing the frame rate."""
    before = os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS")
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"rtsp_transport;{transport}|fpsprobesize;0"
    wait = int(timeout_s * 1000)
    options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait, cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, options)
    if before is None:
        del os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"]
    else:
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = before
    try:
        yield capture
    finally:
        capture.release()


def read(capture: cv2.VideoCapture, count: int) -> list[Image]:
    """The next pictures; those FFmpeg cannot decode are left out."""
    found = []
    for _ in range(count):
        ok, image = capture.read()
        if ok:
            found.append(np.asarray(image, np.uint8))
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[CameraServer]:
    with CameraServer([MOVING], count=2, users={"ann": "p@ss w/1"}) as one:
        yield one
        assert one.statistics()["errors"] == 0


@pytest.fixture
def url(server: CameraServer) -> Iterator[str]:
    yield server.url(0, user="ann")
    server.fault(None, None)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_opencv_shows_what_was_drawn(url: str, transport: str) -> None:
    with watching(url, transport) as capture:
        assert capture.isOpened()
        assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(100)
        shown = read(capture, 30)
    drawn = [image for image, _ in zip(MOVING.frames(), range(30), strict=False)]
    assert len(shown) == 30
    for image, original in zip(shown, drawn, strict=True):
        assert np.abs(image.astype(int) - original).mean() < 2


@pytest.mark.parametrize("login", ["ann:wrong@", ""], ids=["wrong password", "no password"])
def test_without_the_password_nothing_is_shown(server: CameraServer, login: str) -> None:
    address = server.url(0).replace("rtsp://", f"rtsp://{login}")
    with watching(address) as capture:
        assert not capture.isOpened()


def test_an_unknown_camera_is_not_shown(server: CameraServer) -> None:
    begin = time.monotonic()
    with watching(server.url(0, user="ann").replace("cam1", "cam9")) as capture:
        assert not capture.isOpened()
    assert time.monotonic() - begin < 2


def test_frozen_and_well_again(server: CameraServer, url: str) -> None:
    with watching(url) as capture:
        read(capture, 20)
        server.fault(0, "freeze")
        read(capture, 40)  # what was on its way, and what the decoder holds
        frozen = read(capture, 25)
        assert len(frozen) == 25
        assert all(np.array_equal(frozen[0], image) for image in frozen)
        server.fault(0, None)
        read(capture, 40)
        assert all(not np.array_equal(a, b) for a, b in pairwise(read(capture, 10)))


def test_silent_and_back(server: CameraServer, url: str) -> None:
    with watching(url, timeout_s=0.3) as capture:
        assert read(capture, 5)
        server.fault(0, "drop")
        begin = time.monotonic()
        while capture.read()[0]:
            assert time.monotonic() - begin < 3
    with watching(url, timeout_s=0.3) as capture:
        # OpenCV may call it open, as the description has all it wants to know; pictures there are none.
        assert not capture.read()[0]
    server.fault(0, None)
    with watching(url) as capture:
        assert len(read(capture, 5)) == 5


@pytest.mark.parametrize("options", [{"close": True}, {"deaf": True}], ids=str)
def test_gone_and_back(server: CameraServer, url: str, options: dict[str, bool]) -> None:
    with watching(url, timeout_s=0.3) as capture:
        assert read(capture, 5)
        server.fault(0, "drop", **options)
        begin = time.monotonic()
        while capture.read()[0]:
            assert time.monotonic() - begin < 3
        with watching(url, timeout_s=0.3) as other:
            assert not other.isOpened()
        assert time.monotonic() - begin < 5
    with watching(server.url(1, user="ann")) as neighbour:
        assert neighbour.isOpened()
    server.fault(0, None)
    with watching(url) as capture:
        assert len(read(capture, 5)) == 5


def test_corrupt_packets_hurt_the_picture_and_not_the_server(server: CameraServer, url: str) -> None:
    with watching(url) as capture:
        whole = [_strange(image) for image in read(capture, 10)]
        server.fault(0, "corrupt", probability=0.3, seed=1)
        read(capture, 30)
        hurt = [_strange(image) for image in read(capture, 30)]
        assert server.statistics()["cameras"]["cam1"]["packets_hit"] > 10
        assert max(whole) < 1200 < max(hurt)
        server.fault(0, None)
    with watching(url) as capture:
        assert len(read(capture, 10)) == 10


def test_slow_then_all_at_once(server: CameraServer, url: str) -> None:
    with watching(url) as capture:
        read(capture, 10)
        server.fault(0, "slow", rate=0.1, period_s=0.8)
        gaps = []
        begin = time.monotonic()
        while time.monotonic() - begin < 1.4:
            before = time.monotonic()
            assert capture.read()[0]
            gaps.append(time.monotonic() - before)
    assert sum(gap > 0.07 for gap in gaps) >= 5  # ten times too slow
    assert sum(gap < 0.005 for gap in gaps) >= 30  # the rest at once


def test_the_size_changes_on_the_way() -> None:
    def frames() -> Iterator[Image]:
        for size in ((90, 160), (180, 320)):
            for number in range(25):
                image = np.full((*size, 3), 60, np.uint8)
                image[:, 4 * number : 4 * number + 16] = 200
                yield image

    clip = EncodedClip("changing", frames, 100.0)
    with CameraServer([clip]) as server, watching(server.url()) as capture:
        widths = []
        for _ in range(60):
            ok, image = capture.read()
            if ok:
                widths.append(image.shape[1])
        assert server.statistics()["errors"] == 0
    clip.close()
    assert len(widths) >= 50


@pytest.mark.media
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_real_films_are_shown_as_they_are_and_time_only_grows(media: Path, transport: str) -> None:
    names = ("people-detection_preview.mp4", "car-detection.mp4")
    paths = [media / "video" / name for name in names]
    with CameraServer(paths, fps=100) as server:
        for number, path in enumerate(paths):
            direct = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
            with watching(server.url(number), transport) as capture:
                for place in range(12):
                    ok, image = capture.read()
                    fine, original = direct.read()
                    assert ok
                    assert fine
                    assert np.abs(image.astype(int) - original).mean() < 1, (path.name, place)
                times = []
                for _ in range(40):  # the first film has 23 pictures: twice around
                    assert capture.read()[0]
                    times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
                assert np.diff(times) == pytest.approx(10, abs=1)


@pytest.mark.media
def test_a_real_film_with_b_pictures_freezes_and_comes_back(media: Path) -> None:
    with (
        CameraServer([media / "video" / "bottle-detection.mp4"], fps=100) as server,
        watching(server.url()) as capture,
    ):
        read(capture, 20)
        server.fault(0, "freeze")
        read(capture, 40)
        frozen = read(capture, 15)
        assert len(frozen) == 15
        assert all(np.array_equal(frozen[0], image) for image in frozen)
        server.fault(0, None)
        assert len(read(capture, 10)) == 10


def test_a_picture_and_a_film_of_another_kind_are_encoded(tmp_path: Path) -> None:
    image = next(footage.codes().frames())
    cv2.imwrite(str(tmp_path / "gate.png"), cv2.resize(image, (960, 540)))
    writer = cv2.VideoWriter(str(tmp_path / "yard.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, (480, 270))
    for one, _ in zip(footage.yard().frames(), range(12), strict=False):
        writer.write(one)
    writer.release()
    with CameraServer([tmp_path / "gate.png", tmp_path / "yard.avi"], fps=50) as server:
        with watching(server.url(0)) as capture:
            assert read(capture, 3)[-1].shape == (360, 640, 3)
        with watching(server.url(1)) as capture:
            shown = read(capture, 30)
    assert len(shown) == 30
    assert np.abs(shown[0].astype(int) - next(footage.yard().frames())).mean() < 8


def _gstreamer(*elements: str) -> None:
    if not shutil.which("gst-launch-1.0"):
        pytest.skip("gst-launch-1.0 is not installed: no independent player")
    for element in elements:
        if subprocess.run(["gst-inspect-1.0", "--exists", element], check=False).returncode:
            pytest.skip(f"GStreamer's {element} is not installed")


COUNTED = ("identity", "silent=false", "eos-after=21", "!", "fakesink")


@pytest.mark.gstreamer
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_gstreamer_receives_pictures(server: CameraServer, transport: str) -> None:
    _gstreamer("rtspsrc", "rtph264depay", "h264parse", "avdec_h264")
    source = [
        "rtspsrc",
        f"location={server.url(0)}",
        "user-id=ann",
        "user-pw=p@ss w/1",
        f"protocols={transport}",
    ]
    chain = ["!", "rtph264depay", "!", "h264parse", "!", "avdec_h264", "!", *COUNTED]
    done = subprocess.run(
        ["gst-launch-1.0", "-v", *source, *chain], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("chain   ******") >= 20
    assert "width=(int)320, height=(int)180" in done.stdout


@pytest.mark.gstreamer
def test_h265_films_are_sent_as_they_are(tmp_path: Path) -> None:
    _gstreamer("x265enc", "h265parse", "mp4mux")
    path = tmp_path / "film.mp4"
    make = "videotestsrc num-buffers=20 pattern=ball ! video/x-raw,width=320,height=240,framerate=20/1 ! x265enc "
    make += f"speed-preset=ultrafast key-int-max=10 ! h265parse ! mp4mux ! filesink location={path}"
    subprocess.run(["gst-launch-1.0", "-q", *make.split()], check=True, timeout=60, capture_output=True)
    with CameraServer([path]) as server, watching(server.url()) as capture:
        shown = read(capture, 20)
        assert int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little") == b"hevc"
    assert [image.shape for image in shown] == [(240, 320, 3)] * 20
