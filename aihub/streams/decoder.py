"""OpenCV's FFmpeg decoder behind a seam small enough to replace in a test.

Four things about OpenCV that this module exists for:

- It holds one lock of its own during every `open`, so that one silent camera keeps all others from connecting. FFmpeg needs no such
  lock; `OPENCV_FFMPEG_IS_THREAD_SAFE` takes it away.
- Its options for FFmpeg, the transport among them, come from the environment of the process, read first thing in
  `open`. `_Environment` lets captures with different options take turns.
- It prints addresses, passwords included, when an open fails. Its log is turned down to errors.
- It spreads small work over threads of its own, which cost more than they save beside a thread per stream.

One thing cannot be cured from here: a capture keeps the size of its first picture. So cameras are opened with `open_stream`,
which receives H.264 and H.265 over TCP itself and feeds FFmpeg; what is left to FFmpeg's own receiver (UDP, MJPEG, cameras that
need a tunnel) and files are read wrongly once the size changes within a session, and rightly again after a reconnect.
"""

from __future__ import annotations

import logging
import time
from typing import Protocol

import cv2

from aihub.errors import ConnectError, FormatError
from aihub.streams.capture import grab_next, open_capture, picture_of
from aihub.streams.conversation import Line
from aihub.streams.depacketise import CODECS
from aihub.streams.fed_decoder import open_fed
from aihub.streams.rtsp_session import UnsuitedError
from aihub.streams.sources import Source
from aihub.telemetry import STREAM_FALLBACKS
from aihub.types import Image

logger = logging.getLogger(__name__)

# Only video is asked for, and the frame rate is not measured first: a camera is live in 0.4 s instead of 1.2 s.
_COMMON = "allowed_media_types;video|fpsprobesize;0|analyzeduration;2000000|buffer_size;1048576"
OPTIONS = {"tcp": f"rtsp_flags;prefer_tcp|{_COMMON}", "udp": f"rtsp_transport;udp|{_COMMON}"}
"""Transport -> FFmpeg's options. `tcp` falls back to UDP where the camera refuses it; `udp` is strict."""

DECODABLE = frozenset(
    {"H264", "H265", "JPEG", "MP4V-ES", "MPV", "MP2T", "H263", "H263-1998", "H263-2000", "VP8", "VP9"}
)
"""Encodings, by their names in a session description, that the FFmpeg inside OpenCV's wheels decodes."""

_CODECS = {"AVC1": "H264", "HEVC": "H265", "HEV1": "H265", "HVC1": "H265", "MJPG": "JPEG", "MJPEG": "JPEG"}


class Decoder(Protocol):
    """An open source. All calls may block up to the time-outs it was opened with."""

    codec: str
    corrupt: int
    """Pictures left out so far because something they need was lost."""

    @property
    def heard(self) -> float:
        """When the camera last sent a whole picture, decoded or not; monotonic seconds, 0 where that is not known."""
        ...

    def grab(self) -> bool:
        """Decode the next frame. False: none came in time, one was broken, or there are no more."""
        ...

    def retrieve(self) -> Image | None:
        """The frame last grabbed as a picture of its own, None when it cannot be converted."""
        ...

    @property
    def ended(self) -> bool:
        """Whether a file has been read to its end."""
        ...

    def release(self) -> None:
        """Close it."""
        ...


def open_with_ffmpeg(
    source: Source, open_timeout_s: float, read_timeout_s: float, _line: Line | None = None
) -> Decoder:
    """Open a source with FFmpeg's own receiver, on a connection of its own.

    Args:
        source: what to open.
        open_timeout_s: longest it may take, seconds.
        read_timeout_s: longest a picture may take later, seconds.

    Raises:
        ConnectError: no answer in time, or the server refuses to play.
        FormatError: the file is not a video that can be read.
    """
    if source.is_file:
        return _FileDecoder(source, open_timeout_s, read_timeout_s)
    return _VideoDecoder(source, open_timeout_s, read_timeout_s)


def open_stream(
    source: Source, open_timeout_s: float, read_timeout_s: float, line: Line | None = None
) -> Decoder:
    """Open a source with our own receiver where that can be (see `aihub.streams.fed_decoder`), else as `open_with_ffmpeg`.

    Args:
        source: what to open.
        open_timeout_s: longest it may take, seconds.
        read_timeout_s: longest a picture may take later, seconds.
        line: the connection on which the camera has described itself. H.264 and H.265 over TCP are received on it;
            everything else, and all without a line, is left to FFmpeg.

    Raises:
        AuthError, StreamMissingError: the camera lets the stream be described, but not played.
        ConnectError: no answer in time, or the server refuses to play.
        FormatError: the file is not a video that can be read.
    """
    if line is not None and source.transport == "tcp" and line.track.codec in CODECS:
        try:
            return open_fed(line, open_timeout_s, read_timeout_s, keyframes_only=source.key_frames)
        except UnsuitedError as error:
            logger.info("left to FFmpeg's own receiver: %s", error)
            STREAM_FALLBACKS.labels(str(error)).inc()
    return open_with_ffmpeg(source, open_timeout_s, read_timeout_s)


class _VideoDecoder:
    corrupt = 0  # FFmpeg patches up what it can and does not tell
    heard = 0.0

    def __init__(self, source: Source, open_timeout_s: float, read_timeout_s: float) -> None:
        self._source = source
        self._timeouts = (round(open_timeout_s * 1000), round(read_timeout_s * 1000))
        self._capture = self._open()
        fourcc = round(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        name = fourcc.decode("ascii", "ignore").strip("\0 ").upper()
        self.codec = _CODECS.get(name, name)

    def _open(self) -> cv2.VideoCapture:
        open_ms, read_ms = self._timeouts
        settings = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, open_ms),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, read_ms),
            *(cv2.CAP_PROP_N_THREADS, 1),
        ]
        started = time.monotonic()
        capture = open_capture(self._source.joined(), OPTIONS[self._source.transport], settings)
        if capture.isOpened():
            return capture
        if self._source.is_file:
            raise FormatError(f"{self._source.redacted()} is not a video that can be read")
        if time.monotonic() - started >= open_ms / 1000:
            raise ConnectError(f"the camera describes the stream but does not play it within {open_ms} ms")
        raise ConnectError(
            f"the camera describes the stream but refuses to play it over {self._source.transport}"
        )

    def grab(self) -> bool:
        return self._capture.grab()

    def retrieve(self) -> Image | None:
        return picture_of(self._capture)

    @property
    def ended(self) -> bool:
        return False

    def release(self) -> None:
        self._capture.release()


class _FileDecoder(_VideoDecoder):
    """A file as if it were a camera: at its own frame rate, and again from the start if asked."""

    def __init__(self, source: Source, open_timeout_s: float, read_timeout_s: float) -> None:
        super().__init__(source, open_timeout_s, read_timeout_s)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._period = 1.0 / fps if 1.0 <= fps <= 240.0 else 0.04
        self._due = time.monotonic()
        self._ended = False

    def grab(self) -> bool:
        if self._source.paced:
            self._due = max(self._due + self._period, time.monotonic() - self._period)
            time.sleep(max(0.0, self._due - time.monotonic()))
        if grab_next(self._capture):
            return True
        if self._source.loop:
            self._capture.release()
            self._capture = self._open()
        self._ended = not (self._source.loop and grab_next(self._capture))
        return not self._ended

    @property
    def ended(self) -> bool:
        return self._ended
