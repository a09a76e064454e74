"""Drawn scenes of what people leave, take, carry and do in public places: registered as `drawn:NAME` when this is imported."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import cv2
import numpy as np

from aihub.scenes.actors import WARDROBE, person
from aihub.scenes.brush import Brush, Colour, Point, dimmed
from aihub.scenes.drawings import HEIGHT, WIDTH, clip, picture, street
from aihub.scenes.ground import heap
from aihub.types import Image

STEPS_PER_SECOND = 6.0
GROUND = 335.0
TALL = 150.0
PUT_DOWN_S = 1.8
"""When the thing is set down, or taken."""
SPOT = (330.0, GROUND)
"""Where it stands."""


def _seen(image: Image, moment: float) -> Image:
    """The picture as a sensor sees it at that moment: grey noise of two levels, the same for the same moment."""
    noise = np.random.default_rng(round(moment * 1000)).standard_normal((HEIGHT, WIDTH), np.float32)
    levels = np.repeat(np.round(2 * noise).astype(np.int16)[..., None], 3, axis=2)
    return np.asarray(cv2.add(image.astype(np.int16), levels).clip(0, 255), np.uint8)


@cache
def _street() -> Image:
    made = street()
    made.setflags(write=False)
    return made


def suitcase(image: Image, foot: Point, height: float, colour: Colour = (40, 40, 170)) -> None:
    """Draw a suitcase on wheels, seen from its right, with its handle drawn out.

    Args:
        image: (h, w, 3) uint8 BGR; is drawn upon.
        foot: the middle of its lower edge, pixels.
        height: from wheels to handle, pixels.
        colour: of it.
    """
    brush, half, top = Brush(image, foot, height / 10), 3.1, 7.4
    brush.oval((0.75, 0), (4.0, 0.45), (95, 100, 105))
    for side in (-1, 1):
        brush.limb((side * 0.9 + 0.75, -top), (side * 0.9 + 0.75, -9.7), (0.22, 0.22), (150, 150, 155))
        brush.limb((side * half * 0.7, -0.6), (side * half * 0.7, -0.3), (0.7, 0.7), (25, 25, 28))
    brush.limb((-0.35, -9.8), (1.85, -9.8), (0.5, 0.5), (40, 40, 44))
    brush.fill(
        [(half, -0.7), (half + 1.5, -1.15), (half + 1.5, -top - 0.45), (half, -top)], dimmed(colour, 0.5)
    )
    brush.fill(
        [(-half, -top), (half, -top), (half + 1.5, -top - 0.45), (1.5 - half, -top - 0.45)],
        dimmed(colour, 1.25),
    )
    for x in np.linspace(-half, half, 30).tolist():
        shade = 0.8 + 0.38 * math.exp(-(((x + half * 0.3) / (half * 0.6)) ** 2))
        brush.limb((x * 0.95, 0.3 - top), (x * 0.95, -1.0), (0.45, 0.45), dimmed(colour, shade))
    for low, high, share in ((1.2, top * 0.55, 0.7), (top * 0.6, top * 0.92, 0.8)):
        wide = half * 0.75
        brush.fill([(-wide, -low), (wide, -low), (wide, -high), (-wide, -high)], dimmed(colour, share))
        brush.limb((-wide, -high), (wide, -high), (0.14, 0.14), (15, 15, 15))
    brush.limb((0, -top * 0.76), (0.7, -top * 0.76), (0.3, 0.3), (190, 190, 195))
    brush.limb((-0.7, -top - 0.2), (0.7, -top - 0.2), (0.35, 0.35), (30, 30, 33))


def crate(image: Image, foot: Point, width: float, colour: Colour = (90, 150, 190)) -> None:
    """Draw a wooden crate; arguments as for `suitcase`, `width` in pixels."""
    brush = Brush(image, foot, width / 10)
    brush.fill([(-5, 0), (5, 0), (5, -7), (-5, -7)], colour)
    for board in range(4):
        top = -7 + 1.75 * board
        brush.fill([(-5, top), (5, top), (5, top + 0.18), (-5, top + 0.18)], dimmed(colour, 0.55))
    for side in (-4.4, 0.0, 4.4):
        brush.fill(
            [(side - 0.6, -7), (side + 0.6, -7), (side + 0.6, 0), (side - 0.6, 0)], dimmed(colour, 0.8)
        )
    brush.fill([(-5, -7), (5, -7), (5.8, -7.9), (-4.2, -7.9)], dimmed(colour, 1.15))
    brush.fill([(5, 0), (5, -7), (5.8, -7.9), (5.8, -0.9)], dimmed(colour, 0.65))


def extinguisher(image: Image, foot: Point, height: float) -> None:
    """Draw a fire extinguisher on its hook; arguments as for `suitcase`."""
    brush = Brush(image, foot, height / 10)
    brush.fill([(-1.6, -0.2), (1.6, -0.2), (1.6, -7), (0.9, -8), (-0.9, -8), (-1.6, -7)], (30, 30, 200))
    brush.fill([(0.7, -0.2), (1.6, -0.2), (1.6, -7), (0.9, -8)], (20, 20, 140))
    brush.fill([(-1.6, -4.6), (1.6, -4.6), (1.6, -2.6), (-1.6, -2.6)], (225, 230, 235))
    brush.fill([(-0.6, -8), (0.6, -8), (0.6, -8.9), (-0.6, -8.9)], (40, 40, 44))
    brush.limb((-0.3, -9), (1.7, -9.6), (0.4, 0.4), (40, 40, 44))
    brush.limb((0.5, -8.6), (2.4, -6.5), (0.35, 0.35), (35, 35, 38))
    brush.limb((2.4, -6.5), (2.2, -3), (0.35, 0.35), (35, 35, 38))


def phone(image: Image, centre: Point, height: float) -> None:
    """Draw a phone, its screen to the camera; `centre` and `height` in pixels."""
    brush = Brush(image, centre, height / 10)
    brush.fill([(-2.6, -5), (2.6, -5), (2.6, 5), (-2.6, 5)], (25, 25, 28))
    brush.fill([(-2.2, -4.1), (2.2, -4.1), (2.2, 3.7), (-2.2, 3.7)], (205, 150, 90))
    for row in range(4):
        for column in range(3):
            brush.oval((-1.3 + 1.3 * column, -3 + 1.6 * row), (0.42, 0.42), (230, 235, 120 + 40 * row))
    brush.oval((0, 4.35), (0.4, 0.35), (90, 90, 95))
    brush.limb((-0.6, -4.55), (0.6, -4.55), (0.15, 0.15), (80, 80, 85))


def _walks(stops: tuple[tuple[float, float], ...], moment: float) -> tuple[float, bool]:
    """Place on a way of (seconds, pixels), and whether they move."""
    for (begin, here), (end, there) in pairwise(stops):
        if begin <= moment < end:
            return here + (there - here) * (moment - begin) / (end - begin), here != there
    return (stops[0] if moment < stops[0][0] else stops[-1])[1], False


def _walker(image: Image, moment: float, stops: tuple[tuple[float, float], ...], look: int = 0, feet: float = GROUND) -> float:  # fmt: skip
    x, moves = _walks(stops, moment)
    if -60 < x < WIDTH + 60:
        person(image, (x, feet), TALL, STEPS_PER_SECOND * moment if moves else 0.0, WARDROBE[look])
    return x


_VISIT = ((0.0, -20.0), (PUT_DOWN_S, SPOT[0] - 45), (2.0, SPOT[0] - 45), (3.4, -100.0))
"""Comes with something, sets it down at 1.8 s, leaves to the left by 3.4 s."""


@clip("crate-left")
def crate_left(moment: float) -> Image:
    """Somebody sets down a crate at 1.8 s and is gone at 3.4 s."""
    image = _street().copy()
    if moment >= PUT_DOWN_S:
        crate(image, SPOT, 70)
    _walker(image, moment, _VISIT)
    return _seen(image, moment)


@clip("light-changes")
def light_changes(moment: float) -> Image:
    """An empty street; at 2 s a cloud passes and all gets darker, at 3 s a shadow with a soft rim falls on the road."""
    image = _street().astype(np.float32)
    if moment >= 2:
        image *= 0.75
    if moment >= 3:
        shade = np.zeros((HEIGHT, WIDTH), np.float32)
        cv2.rectangle(shade, (200, 250), (420, 345), 1.0, cv2.FILLED)
        image *= 1 - 0.45 * np.asarray(cv2.GaussianBlur(shade, (0, 0), 14), np.float32)[..., None]
    return _seen(np.asarray(image, np.uint8), moment)


@clip("extinguisher-taken")
def extinguisher_taken(moment: float) -> Image:
    """Somebody takes the extinguisher from the wall at 1.8 s and is gone at 3.4 s."""
    image = _street().copy()
    if moment < PUT_DOWN_S:
        extinguisher(image, (SPOT[0], 235), 60)
    _walker(image, moment, _VISIT, feet=300)
    return _seen(image, moment)


@clip("extinguisher-in-place")
def extinguisher_in_place(moment: float) -> Image:
    """An extinguisher on a wall; somebody walks by."""
    image = _street().copy()
    extinguisher(image, (SPOT[0], 235), 60)
    _walker(image, moment, ((0.0, -60.0), (7.0, 760.0)))
    return _seen(image, moment)


@clip("runner")
def runner(moment: float) -> Image:
    """Somebody runs to the right at 1.9 body heights a second; somebody else walks at 0.4."""
    image = _street().copy()
    person(image, (560 - 0.4 * 130 * moment, 300), 130, STEPS_PER_SECOND * moment, WARDROBE[2])
    person(image, (40 + 1.9 * 120 * moment, GROUND), 120, 2 * STEPS_PER_SECOND * moment)
    return _seen(image, moment)


@clip("people-run")
def people_run(moment: float) -> Image:
    """Four people; from 1 s on they run to the right at 1.9 body heights a second."""
    image = _street().copy()
    for at in range(4):
        x = 40 + 75 * at + 1.9 * 100 * max(moment - 1, 0)
        stride = 2 * STEPS_PER_SECOND * max(moment - 1, 0) + at
        person(image, (x, 320 + 6 * (at % 2)), 100, stride, WARDROBE[at])
    return _seen(image, moment)


@clip("two-through-the-gate")
def two_through_the_gate(moment: float) -> Image:
    """Two people pass the middle to the right, one a second behind the other (at 2.5 s and 3.6 s)."""
    return _gate(moment, 1.1)


@clip("one-by-one-through-the-gate")
def one_by_one_through_the_gate(moment: float) -> Image:
    """Two people pass the middle to the right, three seconds apart (at 2.5 s and 5.5 s)."""
    return _gate(moment, 3.0)


def _gate(moment: float, gap: float) -> Image:
    image = _street().copy()
    for at in range(2):
        x = 320 + 90 * (moment - 2.5 - gap * at)
        if -60 < x < WIDTH + 60:
            person(image, (x, GROUND), TALL, STEPS_PER_SECOND * moment, WARDROBE[at])
    return _seen(image, moment)


@clip("in-and-out")
def in_and_out(moment: float) -> Image:
    """Two people pass the middle to the right (at 1.5 s and 3.5 s), one to the left (at 5.5 s)."""
    image = _street().copy()
    for at, (when, way) in enumerate(((1.5, 1), (3.5, 1), (5.5, -1))):
        x = 320 + way * 110 * (moment - when)
        if -60 < x < WIDTH + 60:
            person(image, (x, GROUND - 18 * (way < 0)), TALL, STEPS_PER_SECOND * moment, WARDROBE[at])
    return _seen(image, moment)


@clip("queue")
def queue(moment: float) -> Image:
    """Five people wait in a line; the foremost leaves to the right at 3.5 s, and every 2 s the next."""
    image = _street().copy()
    for at in range(5):
        leaves = 3.5 + 2 * at
        x = 420.0 - 80 * at
        if moment > leaves:
            x += 130 * (moment - leaves)
        if x < WIDTH + 60:
            moves = moment > leaves
            person(image, (x, GROUND), TALL, STEPS_PER_SECOND * moment if moves else 0.3 * at, WARDROBE[at])
    return _seen(image, moment)


@cache
def _hall() -> Image:
    """A light wall and a floor."""
    share = np.linspace(0, 1, HEIGHT)[:, None, None]
    made = np.full((HEIGHT, WIDTH, 3), (205.0, 212.0, 215.0))
    made[210:] = np.array((150.0, 160.0, 168.0)) * (0.8 + 0.35 * (share[210:] - 0.58) / 0.42)
    made[205:210] = (120, 125, 130)
    whole = made.astype(np.uint8)
    whole.setflags(write=False)
    return whole


@clip("phone-call")
def phone_call(moment: float) -> Image:
    """Somebody holds a phone beside the face."""
    image, sway = _hall().copy(), 2 * math.sin(moment)
    person(image, (300 + sway, 480), 420, 0, WARDROBE[3])
    brush = Brush(image, (300 + sway, 480), 420 / 8)
    brush.limb((1, -6.3), (0.86, -5), (0.6, 0.5), (80, 80, 40))
    brush.limb((0.86, -5), (0.96, -6.9), (0.5, 0.4), (80, 80, 40))
    at = (300 + sway + 0.12 * 420, 480 - 0.9 * 420)
    phone(image, at, 55)
    Brush(image, (at[0], at[1] + 23), 7).oval((0, 0), (1.8, 1.3), (140, 170, 215))
    return _seen(image, moment)


@clip("no-phone")
def no_phone(moment: float) -> Image:
    """The same person without a phone."""
    image = _hall().copy()
    person(image, (300 + 2 * math.sin(moment), 480), 420, 0, WARDROBE[3])
    return _seen(image, moment)


@cache
def _heap() -> Image:
    made = _street().copy()
    heap(made, (300, 330), 300, np.random.default_rng(7))
    made.setflags(write=False)
    return made


@clip("heap-dumped")
def heap_dumped(moment: float) -> Image:
    """An empty street; from 1.8 s on a heap of garbage lies in it."""
    return _seen(_heap() if moment >= PUT_DOWN_S else _street(), moment)


def _luggage(image: Image) -> None:
    suitcase(image, (330, 305), 169)
    suitcase(image, (482, 300), 135, (45, 45, 50))


@cache
def _hall_with_luggage() -> Image:
    made = _hall().copy()
    _luggage(made)
    made.setflags(write=False)
    return made


@clip("luggage-left")
def luggage_left(moment: float) -> Image:
    """Two suitcases in a hall and somebody beside them, who is gone at 2 s."""
    image = _hall_with_luggage().copy()
    x, moves = _walks(((0.0, 210.0), (0.6, 210.0), (2.0, -90.0)), moment)
    if x > -60:
        person(image, (x, 318), 200, STEPS_PER_SECOND * moment if moves else 0.0, WARDROBE[1])
    return _seen(image, moment)


@clip("luggage-attended")
def luggage_attended(moment: float) -> Image:
    """Two suitcases in a hall and somebody beside them."""
    image = _hall_with_luggage().copy()
    person(image, (210, 318), 200, 0.2 * math.sin(moment), WARDROBE[1])
    return _seen(image, moment)


@clip("luggage-brought")
def luggage_brought(moment: float) -> Image:
    """Somebody stands in a hall, at 1.8 s two suitcases are there, and at 3.4 s they are alone."""
    image = (_hall_with_luggage() if moment >= PUT_DOWN_S else _hall()).copy()
    x, moves = _walks(((0.0, 190.0), (2.0, 190.0), (3.4, -90.0)), moment)
    if x > -60:
        person(image, (x, 318), 200, STEPS_PER_SECOND * moment if moves else 0.0, WARDROBE[1])
    return _seen(image, moment)


def scissors(image: Image, pin: Point, length: float, turn: float, opening: float) -> None:
    """Draw open scissors with black handles.

    Args:
        image: (h, w, 3) uint8 BGR; is drawn upon.
        pin: where the blades cross, pixels.
        length: pixels.
        turn: where the blades point, radians clockwise from the right.
        opening: of each blade from there, radians.
    """
    brush, behind = Brush(image, pin, length / 20), tuple(image[5, 5].tolist())
    for side in (-1, 1):
        angle = turn + side * opening
        blade = [(-0.6, 0.15 * side), (9, 0.1 * side), (9.3, 0), (-0.6, -0.7 * side)]
        brush.fill(_turned(blade, angle), (200, 203, 206))
        shine = _turned([(0, -0.2 * side), (8.5, -0.02)], angle)
        brush.limb(shine[0], shine[1], (0.25, 0.1), (235, 236, 238))
        shank = _turned([(0, 0), (-4.2, -0.9 * side)], angle)
        brush.limb(shank[0], shank[1], (0.9, 1.0), (35, 35, 38))
        ring = _turned([(-6.3, -1.7 * side)], angle)[0]
        brush.oval(ring, (2.1, 1.7), (35, 35, 38))
        brush.oval(ring, (1.25, 0.95), behind)
    brush.oval((0, 0), (0.45, 0.45), (120, 122, 125))


def _turned(points: list[Point], angle: float) -> list[Point]:
    cosine, sine = math.cos(angle), math.sin(angle)
    return [(x * cosine - y * sine, x * sine + y * cosine) for x, y in points]


def _table() -> Image:
    slope = np.linspace(-12, 12, WIDTH)[None, :, None]
    return np.asarray(np.full((HEIGHT, WIDTH, 3), (90.0, 120.0, 150.0)) + slope, np.uint8)


@picture("scissors-on-table")
def scissors_on_table() -> Image:
    """Open scissors on a brown table, from near."""
    image = _table()
    scissors(image, (320, 180), 195, 1.74, 0.4)
    return _seen(image, 0)


@picture("empty-table")
def empty_table() -> Image:
    """The table without them."""
    return _seen(_table(), 0)
