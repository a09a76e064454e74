"""Boxes, polygons and lines as arrays. All vectorised; coordinates are pixels or relative, the caller's choice."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]


def box_iou(a: Floats, b: Floats) -> npt.NDArray[np.float32]:
    """Intersection over union of every pair.

    Args:
        a: `(N, 4)` boxes x1, y1, x2, y2.
        b: `(M, 4)` boxes.

    Returns:
        `(N, M)` float32 in [0, 1]; boxes without area give 0.

    >>> box_iou(np.array([[0, 0, 2, 2.0]]), np.array([[1, 0, 3, 2.0], [5, 5, 6, 6]])).round(3).tolist()
    [[0.3330000042915344, 0.0]]
    """
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.prod(np.clip(bottom_right - top_left, 0, None), axis=-1)
    union = box_area(a)[:, None] + box_area(b)[None, :] - overlap
    iou: npt.NDArray[np.float64] = np.divide(overlap, union, out=np.zeros(overlap.shape), where=union > 0)
    return iou.astype(np.float32)


def overlap_of_smaller(a: Floats, b: Floats) -> npt.NDArray[np.float64]:
    """`(N, 4)` and `(M, 4)` boxes -> `(N, M)` intersection over the smaller area, in [0, 1].

    >>> overlap_of_smaller(np.array([[0, 0, 4, 4.0]]), np.array([[1, 1, 2, 2.0], [3, 0, 5, 2]])).tolist()
    [[1.0, 0.5]]
    """
    sides = np.clip(
        np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2]), 0, None
    )
    smaller = np.minimum(box_area(a)[:, None], box_area(b)[None, :])
    overlap: npt.NDArray[np.float64] = sides[..., 0] * sides[..., 1] / np.maximum(smaller, 1e-12)
    return overlap


def box_area(boxes: Floats) -> Floats:
    """`(N, 4)` boxes -> `(N,)` areas, never negative.

    >>> box_area(np.array([[0, 0, 2, 3.0], [1, 1, 0, 0]])).tolist()
    [6.0, 0.0]
    """
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    area: Floats = sides[:, 0] * sides[:, 1]
    return area


def bottom_centre(boxes: Floats) -> Floats:
    """Where things stand: `(N, 4)` boxes -> `(N, 2)` middle of the lower edge.

    >>> bottom_centre(np.array([[0, 0, 2, 3.0]])).tolist()
    [[1.0, 3.0]]
    """
    points = np.empty((len(boxes), 2), np.result_type(boxes.dtype, np.float32))
    points[:, 0] = (boxes[:, 0] + boxes[:, 2]) / 2
    points[:, 1] = boxes[:, 3]
    return points


class Polygon:
    """An area that many points are asked of: what its edges are is worked out once.

    Args:
        corners: `(K, 2)`, K >= 3, in either direction; the last joins the first.

    Attributes:
        area: as the shoelace formula has it; of parts that lie twice it counts both.
    """

    __slots__ = ("_begin_x", "_begin_y", "_end_y", "_slope", "area")

    def __init__(self, corners: Floats) -> None:
        x1, y1 = corners[None, :, 0].astype(np.float64), corners[None, :, 1].astype(np.float64)
        x2, y2 = np.roll(x1, -1, axis=1), np.roll(y1, -1, axis=1)
        self._begin_x, self._begin_y, self._end_y = x1, y1, y2
        self._slope = (x2 - x1) / np.where(y2 == y1, 1.0, y2 - y1)
        self.area = float(abs((x1 * y2 - x2 * y1).sum())) / 2

    def holds(self, points: Floats) -> Bools:
        """`(N, 2)` points -> `(N,)` bool by the even-odd rule. Edges may fall either way."""
        x, y = points[:, 0:1], points[:, 1:2]
        spans = (self._begin_y > y) != (self._end_y > y)
        crosses = spans & (x < self._slope * (y - self._begin_y) + self._begin_x)
        inside: Bools = np.bitwise_xor.reduce(crosses, axis=1)
        return inside


def points_in_polygon(points: Floats, polygon: Floats) -> Bools:
    """Even-odd rule. `(N, 2)` points, `(K, 2)` polygon with K >= 3 -> `(N,)` bool. Edges may fall either way.

    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    >>> points_in_polygon(np.array([[0.5, 0.5], [1.5, 0.5]]), square).tolist()
    [True, False]
    """
    return Polygon(polygon).holds(points)


def side_of_line(points: Floats, start: Floats, end: Floats) -> Floats:
    """Signed side of each point `(N, 2)` relative to the line start -> end: > 0 right of it on a picture (y down).

    >>> side_of_line(np.array([[0.0, 1.0], [0.0, -1.0]]), np.array([0.0, 0.0]), np.array([1.0, 0.0])).tolist()
    [1.0, -1.0]
    """
    along = end - start
    side: Floats = along[0] * (points[:, 1] - start[1]) - along[1] * (points[:, 0] - start[0])
    return side
