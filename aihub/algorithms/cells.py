"""The picture in cells, and how its structure compares with another picture of the same place."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from aihub.algorithms.grey import Grey, small_grey
from aihub.types import Frame

F32 = npt.NDArray[np.float32]
Slopes = tuple[F32, F32]
"""Across and down."""

CELL = 16
"""Side of a cell of the small picture, pixels."""


def slopes(grey: Grey) -> Slopes:
    """Slope across and down, grey levels a pixel, `(height, width)` float32 each; noise is smoothed away a little."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def in_cells(values: F32, cell: int = CELL) -> F32:
    """Means of `(height, width)` values in cells; the rest at the right and lower edge is left out. At least 1x1."""
    rows, columns = max(values.shape[0] // cell, 1), max(values.shape[1] // cell, 1)
    cut = values[: rows * cell, : columns * cell]
    return np.asarray(cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA), np.float32).reshape(
        rows, columns
    )


def scene_slopes(frame: Frame) -> Slopes:
    """Slopes of the small grey picture, shared by all stages."""
    return frame.memo.get(("slopes",), lambda: slopes(small_grey(frame)))


def strength(pair: Slopes) -> F32:
    """Structure of each cell: root mean square of the slopes in it, grey levels a pixel, `(rows, columns)`."""
    return np.asarray(np.sqrt(in_cells(pair[0] * pair[0] + pair[1] * pair[1])), np.float32)


def likeness(one: Slopes, other: Slopes) -> F32:
    """How alike the structure of two pictures is in each cell: correlation of their slopes, in [-1, 1].

    Slopes do not ask how bright or how strong in contrast a picture is, so clouds and exposure change little. Cells without
    structure in either picture give 0.
    """
    common = in_cells(one[0] * other[0] + one[1] * other[1])
    first, second = (in_cells(a * a + b * b) for a, b in (one, other))
    return np.asarray(common / np.maximum(np.sqrt(first * second), np.float32(0.05)), np.float32)


def shift_between(one: Slopes, other: Slopes) -> tuple[float, float]:
    """By how many pixels the second picture is moved right and down against the first (phase correlation; Kuglin, Hines, 1975)."""
    first, second = (np.hypot(*pair).astype(np.float32) for pair in (one, other))
    if min(first.shape) < 8:
        return 0.0, 0.0
    window = cv2.createHanningWindow((first.shape[1], first.shape[0]), cv2.CV_32F)
    (across, down), _ = cv2.phaseCorrelate(first, second, window)
    return float(across), float(down)


def moved_by(before: Slopes, seen: Slopes) -> tuple[float, float]:
    """By how many pixels the whole picture moved right and down; 0, 0 where no one movement explains it."""
    across, down = shift_between(before, seen)
    columns, rows = round(across), round(down)
    height, width = seen[0].shape
    if not (columns or rows) or abs(columns) > width // 3 or abs(rows) > height // 3:
        return 0.0, 0.0
    here = (slice(max(rows, 0), height + min(rows, 0)), slice(max(columns, 0), width + min(columns, 0)))
    there = (slice(max(-rows, 0), height + min(-rows, 0)), slice(max(-columns, 0), width + min(-columns, 0)))
    moved = likeness((before[0][there], before[1][there]), (seen[0][here], seen[1][here]))
    still = likeness((before[0][here], before[1][here]), (seen[0][here], seen[1][here]))
    better = float(np.mean(moved > still + 0.05))
    fitting = float(np.mean(moved > FITTING))
    return (across, down) if better > 0.5 and fitting > 0.4 else (0.0, 0.0)


FITTING = 0.5
"""Likeness from which a cell of a moved picture fits where it is laid."""


SAMPLES = 5
"""Looks of which the reference is the median: what passed through some of them is not in it."""


class Reference:
    """How a scene usually looks: the first look, soon the median of a few, then what follows slow change.

    Args:
        learn_s: seconds over which the first looks are gathered. Pictures that follow each other faster than a fifth of it, as
            those of one request do, are all held against the first.
        memory_s: time constant with which it follows afterwards.
    """

    def __init__(self, learn_s: float, memory_s: float) -> None:
        self._learn_s, self._memory_s = learn_s, memory_s
        self._looks: list[F32] = []
        self._begun = self._last = self._taken = 0.0
        self._strange_since: float | None = None
        self.known: F32 | None = None

    def fits(self, values: F32, now: float) -> bool:
        """Whether there is something to compare with; otherwise these values are the reference from now on."""
        if self.known is not None and self.known.shape == values.shape and now >= self._last:
            return True
        self._begin(values, now)
        return False

    def _begin(self, values: F32, now: float) -> None:
        self.known, self._looks, self._strange_since = values, [values], None
        self._begun = self._last = self._taken = now

    def follow(
        self, values: F32, now: float, *, strange: bool, accept_s: float, hold: F32 | None = None
    ) -> None:
        """Take in a look after it was compared.

        Args:
            values: the look.
            now: seconds.
            strange: whether it differs so much that nothing is to be learned from it.
            accept_s: seconds after which what is strange is taken for the new reference.
            hold: where it is above 0 the reference stays as it is.
        """
        elapsed, self._last = now - self._last, now
        if self.known is None:
            return
        if now - self._begun <= self._learn_s:
            if now - self._taken >= self._learn_s / SAMPLES:
                self._taken = now
                self._looks.append(values)
                self.known = np.median(np.stack(self._looks), axis=0).astype(np.float32)
            return
        self._looks = []
        if strange:
            self._strange_since = now if self._strange_since is None else self._strange_since
            if now - self._strange_since >= accept_s:
                self._begin(values, now)
            return
        self._strange_since = None
        share = np.float32(1 - math.exp(-elapsed / self._memory_s))
        step = share * (values - self.known)
        self.known = self.known + (step if hold is None else np.where(hold > 0, np.float32(0), step))
