"""Smooth shapes for what the project draws itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from aihub.types import Image

Colour = tuple[int, int, int]
Point = tuple[float, float]
_FRACTION = 4
"""Bits below the pixel that OpenCV draws with: what moves slowly glides."""


class Brush:
    """Draws smooth shapes in units of something's own size, from a point of its own; up is negative.

    Args:
        image: (h, w, 3) uint8 BGR; is drawn upon.
        origin: pixels.
        unit: pixels.
        mirrored: whether left is right.
    """

    def __init__(self, image: Image, origin: Point, unit: float, *, mirrored: bool = False) -> None:
        self._image, self._origin, self._unit = image, np.array(origin), unit
        self._across = np.array((-unit if mirrored else unit, unit))

    def _pixels(self, points: Sequence[Point]) -> npt.NDArray[np.int32]:
        found = (self._origin + np.array(points) * self._across) * (1 << _FRACTION)
        whole: npt.NDArray[np.int32] = np.round(found).astype(np.int32)
        return whole

    def fill(self, points: Sequence[Point], colour: Colour) -> None:
        """A polygon."""
        cv2.fillPoly(self._image, [self._pixels(points)], colour, cv2.LINE_AA, _FRACTION)

    def oval(self, centre: Point, half: Point, colour: Colour, arc: tuple[int, int] = (0, 360)) -> None:
        """An ellipse, or the part of it between two angles, degrees clockwise from the right."""
        (x, y), *_ = self._pixels([centre]).tolist()
        axes = tuple(round(side * self._unit * (1 << _FRACTION)) for side in half)
        cv2.ellipse(self._image, (x, y), axes, 0, *arc, colour, cv2.FILLED, cv2.LINE_AA, _FRACTION)

    def limb(self, begin: Point, end: Point, widths: Point, colour: Colour) -> None:
        """A bone with flesh around it: thick at one end, thin at the other, round at both."""
        (x1, y1), (x2, y2) = begin, end
        far = math.hypot(x2 - x1, y2 - y1) or 1.0
        across = np.array((y1 - y2, x2 - x1)) / far / 2
        one, other = across * widths[0], across * widths[1]
        corners = [(x1 + one[0], y1 + one[1]), (x2 + other[0], y2 + other[1]),
                   (x2 - other[0], y2 - other[1]), (x1 - one[0], y1 - one[1])]  # fmt: skip
        self.fill(corners, colour)
        for joint, width in zip((begin, end), widths, strict=True):
            self.oval(joint, (width / 2, width / 2), colour)


def dimmed(colour: Colour, share: float) -> Colour:
    """Darker below 1, lighter above."""
    blue, green, red = (min(255, round(part * share)) for part in colour)
    return blue, green, red
