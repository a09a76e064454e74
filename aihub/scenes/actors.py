"""People and cars that the project draws itself, near enough to real ones that detectors take them for such.

What is found on them is synthetic evidence, and marked so wherever it is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from aihub.scenes.brush import Brush, Colour, Point, dimmed
from aihub.types import Image

_GLASS, _SHINE, _TYRE, _RIM = (70, 60, 50), (130, 120, 110), (30, 30, 30), (170, 170, 175)


@dataclass(frozen=True, slots=True)
class Clothes:
    """Blue, green, red of what somebody wears, 0..255; a hard hat or none."""

    coat: Colour = (70, 60, 150)
    trousers: Colour = (80, 60, 40)
    hair: Colour = (30, 40, 50)
    skin: Colour = (140, 170, 215)
    helmet: Colour | None = None


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
    brush = Brush(image, feet, unit)
    swing = math.sin(stride)
    for side, shade in ((-1, 0.75), (1, 1.0)):
        _leg(brush, side, swing, dimmed(clothes.trousers, shade))
    trunk = [(-1.05, -6.5), (1.05, -6.5), (0.85, -5), (0.95, -3.5), (-0.95, -3.5), (-0.85, -5)]
    brush.fill(trunk, clothes.coat)
    brush.oval((0, -6.45), (1.05, 0.35), clothes.coat)
    brush.fill([(0.25, -6.6), (1.05, -6.5), (0.95, -3.5), (0.35, -3.5)], dimmed(clothes.coat, 0.8))
    for side, shade in ((-1, 0.65), (1, 0.85)):
        _arm(brush, side, swing, dimmed(clothes.coat, shade), clothes.skin)
    _head(brush, clothes)


def _leg(brush: Brush, side: int, swing: float, colour: Colour) -> None:
    lean = 0.45 * swing * side
    knee = (side * 0.25 + 2 * math.sin(lean), -3.9 + 2 * math.cos(lean))
    foot = (knee[0] + 1.9 * math.sin(lean - 0.25 * abs(swing)), min(-0.1, knee[1] + 1.85))
    brush.limb((side * 0.35, -3.9), knee, (1.05, 0.8), colour)
    brush.limb(knee, foot, (0.75, 0.5), colour)
    brush.limb((foot[0] - 0.1, foot[1]), (foot[0] + 0.55, foot[1] + 0.1), (0.4, 0.3), (25, 25, 30))


def _arm(brush: Brush, side: int, swing: float, colour: Colour, skin: Colour) -> None:
    lean = -0.4 * swing * side
    elbow = (side * 1.15 + 1.4 * math.sin(lean), -4.9)
    hand = (elbow[0] + 1.3 * math.sin(lean + 0.25), -3.6)
    brush.limb((float(side), -6.35), elbow, (0.62, 0.5), colour)
    brush.limb(elbow, hand, (0.48, 0.36), colour)
    brush.oval(hand, (0.24, 0.3), skin)


def _head(brush: Brush, clothes: Clothes) -> None:
    brush.limb((0, -6.9), (0, -6.4), (0.45, 0.55), dimmed(clothes.skin, 0.8))
    brush.oval((0, -7.4), (0.48, 0.62), clothes.skin)
    brush.oval((0, -7.55), (0.54, 0.58), clothes.hair, arc=(180, 360))
    if clothes.helmet is not None:
        brush.oval((0, -7.6), (0.62, 0.72), clothes.helmet, arc=(180, 360))
        brush.fill([(-0.7, -7.68), (0.7, -7.68), (0.66, -7.52), (-0.66, -7.52)], dimmed(clothes.helmet, 0.85))
        brush.limb((0, -8.25), (0, -7.75), (0.16, 0.16), dimmed(clothes.helmet, 1.2))
    for side in (-1, 1):
        brush.oval((side * 0.18, -7.38), (0.07, 0.05), (40, 40, 50))
    brush.oval((0, -7.2), (0.06, 0.1), dimmed(clothes.skin, 0.8))
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
    brush = Brush(image, origin, length / 10, mirrored=left)
    brush.oval((5, -0.1), (5.1, 0.35), (45, 45, 48))
    body = [
        (0, -1.0), (0.1, -1.9), (0.5, -2.25), (2.2, -2.45), (3.4, -3.45), (3.9, -3.6), (6.4, -3.6), (7.0, -3.4),
        (8.3, -2.5), (9.5, -2.25), (9.95, -1.7), (10, -0.9), (9.6, -0.6), (0.3, -0.6),
    ]  # fmt: skip
    brush.fill(body, colour)
    brush.fill([(0, -1.3), (10, -1.3), (10, -0.9), (9.6, -0.6), (0.3, -0.6), (0, -1)], dimmed(colour, 0.6))
    brush.fill([(0.4, -2.2), (9.6, -2.2), (9.4, -2.05), (0.3, -2.05)], dimmed(colour, 1.35))
    for edge, window in (
        (2.6, [(2.6, -2.45), (3.6, -3.3), (4.8, -3.35), (4.8, -2.45)]),
        (5.0, [(5.0, -2.45), (5.0, -3.35), (6.5, -3.35), (7.9, -2.5)]),
    ):
        brush.fill(window, _GLASS)
        brush.fill([(edge + at, up) for at, up in ((0.3, -2.5), (1, -3.2), (1.3, -3.2), (0.6, -2.5))], _SHINE)
    brush.limb((4.9, -3.4), (4.9, -0.8), (0.05, 0.05), dimmed(colour, 0.5))
    brush.oval((5.4, -1.95), (0.25, 0.06), dimmed(colour, 0.4))
    for axle in (2.0, 8.0):
        _wheel(brush, axle)
    brush.oval((9.6, -1.75), (0.3, 0.22), (200, 240, 250))
    brush.oval((0.25, -1.8), (0.18, 0.28), (40, 40, 210))


def _wheel(brush: Brush, axle: float) -> None:
    brush.oval((axle, -0.85), (1.0, 1.0), (25, 25, 25))
    brush.oval((axle, -0.75), (0.85, 0.85), _TYRE)
    brush.oval((axle, -0.75), (0.5, 0.5), _RIM)
    for spoke in range(5):
        turn = spoke * math.tau / 5
        end = (axle + 0.45 * math.cos(turn), -0.75 + 0.45 * math.sin(turn))
        brush.limb((axle, -0.75), end, (0.12, 0.12), (90, 90, 95))
    brush.oval((axle, -0.75), (0.15, 0.15), (60, 60, 60))


def excavator(image: Image, corner: Point, length: float, colour: Colour = (30, 170, 235)) -> None:
    """Draw an excavator from the side, its bucket to the right.

    Args:
        image: (h, w, 3) uint8 BGR; is drawn upon.
        corner: the left end of its tracks, on the ground, pixels.
        length: from the left end of its tracks to its bucket, pixels.
        colour: of its paint.
    """
    brush = Brush(image, corner, length / 14)
    brush.limb((0.9, -0.9), (5.6, -0.9), (1.8, 1.8), (40, 40, 42))
    brush.limb((0.9, -0.9), (5.6, -0.9), (1.2, 1.2), (75, 75, 80))
    for wheel in range(5):
        brush.oval((1 + 1.12 * wheel, -0.85), (0.45, 0.45), (50, 50, 52))
    brush.fill([(2, -2.3), (4.6, -2.3), (4.4, -1.7), (2.2, -1.7)], (60, 60, 62))
    brush.fill([(-0.4, -4.1), (3.6, -4.4), (5.6, -3.4), (5.6, -2.2), (0, -2.2)], colour)
    brush.fill([(-0.4, -3), (5.6, -2.7), (5.6, -2.2), (0, -2.2)], dimmed(colour, 0.7))
    brush.fill([(0, -3.9), (1.6, -4), (1.6, -3), (0, -2.9)], dimmed(colour, 0.55))
    brush.fill([(3, -6.6), (5, -6.6), (5.6, -4.4), (5.6, -2.8), (3, -2.8)], dimmed(colour, 0.95))
    brush.fill([(3.3, -6.3), (4.8, -6.3), (5.3, -4.4), (5.3, -3.9), (3.3, -3.9)], _GLASS)
    brush.fill([(3.6, -4.2), (4.2, -6.1), (4.5, -6.1), (3.9, -4.2)], _SHINE)
    brush.limb((5, -3.1), (8.2, -7.6), (0.9, 1.2), colour)
    brush.limb((8.2, -7.6), (10.4, -6.6), (1.2, 0.8), colour)
    brush.limb((6, -3.4), (8, -6.4), (0.3, 0.2), (200, 200, 205))
    brush.limb((10, -6.9), (12.1, -2.4), (0.8, 0.5), dimmed(colour, 0.9))
    brush.limb((8.8, -7.4), (10.3, -7.2), (0.3, 0.2), (200, 200, 205))
    brush.fill(
        [(11.7, -2.7), (12.7, -2.6), (13.6, -1.3), (12.9, -0.3), (11.3, -0.5), (11, -1.4)], (60, 62, 66)
    )
    brush.fill(
        [(11.3, -0.5), (11.1, 0), (11.6, -0.4), (11.9, 0), (12.2, -0.35), (12.6, 0), (12.9, -0.3)],
        (120, 120, 125),
    )
