"""Where lines of text are: from a probability map to quadrangles, in reading order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

PIXEL_FLOOR = 0.3
"""Probability from which a pixel is text."""
BOX_FLOOR = 0.5
"""Mean probability within its box that a line needs."""
GROWTH = 1.6
"""The map shows shrunken lines: they grow by area * GROWTH / perimeter on each side."""
MIN_SIDE = 3.0
"""Map pixels: what is thinner is noise."""
MAX_LINES = 1000
SMALL, ENLARGE = 736, 2.0
"""Pictures whose short side is below `SMALL` pixels are enlarged, at most `ENLARGE` times: more tears characters apart."""


def map_size(height: int, width: int, max_side: int) -> tuple[int, int]:
    """Size (height, width) at which to look for text: multiples of 32, the long side at most about `max_side`.

    >>> map_size(1080, 1920, 960), map_size(78, 362, 960), map_size(1, 1, 960)
    ((544, 960), (160, 736), (32, 32))
    """
    ratio = min(max_side / max(height, width), np.clip(SMALL / min(height, width), 1, ENLARGE))
    rows, columns = (max(32, round(side * ratio / 32) * 32) for side in (height, width))
    return rows, columns


def find_lines(probability: F32, size: tuple[int, int]) -> F32:
    """Lines in a probability map, in reading order.

    Args:
        probability: `(h, w)` in [0, 1], how likely each pixel is text.
        size: (height, width) of the picture, pixels.

    Returns:
        `(N, 4, 2)` float32 corners in picture pixels, within the picture, clockwise from the top left.
    """
    mask = cv2.dilate((probability > PIXEL_FLOOR).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    quads = []
    for contour in contours[:MAX_LINES]:
        centre, sides, angle = cv2.minAreaRect(contour)
        rect = cv2.boxPoints((centre, sides, angle))
        if min(sides) < MIN_SIDE or _mean_inside(probability, rect) < BOX_FLOOR:
            continue
        reach = sides[0] * sides[1] * GROWTH / (sides[0] + sides[1])  # both sides: twice the distance
        quads.append(cv2.boxPoints((centre, (sides[0] + reach, sides[1] + reach), angle)))
    if not quads:
        return np.zeros((0, 4, 2), np.float32)
    height, width = size
    scale = np.array([width / probability.shape[1], height / probability.shape[0]], np.float32)
    lines = clockwise(np.stack(quads).astype(np.float32) * scale)
    np.clip(lines, 0, np.array([width - 1, height - 1], np.float32), out=lines)
    lines = lines[side_lengths(lines).min(axis=1) > MIN_SIDE]
    ordered: F32 = lines[reading_order(lines)]
    return ordered


def _mean_inside(probability: F32, rect: npt.NDArray[Any]) -> float:
    height, width = probability.shape
    left, top = np.clip(np.floor(rect.min(axis=0)).astype(int), 0, [width - 1, height - 1])
    right, bottom = np.clip(np.ceil(rect.max(axis=0)).astype(int), 0, [width - 1, height - 1])
    inside = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(inside, [(rect - [left, top]).astype(np.int32)], 1)
    return float(cv2.mean(probability[top : bottom + 1, left : right + 1], inside)[0])


def clockwise(quads: F32) -> F32:
    """`(N, 4, 2)` corners in any order -> clockwise from the top left: the two on the left, then the two on the right.

    >>> clockwise(np.array([[[9, 5], [0, 0], [9, 0], [0, 5]]], np.float32)).tolist()
    [[[0.0, 0.0], [9.0, 0.0], [9.0, 5.0], [0.0, 5.0]]]
    """
    by_x = np.take_along_axis(quads, np.argsort(quads[:, :, :1], axis=1, kind="stable"), axis=1)
    halves = by_x.reshape(-1, 2, 2, 2)
    by_y = np.take_along_axis(halves, np.argsort(halves[..., 1:], axis=2, kind="stable"), axis=2)
    sorted_quads: F32 = by_y.reshape(-1, 4, 2)[:, [0, 2, 3, 1]]
    return sorted_quads


def side_lengths(quads: F32) -> F32:
    """`(N, 4, 2)` corners clockwise from the top left -> `(N, 2)` width and height, the longer of opposite sides."""
    edges = np.linalg.norm(np.roll(quads, -1, axis=1) - quads, axis=2)
    longer: F32 = np.maximum(edges[:, :2], edges[:, 2:]).astype(np.float32)
    return longer


def reading_order(quads: F32) -> npt.NDArray[np.intp]:
    """Indices of `(N, 4, 2)` lines from top to bottom, within a row from left to right.

    Going down the picture, a line stays in the row when its middle is less than half a line below the one before.
    """
    top, bottom, left = quads[..., 1].min(axis=1), quads[..., 1].max(axis=1), quads[..., 0].min(axis=1)
    middle = (top + bottom) / 2
    row = np.zeros(len(quads), np.intp)
    order = np.argsort(middle, kind="stable")
    for before, this in pairwise(order):
        line = min(bottom[this] - top[this], bottom[before] - top[before])
        row[this] = row[before] + int(middle[this] - middle[before] >= line / 2)
    return np.lexsort((left, row))
