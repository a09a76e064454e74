"""Second looks: parts of a frame cut out for a model that looks at one thing at a time.

Every part is a run of its own. The engine puts those that wait together into one batch where the graph and the settings
measured on the machine allow it, so a stage asks for all parts of a frame before it waits for the first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from aihub.algorithms.waiting import waited
from aihub.types import Detections, Frame, Image, Predictor, Tensor
from aihub.types.geometry import box_area

F32 = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]
Run = Future[dict[str, Tensor]]
T = TypeVar("T")

PATIENCE_S = 30.0
"""How long the second looks of one frame may take, the loading of a model among them."""
BETTER = 1.25
"""A look counts as better from this many times the worth of the one that is known."""
FORGET_S = 3.0
"""Seconds after which what is known of a track that was not seen is forgotten."""
MOST_TRACKS = 1000


def worth_of(found: Detections) -> F32:
    """How much a look at each row promises, `(N,)`: its area in pixels times its confidence."""
    worth: F32 = (box_area(found.xyxy) * found.confidence).astype(np.float32)
    return worth


def worth_most(found: Detections, most: int, least_side: float = 0.0, among: Rows | None = None) -> Rows:
    """The rows to look at: the large and sure ones first, at most `most`.

    Args:
        found: `(N)` rows.
        most: how many.
        least_side: pixels; what has a shorter side shows nothing.
        among: only these rows; None for all.

    Returns:
        `(k,)` rows in their order.
    """
    rows = np.arange(len(found)) if among is None else among
    sides = (found.xyxy[rows, 2:] - found.xyxy[rows, :2]).min(axis=1, initial=np.inf)
    rows = rows[sides >= max(least_side, 1e-3)]
    best = np.argsort(-worth_of(found)[rows], kind="stable")[:most]
    chosen: Rows = np.sort(rows[best])
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A part of a frame at a model's size.

    Attributes:
        pixels: `(height, width, 3)` uint8 BGR.
        corner: where its upper left corner lies in the frame, pixels; may lie outside.
        scale: pixels of the crop for one of the frame, across and down.
    """

    pixels: Image
    corner: tuple[float, float]
    scale: tuple[float, float]

    def to_frame(self, points: F32) -> F32:
        """`(K, 2)` x, y in pixels of the crop -> pixels of the frame."""
        placed: F32 = (points / np.array(self.scale, np.float32) + np.array(self.corner, np.float32)).astype(
            np.float32
        )
        return placed


def cut(image: Image, box: Sequence[float], size: tuple[int, int], margin: float = 0.0, *, square: bool = False) -> Crop:  # fmt: skip
    """Cut a box out and bring it to a size.

    Args:
        image: `(H, W, 3)` uint8 BGR; not written to.
        box: x1, y1, x2, y2 in pixels; what lies outside the picture is not there.
        size: (height, width) of the crop, pixels.
        margin: what is added on each side, as a share of the box's.
        square: keep the shape, with black at the sides, in place of stretching.
    """
    x1, y1, x2, y2 = box
    across, down = margin * (x2 - x1), margin * (y2 - y1)
    height, width = image.shape[:2]
    left = int(np.clip(np.floor(x1 - across), 0, width - 1))
    top = int(np.clip(np.floor(y1 - down), 0, height - 1))
    right = int(np.clip(np.ceil(x2 + across), left + 1, width))
    bottom = int(np.clip(np.ceil(y2 + down), top + 1, height))
    part = image[top:bottom, left:right]
    rows, columns = size
    if not square:
        pixels = cast("Image", cv2.resize(part, (columns, rows), interpolation=cv2.INTER_LINEAR))
        return Crop(pixels, (float(left), float(top)), (columns / (right - left), rows / (bottom - top)))
    ratio = min(columns / (right - left), rows / (bottom - top))
    inner = (
        min(columns, max(1, round((right - left) * ratio))),
        min(rows, max(1, round((bottom - top) * ratio))),
    )
    canvas = np.zeros((rows, columns, 3), np.uint8)
    x, y = (columns - inner[0]) // 2, (rows - inner[1]) // 2
    canvas[y : y + inner[1], x : x + inner[0]] = cv2.resize(part, inner, interpolation=cv2.INTER_LINEAR)
    scale = (inner[0] / (right - left), inner[1] / (bottom - top))
    return Crop(canvas, (left - x / scale[0], top - y / scale[1]), scale)


def ask(predictor: Predictor, model: str, port: str, parts: Sequence[Image], frame: Frame) -> list[Run]:
    """Put every part into the model's queue.

    Args:
        predictor: whatever runs the model.
        model: name or role.
        port: name of its only input, which takes `(1, height, width, 3)` uint8 BGR.
        parts: `(height, width, 3)` uint8 BGR each.
        frame: where they were cut from, for fairness and for the bill.
    """
    until = time.monotonic() + PATIENCE_S
    return [
        predictor.run(
            model, {port: part[None]}, source=frame.source, deadline=until, bill=frame.bill
        )
        for part in parts
    ]  # fmt: skip


def answers(runs: Sequence[Run], model: str) -> list[dict[str, Tensor]]:
    """What became of every run, in order.

    Raises:
        DeadlineError: they took longer than `PATIENCE_S`.
        AihubError: whatever a run ended with.
    """
    until = time.monotonic() + PATIENCE_S
    return [waited(run, until, model, PATIENCE_S) for run in runs]


@dataclass(slots=True)
class _Known(Generic[T]):
    value: T
    worth: float
    looks: int
    looked: float
    seen: float


class Looks(Generic[T]):
    """What looks at each track gave, so that a thing is looked at again only while it is new or shows itself better.

    Forgets a track that was not seen for `FORGET_S`; holds at most `MOST_TRACKS`.

    Args:
        refresh_s: seconds after which a thing is looked at again in any case.
        first: how often a new thing is looked at before the best look is enough.
    """

    def __init__(self, refresh_s: float, first: int = 1) -> None:
        self._refresh_s, self._first = refresh_s, first
        self._known: dict[int, _Known[T]] = {}

    def due(self, found: Detections, now: float) -> Rows:
        """Rows that need a look: all without a track, those that are new, far better to see now, or long not looked at."""
        if found.track_id is None:
            return np.arange(len(found))
        self._forget(now)
        worth = worth_of(found).tolist()
        wanted = [self._wants(track, size, now) for track, size in zip(found.track_id.tolist(), worth, strict=True)]  # fmt: skip
        return np.flatnonzero(np.array(wanted, np.bool_))

    def _wants(self, track: int, worth: float, now: float) -> bool:
        known = self._known.get(track)
        if known is None:
            return True
        known.seen = now
        better = worth > known.worth * BETTER or known.looks < self._first
        return better or now - known.looked >= self._refresh_s

    def keep(self, track: int, value: T, worth: float, now: float) -> None:
        """Remember what is known of a track after a look that promised that much."""
        known = self._known.get(track)
        looks, best = (0, 0.0) if known is None else (known.looks, known.worth)
        self._known[track] = _Known(value, max(worth, best), looks + 1, now, now)

    def get(self, track: int) -> T | None:
        """What is known of a track."""
        known = self._known.get(track)
        return None if known is None else known.value

    def _forget(self, now: float) -> None:
        self._known = {
            track: known for track, known in self._known.items() if 0 <= now - known.seen <= FORGET_S
        }
        while len(self._known) > MOST_TRACKS:
            del self._known[next(iter(self._known))]
