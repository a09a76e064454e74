"""OpenCV's captures: set up once for the process, with options for FFmpeg that each can have for itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BufferedIOBase

import cv2
import numpy as np

from aihub.types import Image

_MISSES_AT_END = 50


def open_capture(what: str | BufferedIOBase, options: str, settings: Sequence[int]) -> cv2.VideoCapture:
    """Open a capture on FFmpeg.

    Args:
        what: an address, or something whose `read` gives the bytes. `read` must give `bytes` and never raise: OpenCV 5.0
            takes the process down otherwise.
        options: for FFmpeg, `key;value|key;value`.
        settings: OpenCV's own, key and value in turn.
    """
    _settle_opencv()
    with _environment.reads(options):
        # OpenCV takes any buffered reader; its stubs name a class of their own that it refuses.
        return cv2.VideoCapture(what, cv2.CAP_FFMPEG, settings)  # type: ignore[arg-type]


def grab_next(capture: cv2.VideoCapture) -> bool:
    """Decode a file's next frame; False at its end. A broken packet costs one grab, the end costs all, but no time."""
    return any(capture.grab() for _ in range(_MISSES_AT_END))


def picture_of(capture: cv2.VideoCapture) -> Image | None:
    """The frame last grabbed as a picture of its own, None when it cannot be converted."""
    try:
        ok, picture = capture.retrieve()
    except cv2.error:
        return None
    if not ok or picture is None or picture.ndim != 3:
        return None
    return np.asarray(picture, np.uint8)


class _Environment:
    """Turns at the options in the environment. Captures with equal options open together; others wait.

    OpenCV reads the variable in the first microseconds of `open`, so a turn is over when the open returns, and after
    `hold_s` in any case: a capture that blocks never holds up another for longer than that.
    """

    _VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"

    def __init__(self, hold_s: float = 0.5) -> None:
        self._hold_s = hold_s
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._inside: dict[int, float] = {}
        self._entries = 0
        self._options: str | None = None
        self._outer: str | None = None

    @contextmanager
    def reads(self, options: str) -> Iterator[None]:
        # Waiting in line keeps a crowd with equal options from shutting out the one with others.
        with self._turn:
            entry = self._enter(options)
        try:
            yield
        finally:
            with self._changed:
                self._inside.pop(entry, None)
                if not self._inside:
                    self._give_back()
                self._changed.notify_all()

    def _enter(self, options: str) -> int:
        with self._changed:
            while options != self._options and self._inside:
                now = time.monotonic()
                self._inside = {entry: until for entry, until in self._inside.items() if until > now}
                if self._inside:
                    self._changed.wait(max(self._inside.values()) - now)
            if options != self._options:
                if self._options is None:
                    self._outer = os.environ.get(self._VARIABLE)
                os.environ[self._VARIABLE] = self._options = options
            self._entries += 1
            self._inside[self._entries] = time.monotonic() + self._hold_s
            return self._entries

    def _give_back(self) -> None:
        """Leave the variable as it was found: others in this process may open captures of their own."""
        if self._outer is None:
            os.environ.pop(self._VARIABLE, None)
        else:
            os.environ[self._VARIABLE] = self._outer
        self._options = None


_environment = _Environment()


@lru_cache(maxsize=1)
def _settle_opencv() -> None:
    os.environ.setdefault("OPENCV_FFMPEG_IS_THREAD_SAFE", "1")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    # A thread per stream is enough; OpenCV's own would spin beside them.
    cv2.setNumThreads(1)
