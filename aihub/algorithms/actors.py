"""People and cars that the project draws itself, near enough to real ones that detectors take them for such.

What is found on them is synthetic evidence, and marked so wherever it is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from aihub.types import Image

Colour = tuple[int, int, int]
Point = tuple[float, float]
_FRACTION = 4
"""Bits below the pixel that OpenCV draws with: what moves slowly glides."""
_GLASS, _SHINE, _TYRE, _RIM = (70, 60, 50), (130, 120, 110), (30, 30, 30), (170, 170, 175)


@dataclass(frozen=True, slots=True)
class Clothes:
    """Blue, green, red of what somebody wears, 0..255."""

    coat: Colour = (70, 60, 150)
    trousers: Colour = (80, 60, 40)
    hair: Colour = (30, 40, 50)
    skin: Colour = (140, 170, 215)


WARDROBE = (
    Clothes(),
    Clothes((120, 110, 60), (50, 50, 55)),
    Clothes((60, 120, 90), (120, 90, 60), (20, 20, 25)),
    Clothes((150, 150, 60), (60, 60, 70), (60, 90, 130)),
    Clothes((50, 90, 190), (40, 40, 45)),
    Clothes((160, 130, 140), (90, 70, 50), (25, 30, 40)),
)
"""So that people can be told apart."""


def person(image: Image, feet: Point, height: float, stride: float = 0.0, clothes: Clothes = WARDROBE[0]) -> None:  # fmt: skip
    """Draw somebody who faces the camera.

    Args:
        image: (h, w, 3) uint8 BGR; is drawn upon.
        feet: where they stand, pixels.
        height: from feet to crown, pixels.
        stride: where in a step they are, radians; the same value stands still.
        clothes: what they wear.
    """
    unit = height / 8  # a head
    brush = _Brush(image, feet, unit)
    swing = math.sin(stride)
    for side, shade in ((-1, 0.75), (1, 1.0)):
        _leg(brush, side, swing, _dimmed(clothes.trousers, shade))
    trunk = [(-1.05, -6.5), (1.05, -6.5), (0.85, -5), (0.95, -3.5), (-0.95, -3.5), (-0.85, -5)]
    brush.fill(trunk, clothes.coat)
    brush.oval((0, -6.45), (1.05, 0.35), clothes.coat)
    brush.fill([(0.25, -6.6), (1.05, -6.5), (0.95, -3.5), (0.35, -3.5)], _dimmed(clothes.coat, 0.8))
    for side, shade in ((-1, 0.65), (1, 0.85)):
        _arm(brush, side, swing, _dimmed(clothes.coat, shade), clothes.skin)
    _head(brush, clothes)


def _leg(brush: _Brush, side: int, swing: float, colour: Colour) -> None:
    lean = 0.45 * swing * side
    knee = (side * 0.25 + 2 * math.sin(lean), -3.9 + 2 * math.cos(lean))
    foot = (knee[0] + 1.9 * math.sin(lean - 0.25 * abs(swing)), min(-0.1, knee[1] + 1.85))
    brush.limb((side * 0.35, -3.9), knee, (1.05, 0.8), colour)
    brush.limb(knee, foot, (0.75, 0.5), colour)
    brush.limb((foot[0] - 0.1, foot[1]), (foot[0] + 0.55, foot[1] + 0.1), (0.4, 0.3), (25, 25, 30))


def _arm(brush: _Brush, side: int, swing: float, colour: Colour, skin: Colour) -> None:
    lean = -0.4 * swing * side
    elbow = (side * 1.15 + 1.4 * math.sin(lean), -4.9)
    hand = (elbow[0] + 1.3 * math.sin(lean + 0.25), -3.6)
    brush.limb((float(side), -6.35), elbow, (0.62, 0.5), colour)
    brush.limb(elbow, hand, (0.48, 0.36), colour)
    brush.oval(hand, (0.24, 0.3), skin)


def _head(brush: _Brush, clothes: Clothes) -> None:
    brush.limb((0, -6.9), (0, -6.4), (0.45, 0.55), _dimmed(clothes.skin, 0.8))
    brush.oval((0, -7.4), (0.48, 0.62), clothes.skin)
    brush.oval((0, -7.55), (0.54, 0.58), clothes.hair, arc=(180, 360))
    for side in (-1, 1):
        brush.oval((side * 0.18, -7.38), (0.07, 0.05), (40, 40, 50))
    brush.oval((0, -7.2), (0.06, 0.1), _dimmed(clothes.skin, 0.8))
    brush.oval((0, -7.03), (0.17, 0.04), (90, 90, 160))


def car(image: Image, corner: Point, length: float, colour: Colour = (60, 40, 170), *, left: bool = False) -> None:  # fmt: skip
    """Draw a car from the side.

    Args:
        image: (h, w, 3) uint8 BGR; is drawn upon.
        corner: its left end, and the ground below its wheels, pixels.
        length: from bumper to bumper, pixels; it is a good third as high.
        colour: of its paint.
        left: it drives to the left.
    """
    origin = (corner[0] + length, corner[1]) if left else corner
    brush = _Brush(image, origin, length / 10, mirrored=left)
    brush.oval((5, -0.1), (5.1, 0.35), (45, 45, 48))
    body = [
        (0, -1.0), (0.1, -1.9), (0.5, -2.25), (2.2, -2.45), (3.4, -3.45), (3.9, -3.6), (6.4, -3.6), (7.0, -3.4),
        (8.3, -2.5), (9.5, -2.25), (9.95, -1.7), (10, -0.9), (9.6, -0.6), (0.3, -0.6),
    ]  # fmt: skip
    brush.fill(body, colour)
    brush.fill([(0, -1.3), (10, -1.3), (10, -0.9), (9.6, -0.6), (0.3, -0.6), (0, -1)], _dimmed(colour, 0.6))
    brush.fill([(0.4, -2.2), (9.6, -2.2), (9.4, -2.05), (0.3, -2.05)], _dimmed(colour, 1.35))
    for edge, window in (
        (2.6, [(2.6, -2.45), (3.6, -3.3), (4.8, -3.35), (4.8, -2.45)]),
        (5.0, [(5.0, -2.45), (5.0, -3.35), (6.5, -3.35), (7.9, -2.5)]),
    ):
        brush.fill(window, _GLASS)
        brush.fill([(edge + at, up) for at, up in ((0.3, -2.5), (1, -3.2), (1.3, -3.2), (0.6, -2.5))], _SHINE)
    brush.limb((4.9, -3.4), (4.9, -0.8), (0.05, 0.05), _dimmed(colour, 0.5))
    brush.oval((5.4, -1.95), (0.25, 0.06), _dimmed(colour, 0.4))
    for axle in (2.0, 8.0):
        _wheel(brush, axle)
    brush.oval((9.6, -1.75), (0.3, 0.22), (200, 240, 250))
    brush.oval((0.25, -1.8), (0.18, 0.28), (40, 40, 210))


def _wheel(brush: _Brush, axle: float) -> None:
    brush.oval((axle, -0.85), (1.0, 1.0), (25, 25, 25))
    brush.oval((axle, -0.75), (0.85, 0.85), _TYRE)
    brush.oval((axle, -0.75), (0.5, 0.5), _RIM)
    for spoke in range(5):
        turn = spoke * math.tau / 5
        end = (axle + 0.45 * math.cos(turn), -0.75 + 0.45 * math.sin(turn))
        brush.limb((axle, -0.75), end, (0.12, 0.12), (90, 90, 95))
    brush.oval((axle, -0.75), (0.15, 0.15), (60, 60, 60))


class _Brush:
    """Draws smooth shapes in units of something's own size, from a point of its own."""

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


def _dimmed(colour: Colour, share: float) -> Colour:
    """Darker below 1, lighter above."""
    blue, green, red = (min(255, round(part * share)) for part in colour)
    return blue, green, red
