"""Fixtures of the stream tests: an RTSP server that is not ours, real clips, and a host that is always closed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).parents[1] / "gstreamer_server.py"

TEST_PICTURE = (
    "videotestsrc is-live=true ! video/x-raw,format=I420,width={width},height={height},framerate=25/1"
)
H264 = "x264enc tune=zerolatency key-int-max=10 speed-preset=ultrafast ! rtph264pay name=pay0 pt=96"
H265 = "x265enc tune=zerolatency key-int-max=10 speed-preset=ultrafast ! rtph265pay name=pay0 pt=96"
SOUND = "audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay{number} pt=8"


def h264(width: int = 320, height: int = 180) -> str:
    """Launch line of a moving test picture in H.264."""
    return f"( {TEST_PICTURE.format(width=width, height=height)} ! {H264} )"


def h265(width: int = 320, height: int = 180) -> str:
    """The same in H.265."""
    return f"( {TEST_PICTURE.format(width=width, height=height)} ! {H265} )"


class GStreamerServer:
    """A running server; `stop` is a camera without power."""

    def __init__(self, mounts: dict[str, str], *options: str) -> None:
        launch = [f"{path}={line}" for path, line in mounts.items()]
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, "-I", str(SCRIPT), *options, *launch],  # -I: tests/ is no place to import from
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
        )
        assert self._process.stdout is not None
        self.port = int(json.loads(self._process.stdout.readline())["port"])

    def url(self, path: str = "/cam") -> str:
        return f"rtsp://127.0.0.1:{self.port}{path}"

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        elif not self._complaints.closed:
            self._complaints.seek(0)
            print(
                f"GStreamer's server ended by itself ({self._process.returncode}): {self._complaints.read().decode()}"
            )
        self._process.wait(5)
        self._complaints.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def gstreamer() -> Iterator[Callable[..., GStreamerServer]]:
    """Starts servers: `gstreamer({"/cam": launch_line}, "--port", "8554", ...)`."""
    check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if not sys.platform.startswith("linux") or not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"{SYSTEM_PYTHON} is not on this machine")
    if subprocess.run(
        [SYSTEM_PYTHON, "-I", "-c", check], capture_output=True, check=False, timeout=30
    ).returncode:
        pytest.skip(f"{SYSTEM_PYTHON} cannot import GStreamer's RTSP server (gir1.2-gst-rtsp-server-1.0)")
    servers: list[GStreamerServer] = []

    def start(mounts: dict[str, str], *options: str) -> GStreamerServer:
        servers.append(GStreamerServer(mounts, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip drawn here: 50 pictures of 160x96 at 25 a second, a white bar walks to the right on grey."""
    path = tmp_path_factory.mktemp("clips") / "bar.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (160, 96))
    assert writer.isOpened()
    for number in range(50):
        picture = np.full((96, 160, 3), 90, np.uint8)
        picture[:, 3 * number : 3 * number + 8] = 255
        writer.write(picture)
    writer.release()
    return path
