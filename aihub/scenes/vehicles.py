"""Buses, lorries, two-wheelers and boats that the project draws itself, near enough to real ones that detectors take them for such.

What is found on them is synthetic evidence, and marked so wherever it is used.
"""

from __future__ import annotations

import math
from itertools import pairwise

from aihub.scenes.actors import WARDROBE, Clothes
from aihub.scenes.brush import Brush, Colour, Point, dimmed
from aihub.types import Image

_GLASS, _SHINE, _TYRE, _RIM = (70, 60, 50), (150, 140, 125), (28, 28, 28), (165, 165, 170)


def _side(image: Image, corner: Point, length: float, units: float, *, left: bool) -> Brush:
    origin = (corner[0] + length, corner[1]) if left else corner
    return Brush(image, origin, length / units, mirrored=left)


def _wheel(brush: Brush, axle: float, radius: float) -> None:
    brush.oval((axle, -radius), (radius * 1.12, radius * 1.12), (20, 20, 20))
    brush.oval((axle, -radius), (radius, radius), _TYRE)
    brush.oval((axle, -radius), (radius * 0.58, radius * 0.58), _RIM)
    brush.oval((axle, -radius), (radius * 0.2, radius * 0.2), (70, 70, 72))


def bus(image: Image, corner: Point, length: float, colour: Colour = (60, 150, 60), *, left: bool = False) -> None:  # fmt: skip
    """Draw a city bus from the side.

    Args:
        image: (h, w, 3) uint8 BGR; is drawn upon.
        corner: its left end, and the ground below its wheels, pixels.
        length: from bumper to bumper, pixels; it is a good quarter as high.
        colour: of its paint.
        left: it drives to the left.
    """
    brush = _side(image, corner, length, 24, left=left)
    brush.oval((12, -0.1), (12.2, 0.4), (45, 45, 48))
    brush.fill([(0, -0.8), (0, -6.4), (0.4, -6.8), (23.3, -6.8), (23.9, -6.2), (24, -0.8)], colour)
    brush.fill([(0, -0.8), (0, -2), (24, -2), (24, -0.8)], dimmed(colour, 0.65))
    brush.fill([(0, -2.5), (24, -2.5), (24, -2.25), (0, -2.25)], (235, 235, 235))
    brush.fill([(0.4, -7.2), (22, -7.2), (23, -6.75), (0.2, -6.75)], dimmed(colour, 1.25))
    brush.fill([(0.5, -6), (22.3, -6), (22.3, -3.2), (0.5, -3.2)], _GLASS)
    for post in (3.4, 6.3, 9.2, 12.1, 15.0, 17.9, 20.4):
        brush.fill([(post, -6), (post + 0.28, -6), (post + 0.28, -3.2), (post, -3.2)], dimmed(colour, 0.8))
    for pane in (1.2, 4.4, 7.3, 10.2, 13.1, 16.0):
        brush.fill([(pane, -3.4), (pane + 0.9, -5.8), (pane + 1.3, -5.8), (pane + 0.4, -3.4)], _SHINE)
    for door in (8.8, 19.4):
        brush.fill([(door, -5.9), (door + 2, -5.9), (door + 2, -1.1), (door, -1.1)], (40, 40, 42))
        for leaf in (0.15, 1.08):
            pane_ = [
                (door + leaf, -5.6),
                (door + leaf + 0.75, -5.6),
                (door + leaf + 0.75, -1.4),
                (door + leaf, -1.4),
            ]
            brush.fill(pane_, (100, 90, 78))
    brush.fill([(22.5, -6.1), (23.7, -5.9), (23.85, -2.9), (22.5, -2.9)], (90, 80, 68))
    brush.fill([(17, -6.75), (22, -6.75), (22, -6.15), (17, -6.15)], (25, 25, 25))
    brush.fill([(17.4, -6.6), (21.2, -6.6), (21.2, -6.3), (17.4, -6.3)], (60, 180, 250))
    brush.oval((23.7, -1.6), (0.3, 0.3), (200, 240, 250))
    brush.oval((0.15, -1.7), (0.2, 0.4), (40, 40, 210))
    for axle in (5.2, 17.4):
        _wheel(brush, axle, 1.05)


