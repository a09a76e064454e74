"""The ground in metres, and where tracked things have been on it: what rules about speed, way and distance share."""

from __future__ import annotations

from typing import Annotated, Any

import cv2
import numpy as np
from pydantic import AfterValidator

from aihub.streams.ruling import F64, Ids, Ledger, Mask, Point, Region, Rows
from aihub.types.geometry import bottom_centre

SAMPLES = 24
"""Places that are remembered of each track, spread over the span: the past is bounded at any frame rate."""
FORGET_S = 3.0
"""Seconds after which the past of a track that is not seen is forgotten; the tracker has given it up by then."""
ENOUGH = 0.6
"""Share of the window that a track must have been seen for before its motion is told."""
CUT = 0.005
"""Share of the picture within which a box that ends at its edge is taken to go on beyond."""
_FLAT = 1e-5


def _rectangle(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """Four corners of a rectangle on the ground are seen as a convex quadrilateral; anything else has no way back."""
    if len(corners) != 4:
        raise ValueError(f"the corners of a rectangle on the ground are 4, these are {len(corners)}")
    points = np.array(corners, np.float64)
    sides = np.roll(points, -1, axis=0) - points
    following = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    if not (np.all(turns > _FLAT) or np.all(turns < -_FLAT)):
        raise ValueError("the four corners must be named in turn around a convex shape")
    return corners


Rectangle = Annotated[tuple[Point, ...], AfterValidator(_rectangle)]
"""Four corners, relative to the picture, of a rectangle on the ground: along its width first, then along its length."""


class Ground:
    """A rectangle on the ground as a camera sees it, and the way from the picture to metres (a homography).

    Args:
        corners: as `Rectangle`.
        width_m: metres from the first corner to the second.
        length_m: metres from the second corner to the third.
    """

    def __init__(self, corners: tuple[Point, ...], width_m: float, length_m: float) -> None:
        self.region = Region(corners)
        seen = np.array(corners, np.float32)
        true = np.array([[0, 0], [width_m, 0], [width_m, length_m], [0, length_m]], np.float32)
        self._matrix = np.asarray(cv2.getPerspectiveTransform(seen, true), np.float64)
        self._back = np.asarray(np.linalg.inv(self._matrix), np.float64)

    def metres(self, points: F64) -> F64:
        """`(N, 2)` relative points within the rectangle -> `(N, 2)` metres across and along it; 0, 0 is the first corner."""
        return _mapped(points, self._matrix)

    def seen(self, metres: F64) -> F64:
        """The way back from `metres`: `(N, 2)` metres -> `(N, 2)` relative points."""
        return _mapped(metres, self._back)

    def standing(self, boxes: F64) -> F64:
        """`(N, 4)` relative boxes in the rectangle -> `(N, 2)` metres where they stand."""
        return self.metres(np.asarray(bottom_centre(boxes), np.float64))

    def whole(self, boxes: F64) -> Mask:
        """Which of `(N, 4)` relative boxes stand in the rectangle and are not cut off by the picture's sides or lower edge.

        The middle of what is cut off is not its middle: a car that comes into the picture seems to drive half as fast.
        """
        cut = (boxes[:, 0] <= CUT) | (boxes[:, 2] >= 1 - CUT) | (boxes[:, 3] >= 1 - CUT)
        return self.region.holds(boxes) & ~cut

    def widths(self, boxes: F64) -> F64:
        """`(N, 4)` relative boxes in the rectangle -> `(N,)` metres from one end of their lower edge to the other."""
        left = self.metres(boxes[:, [0, 3]])
        right = self.metres(boxes[:, [2, 3]])
        return np.asarray(np.hypot(*(right - left).T))


def _mapped(points: F64, matrix: F64) -> F64:
    flat = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    return np.asarray(flat[:, :2] / flat[:, 2:])


class Trails:
    """Where each track was in the last seconds: `SAMPLES` places, whatever the frame rate, the newest always now.

    Args:
        span_s: seconds that are remembered.
        columns: further numpy fields of a track, as for `Ledger`; zeros at first.
    """

    def __init__(self, span_s: float, columns: list[Any] | None = None) -> None:
        self._span = span_s
        self.ledger = Ledger(
            [("seen", "f8"), ("at", "f8", SAMPLES), ("place", "f8", (SAMPLES, 2)), *(columns or [])]
        )

    def update(self, ids: Ids, places: F64, now: float) -> Rows:
        """Take in one frame: `(N,)` distinct ids and where each is, `(N, 2)` in any unit. Returns the row of each."""
        self.ledger.keep(now - self.ledger.table["seen"] <= FORGET_S)
        rows, fresh = self.ledger.rows(ids)
        table = self.ledger.table
        table["at"][rows[fresh]] = np.nan
        # Once the newest is far enough from the one before it stays, and another follows; until then it is written over.
        newest, before = table["at"][rows, -1], table["at"][rows, -2]
        with np.errstate(invalid="ignore"):
            far = newest - before >= self._span / (SAMPLES - 2)
        due = rows[~np.isnan(newest) & (np.isnan(before) | far)]
        table["at"][due, :-1] = table["at"][due, 1:]
        table["place"][due, :-1] = table["place"][due, 1:]
        table["at"][rows, -1], table["place"][rows, -1], table["seen"][rows] = now, places, now
        return rows

    def window(self, rows: Rows, now: float, seconds: float) -> Mask:
        """`(N, SAMPLES)` which samples of each row are of the last `seconds`."""
        with np.errstate(invalid="ignore"):
            recent: Mask = now - self.ledger.table["at"][rows] <= seconds + 1e-6
        return recent

    def velocity(self, rows: Rows, now: float, seconds: float) -> tuple[F64, Mask]:
        """Least-squares velocity over the last `seconds`.

        Returns:
            `(N, 2)` units a second, zero where it is not known; `(N,)` whether it is: seen for most of the time, on three frames.
        """
        use = self.window(rows, now, seconds)
        at = np.where(use, self.ledger.table["at"][rows] - now, 0.0)
        place = np.where(use[..., None], self.ledger.table["place"][rows], 0.0)
        number = np.maximum(use.sum(axis=1), 1)[:, None]
        late = np.where(use, at - at.sum(axis=1, keepdims=True) / number, 0.0)
        spread = (late**2).sum(axis=1, keepdims=True)
        slope = np.divide(
            (late[..., None] * place).sum(axis=1), spread, out=np.zeros((len(rows), 2)), where=spread > 0
        )
        known: Mask = (use.sum(axis=1) >= 3) & (-at.min(axis=1, initial=0) >= ENOUGH * seconds - 1e-6)
        return np.where(known[:, None], slope, 0.0), known


def consecutive(trails: Trails, rows: Rows, holds: Mask, inertia: int) -> Mask:
    """Which rows have held for `inertia` frames in a row, this one among them; counts in the column `frames`."""
    table = trails.ledger.table
    table["frames"][rows] = np.where(holds, table["frames"][rows] + 1, 0)
    long: Mask = table["frames"][rows] >= inertia
    return long


FRAMES: list[Any] = [("frames", "i8")]
"""The column that `consecutive` counts in."""
