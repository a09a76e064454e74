"""One decoded picture on its way through the hub."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from aihub.types.bill import Bill

Image = npt.NDArray[np.uint8]
"""`(height, width, 3)` uint8, BGR, contiguous."""

T = TypeVar("T")


class Memo:
    """Results computed once per frame and shared by every algorithm that looks at it. Thread-safe.

    Two threads that ask for the same key at once may both compute it; one value wins. Keys are tuples that
    start with the name of what made them, for example `("letterbox", 416, 416, 114)`.
    """

    __slots__ = ("_lock", "_values")

    def __init__(self) -> None:
        self._values: dict[Hashable, object] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value for `key`, calling `make` if it is not there yet."""
        with self._lock:
            if key in self._values:
                return self._values[key]  # type: ignore[return-value]
        value = make()
        with self._lock:
            return self._values.setdefault(key, value)  # type: ignore[return-value]


@dataclass(slots=True, eq=False)
class Frame:
    """A picture with where and when it came from.

    Attributes:
        image: `(height, width, 3)` uint8, BGR. Never written to.
        source: `tenant/stream` or `tenant/key`: the batcher is fair between tenants, then between their sources.
        seq: number of the frame in its source, from 0.
        captured_at: wall clock in seconds since the epoch, when the frame was decoded: for events.
        monotonic: `time.monotonic()` of the same moment: for intervals.
        memo: shared intermediate results of this frame.
        bill: where work on this frame is put down; None when nobody counts.
    """

    image: Image
    source: str = ""
    seq: int = 0
    captured_at: float = field(default_factory=time.time)
    monotonic: float = field(default_factory=time.monotonic)
    memo: Memo = field(default_factory=Memo, repr=False)
    bill: Bill | None = field(default=None, repr=False)

    @property
    def height(self) -> int:
        """Rows, pixels."""
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        """Columns, pixels."""
        return int(self.image.shape[1])

    def crop(self, x1: float, y1: float, x2: float, y2: float) -> Frame:
        """A new frame of the given pixel box, clipped to the picture; at least 1x1. Shares no memo."""
        left, top = int(np.clip(x1, 0, self.width - 1)), int(np.clip(y1, 0, self.height - 1))
        right, bottom = (
            int(np.clip(np.ceil(x2), left + 1, self.width)),
            int(np.clip(np.ceil(y2), top + 1, self.height)),
        )
        part = np.ascontiguousarray(self.image[top:bottom, left:right])
        return Frame(part, self.source, self.seq, self.captured_at, self.monotonic, bill=self.bill)