def truck(image: Image, corner: Point, length: float, colour: Colour = (190, 120, 40), *, left: bool = False) -> None:  # fmt: skip
    """Draw a lorry with a box body from the side. Arguments as for `bus`; it is half as high as long."""
    brush = _side(image, corner, length, 16, left=left)
    brush.oval((8, -0.1), (8.2, 0.4), (45, 45, 48))
    brush.fill([(0.2, -1.7), (15.6, -1.7), (15.6, -1), (0.2, -1)], (50, 50, 52))
    box: Colour = (222, 224, 226)
    brush.fill([(0, -7.2), (11, -7.2), (11, -1.8), (0, -1.8)], box)
    brush.fill([(0, -2.3), (11, -2.3), (11, -1.8), (0, -1.8)], (150, 152, 155))
    brush.fill([(0, -7.2), (11, -7.2), (11, -6.95), (0, -6.95)], (180, 182, 185))
    for rib in (2.2, 4.4, 6.6, 8.8):
        brush.limb((rib, -6.9), (rib, -2.4), (0.08, 0.08), (196, 198, 200))
    cab = [
        (11.4, -1.2),
        (11.4, -5.9),
        (12, -6.3),
        (13.7, -6.3),
        (14.5, -5.8),
        (15.4, -3.6),
        (15.8, -3.2),
        (15.8, -1.2),
    ]
    brush.fill(cab, colour)
    brush.fill([(11.4, -6), (10.9, -7), (12, -7), (13.4, -6.3)], dimmed(colour, 0.85))
    brush.fill([(12, -5.7), (13.4, -5.7), (13.4, -3.6), (12, -3.6)], _GLASS)
    brush.fill([(13.7, -5.7), (14.2, -5.6), (15, -3.7), (13.7, -3.7)], _GLASS)
    brush.fill([(12.2, -3.8), (12.9, -5.5), (13.2, -5.5), (12.5, -3.8)], _SHINE)
    brush.limb((13.55, -5.8), (13.55, -1.6), (0.06, 0.06), dimmed(colour, 0.5))
    brush.fill([(11.4, -2), (15.8, -2), (15.8, -1.2), (11.4, -1.2)], dimmed(colour, 0.6))
    brush.fill([(14.6, -1.3), (16, -1.3), (16, -0.7), (14.6, -0.7)], (60, 60, 62))
    brush.oval((15.5, -2.3), (0.28, 0.3), (200, 240, 250))
    brush.fill([(5, -1.7), (8.6, -1.7), (8.6, -0.9), (5, -0.9)], (90, 90, 94))
    for axle in (2.2, 4.2, 13.4):
        _wheel(brush, axle, 1.0)


def bicycle(image: Image, corner: Point, length: float, colour: Colour = (40, 40, 190), *, left: bool = False) -> None:  # fmt: skip
    """Draw a bicycle from the side. Arguments as for `bus`; it is two thirds as high as long."""
    brush = _side(image, corner, length, 17, left=left)
    for axle in (3.4, 13.4):
        _spoked(brush, axle, 3.3, -3.4)
    seat, head, crank = (6.0, -8.0), (11.6, -8.6), (7.4, -3.2)
    for begin, end in ((seat, crank), (crank, head), (head, (6.2, -7.2)), ((6.1, -7.4), (3.4, -3.4)), (crank, (3.4, -3.4)),
                       ((11.3, -9.6), (13.4, -3.4))):  # fmt: skip
        brush.limb(begin, end, (0.5, 0.5), colour)
    brush.limb((5.8, -8.2), seat, (0.35, 0.35), (60, 60, 60))
    brush.limb((4.7, -8.6), (6.9, -8.5), (0.9, 0.5), (25, 25, 25))
    brush.limb((11.2, -10), (12.2, -10.4), (0.4, 0.4), (50, 50, 50))
    brush.limb((12.2, -10.4), (12.5, -9.7), (0.45, 0.45), (25, 25, 25))
    brush.oval(crank, (1.0, 1.0), (70, 70, 72))
    brush.limb(crank, (8.4, -1.8), (0.35, 0.3), (90, 90, 92))
    brush.limb((7.9, -1.7), (9.0, -1.7), (0.4, 0.4), (30, 30, 30))


