"""Room for one frame: the newest."""

from __future__ import annotations

import threading

from aihub.types import Frame


class Slot:
    """Holds the newest frame between a reader and the analysis. A newer frame takes the place of one not yet taken.

    Args:
        dropped: counters by reason; `replaced` grows when a frame was never taken.
    """

    __slots__ = ("_dropped", "_frame", "_latest", "_lock")

    def __init__(self, dropped: dict[str, int]) -> None:
        self._lock = threading.Lock()
        self._dropped = dropped
        self._frame: Frame | None = None
        self._latest: Frame | None = None

    def put(self, frame: Frame) -> None:
        """Leave a frame, dropping the one that waits."""
        with self._lock:
            self._drop()
            self._frame = self._latest = frame

    def take(self) -> Frame | None:
        """The frame that waits, once."""
        with self._lock:
            frame, self._frame = self._frame, None
            return frame

    def clear(self) -> None:
        """Forget the frames of a camera that has gone."""
        with self._lock:
            self._drop()
            self._frame = self._latest = None

    @property
    def waiting(self) -> bool:
        """Whether a frame waits."""
        return self._frame is not None

    @property
    def latest(self) -> Frame | None:
        """The newest frame, taken or not."""
        return self._latest

    def _drop(self) -> None:
        if self._frame is not None:
            self._dropped["replaced"] += 1
