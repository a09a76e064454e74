"""Clips as cameras send them: real footage at the size, rate and distance of key frames that are asked for.

The simulator sends H.264 as it lies in a file, so the cost of decoding is that of a real camera only if the file was made by
a real encoder. GStreamer's command encodes; the project's own writer of H.264 sends raw samples, which cost a decoder
next to nothing.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from aihub.bench.stand import NotHereError
from aihub.types.frame import Image

LAUNCH, INSPECT = "gst-launch-1.0", "gst-inspect-1.0"
ENCODERS = {
    "x264enc": "x264enc bitrate={kbit} speed-preset=veryfast bframes=0 key-int-max={gop} option-string=scenecut=0 threads=2",
    "openh264enc": "openh264enc bitrate={bit} rate-control=bitrate gop-size={gop} complexity=medium",
}
"""Encoders by GStreamer's name, the best first, and how they are told of the bits and of the key frames."""

_ENCODE_S = 300.0
_GRAIN = 3.0
"""Standard deviation of the grey noise put on the enlarged pictures, so that they cost what a sensor's do."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a camera sends.

    Attributes:
        name: for figures: `1080p25`.
        size: width, height; pixels, even.
        fps: pictures a second.
        kbit: kilobits a second.
    """

    name: str
    size: tuple[int, int]
    fps: float
    kbit: int


SHAPES = {
    "1080p25": Shape("1080p25", (1920, 1080), 25.0, 4000),
    "360p25": Shape("360p25", (640, 360), 25.0, 600),
}
"""What suites ask for, by name."""


def footage_of(clip: Path, count: int) -> Iterator[Image]:
    """The first pictures of a clip; from its start again where it is shorter.

    Args:
        clip: a file OpenCV reads.
        count: so many.

    Raises:
        NotHereError: it holds no picture.
    """
    given = 0
    while given < count:
        capture, before = cv2.VideoCapture(str(clip)), given
        while given < count:
            found, image = capture.read()
            if not found:
                break
            given += 1
            yield np.asarray(image, np.uint8)
        capture.release()
        if given == before:
            raise NotHereError(f"{clip.name} cannot be read")


def encoded_clip(folder: Path, clip: Path, shape: Shape, *, seconds: float, key_every_s: float) -> Path:
    """A clip in the shape of a camera; made once a folder.

    Every picture of the clip becomes one of the camera's, whatever the clip's own rate: slow clips play faster, so that no
    picture is a repetition, which decoders do not feel.

    Args:
        folder: where it is kept.
        clip: real footage.
        shape: of the camera.
        seconds: length.
        key_every_s: seconds from key frame to key frame.

    Raises:
        NotHereError: there is no GStreamer with an encoder for H.264, or it fails.
    """
    name = f"{clip.stem}-{shape.name}-{seconds:g}s-key{key_every_s:g}s.mp4"
    path = folder / name
    if path.exists():
        return path
    encoder = _encoder(shape, key_every_s)
    width, height = shape.size
    part = path.with_suffix(".part")
    source = (
        f"fdsrc fd=0 ! rawvideoparse format=bgr width={width} height={height} framerate={round(shape.fps)}/1"
    )
    line = f"{source} ! videoconvert ! video/x-raw,format=I420 ! {encoder} ! h264parse ! mp4mux ! filesink location={part}"
    process = subprocess.Popen([LAUNCH, "-q", *line.split()], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        _write(process, clip, shape, round(seconds * shape.fps))
        _, said = process.communicate(timeout=_ENCODE_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=10)
    if process.returncode or not part.exists():
        raise NotHereError(f"GStreamer does not encode H.264: {said.decode('utf-8', 'replace')[-300:]}")
    return part.replace(path)


def _encoder(shape: Shape, key_every_s: float) -> str:
    if shutil.which(LAUNCH) is None or shutil.which(INSPECT) is None:
        raise NotHereError(f"no {LAUNCH}: it encodes footage as a camera does (Debian: gstreamer1.0-tools)")
    for name, line in ENCODERS.items():
        if not subprocess.run([INSPECT, name], capture_output=True, check=False, timeout=60).returncode:
            return line.format(kbit=shape.kbit, bit=shape.kbit * 1000, gop=round(key_every_s * shape.fps))
    raise NotHereError(f"GStreamer has no encoder for H.264: {' or '.join(ENCODERS)}")


def _write(process: subprocess.Popen[bytes], clip: Path, shape: Shape, count: int) -> None:
    """Give the encoder its pictures; it ends by itself when something is wrong, and says what."""
    pipe = process.stdin
    if pipe is None:
        return
    random = np.random.default_rng(0)
    height, width = shape.size[1], shape.size[0]
    grain = random.normal(0, _GRAIN, (height + 64, width + 64)).astype(np.int16)
    try:
        for image in islice(footage_of(clip, count), count):
            large = cv2.resize(image, shape.size, interpolation=cv2.INTER_CUBIC).astype(np.int16)
            down, right = random.integers(0, 64, 2)
            noisy = large + grain[down : down + height, right : right + width, None]
            pipe.write(np.clip(noisy, 0, 255).astype(np.uint8).tobytes())
    except BrokenPipeError:
        return