def _spoked(brush: Brush, axle: float, radius: float, height: float) -> None:
    parts = 32
    ring = [(axle + radius * math.cos(turn * math.tau / parts), height + radius * math.sin(turn * math.tau / parts))
            for turn in range(parts + 1)]  # fmt: skip
    for begin, end in pairwise(ring):
        brush.limb(begin, end, (0.5, 0.5), (28, 28, 28))
    for spoke in range(8):
        turn = spoke * math.tau / 8
        end = (axle + radius * math.cos(turn), height + radius * math.sin(turn))
        brush.limb((axle, height), end, (0.08, 0.08), (150, 150, 155))
    brush.oval((axle, height), (0.4, 0.4), (80, 80, 82))


def cyclist(
    image: Image, corner: Point, length: float, stride: float = 0.0, clothes: Clothes = WARDROBE[1], *, left: bool = False
) -> None:  # fmt: skip
    """Draw a bicycle and who rides it; `corner` and `length` are those of the bicycle, `stride` turns the pedals (radians)."""
    bicycle(image, corner, length, left=left)
    brush = _side(image, corner, length, 17, left=left)
    for turn, shade in ((stride + math.pi, 0.75), (stride, 1.0)):
        pedal = (7.4 + 1.4 * math.cos(turn), -3.0 + 1.4 * math.sin(turn))
        knee = (9.2 + 0.5 * math.cos(turn), -7.0 + 0.9 * math.sin(turn))
        brush.limb((5.9, -9.2), knee, (2.0, 1.4), dimmed(clothes.trousers, shade))
        brush.limb(knee, pedal, (1.3, 0.8), dimmed(clothes.trousers, shade))
        brush.limb((pedal[0] - 0.4, pedal[1]), (pedal[0] + 1.0, pedal[1] + 0.1), (0.8, 0.6), (25, 25, 30))
    brush.limb((5.9, -9.6), (8.0, -14.0), (2.4, 2.8), clothes.coat)
    brush.limb((8.2, -13.8), (10.0, -11.6), (1.2, 0.9), dimmed(clothes.coat, 0.8))
    brush.limb((10.0, -11.6), (12.0, -10.6), (0.9, 0.7), dimmed(clothes.coat, 0.85))
    brush.oval((12.1, -10.6), (0.5, 0.45), clothes.skin)
    brush.limb((8.4, -15.0), (8.7, -15.8), (1.0, 1.0), dimmed(clothes.skin, 0.8))
    brush.oval((9.0, -16.7), (1.2, 1.4), clothes.skin)
    brush.oval((8.8, -17.0), (1.35, 1.35), clothes.hair, arc=(170, 360))


def boat(image: Image, corner: Point, length: float, colour: Colour = (235, 235, 240), *, left: bool = False) -> None:  # fmt: skip
    """Draw a motor boat from the side; `corner` lies on the water line. Arguments as for `bus`."""
    brush = _side(image, corner, length, 20, left=left)
    brush.oval((10, 0.1), (10.4, 0.7), (120, 100, 70))
    brush.fill([(0.4, -3.2), (20.4, -3.8), (17.6, 0.2), (1.2, 0.2)], colour)
    brush.fill([(0.6, -2.3), (19.6, -2.7), (19.2, -2.1), (0.7, -1.8)], (150, 60, 30))
    brush.fill([(0.9, -0.7), (18.2, -0.7), (17.6, 0.2), (1.2, 0.2)], (60, 40, 40))
    brush.fill([(5, -3.3), (5.6, -6.6), (11.8, -6.8), (14.2, -3.6)], dimmed(colour, 0.95))
    brush.fill([(6, -4.2), (6.4, -6.1), (8.6, -6.15), (8.6, -4.2)], _GLASS)
    brush.fill([(9, -4.2), (9, -6.15), (11.5, -6.3), (12.9, -4.2)], _GLASS)
    brush.fill([(6.4, -4.4), (7.1, -5.9), (7.5, -5.9), (6.8, -4.4)], _SHINE)
    brush.fill([(5, -6.6), (12.6, -6.8), (12.4, -7.2), (5.2, -7)], (150, 60, 30))
    brush.limb((8.4, -7), (8.4, -10), (0.2, 0.12), (80, 80, 82))
    brush.limb((14.6, -4.4), (20.2, -4.7), (0.12, 0.12), (170, 170, 175))
    for post in (15, 17.4, 19.8):
        brush.limb((post, -4.5), (post, -3.6), (0.12, 0.12), (170, 170, 175))
