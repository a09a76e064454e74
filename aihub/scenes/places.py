"""Drawn scenes of what people leave, take, carry and do in public places: registered as `drawn:NAME` when this is imported."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import cv2
import numpy as np

from aihub.scenes.actors import WARDROBE, person
from aihub.scenes.brush import Brush, Colour, Point, dimmed
from aihub.scenes.drawings import HEIGHT, WIDTH, clip, street, with_noise
from aihub.scenes.ground import heap
from aihub.types import Image

STEPS_PER_SECOND = 6.0
GROUND = 335.0
TALL = 150.0
PUT_DOWN_S = 2.0
"""When the thing is set down, or taken."""
SPOT = (330.0, GROUND)
"""Where it stands."""


@cache
def _street() -> Image:
    made = street()
    made.setflags(write=False)
    return made


def suitcase(image: Image, foot: Point, height: float, colour: Colour = (150, 60, 30)) -> None:
    """Draw a suitcase on wheels, its handle drawn out.

    Args:
        image: (h, w, 3) uint8 BGR; is drawn upon.
        foot: the middle of its lower edge, pixels.
        height: from wheels to handle, pixels.
        colour: of it.
    """
    brush = Brush(image, foot, height / 10)
    for side in (-1, 1):
        brush.limb((side * 1.1, -6.6), (side * 1.1, -9.9), (0.22, 0.22), (140, 140, 145))
        brush.oval((side * 2.1, -0.35), (0.4, 0.4), (30, 30, 32))
    brush.limb((-1.1, -9.8), (1.1, -9.8), (0.5, 0.5), (40, 40, 44))
    brush.fill([(-2.6, -0.6), (2.6, -0.6), (2.7, -1.2), (2.7, -6.4), (2.3, -6.9), (-2.3, -6.9), (-2.7, -6.4), (-2.7, -1.2)], colour)  # fmt: skip
    for rib in (-1.6, -0.8, 0.0, 0.8, 1.6):
        brush.limb((rib, -6.3), (rib, -1.2), (0.18, 0.18), dimmed(colour, 0.7))
        brush.limb((rib + 0.2, -6.3), (rib + 0.2, -1.2), (0.1, 0.1), dimmed(colour, 1.35))
    brush.fill([(-2.7, -3.9), (2.7, -3.9), (2.7, -3.6), (-2.7, -3.6)], dimmed(colour, 0.55))
    brush.limb((-0.8, -7.0), (0.8, -7.0), (0.35, 0.35), (35, 35, 38))
    brush.fill([(2.1, -6.8), (2.7, -6.4), (2.7, -1.2), (2.4, -0.7), (2.1, -0.7)], dimmed(colour, 0.75))


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


_VISIT = ((0.0, 120.0), (PUT_DOWN_S, SPOT[0] - 45), (2.4, SPOT[0] - 45), (5.0, -100.0))
"""Comes with something, sets it down at 2 s, leaves to the left by 5 s."""


@clip("suitcase-left")
def suitcase_left(moment: float) -> Image:
    """Somebody comes with a suitcase, leaves it at 2 s and is gone at 5 s."""
    image = _street().copy()
    x = _walker(image, moment, _VISIT)
    suitcase(image, SPOT if moment >= PUT_DOWN_S else (x + 45, GROUND), 75)
    return with_noise(image, moment)


@clip("suitcase-attended")
def suitcase_attended(moment: float) -> Image:
    """Somebody stands beside a suitcase all the time."""
    image = _street().copy()
    person(image, (SPOT[0] - 60, GROUND), TALL)
    suitcase(image, SPOT, 75)
    return with_noise(image, moment)


@clip("crate-left")
def crate_left(moment: float) -> Image:
    """Somebody sets down a crate at 2 s and is gone at 5 s."""
    image = _street().copy()
    if moment >= PUT_DOWN_S:
        crate(image, SPOT, 70)
    _walker(image, moment, _VISIT)
    return with_noise(image, moment)


@clip("light-changes")
def light_changes(moment: float) -> Image:
    """An empty street; at 3 s a cloud passes and all gets darker, at 5 s a shadow with a soft rim falls on the road."""
    image = _street().astype(np.float32)
    if moment >= 3:
        image *= 0.75
    if moment >= 5:
        shade = np.zeros((HEIGHT, WIDTH), np.float32)
        cv2.rectangle(shade, (200, 250), (420, 345), 1.0, cv2.FILLED)
        image *= 1 - 0.45 * np.asarray(cv2.GaussianBlur(shade, (0, 0), 14), np.float32)[..., None]
    return with_noise(np.asarray(image, np.uint8), moment)


@clip("extinguisher-taken")
def extinguisher_taken(moment: float) -> Image:
    """Somebody takes the extinguisher from the wall at 2 s and is gone at 5 s."""
    image = _street().copy()
    if moment < PUT_DOWN_S:
        extinguisher(image, (SPOT[0], 235), 60)
    _walker(image, moment, _VISIT, feet=300)
    return with_noise(image, moment)


@clip("extinguisher-in-place")
def extinguisher_in_place(moment: float) -> Image:
    """An extinguisher on a wall; somebody walks by."""
    image = _street().copy()
    extinguisher(image, (SPOT[0], 235), 60)
    _walker(image, moment, ((0.0, -60.0), (7.0, 760.0)))
    return with_noise(image, moment)


@clip("runner")
def runner(moment: float) -> Image:
    """Somebody runs to the right at 1.9 body heights a second; somebody else walks at 0.4."""
    image = _street().copy()
    person(image, (560 - 0.4 * 130 * moment, 300), 130, STEPS_PER_SECOND * moment, WARDROBE[2])
    person(image, (40 + 1.9 * 120 * moment, GROUND), 120, 2 * STEPS_PER_SECOND * moment)
    return with_noise(image, moment)


@clip("people-run")
def people_run(moment: float) -> Image:
    """Four people; from 2 s on they run to the right at 1.9 body heights a second."""
    image = _street().copy()
    for at in range(4):
        x = 40 + 75 * at + 1.9 * 100 * max(moment - 2, 0)
        stride = 2 * STEPS_PER_SECOND * max(moment - 2, 0) + at
        person(image, (x, 320 + 6 * (at % 2)), 100, stride, WARDROBE[at])
    return with_noise(image, moment)


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
    return with_noise(image, moment)


@clip("in-and-out")
def in_and_out(moment: float) -> Image:
    """Two people pass the middle to the right (at 1.5 s and 3.5 s), one to the left (at 5.5 s)."""
    image = _street().copy()
    for at, (when, way) in enumerate(((1.5, 1), (3.5, 1), (5.5, -1))):
        x = 320 + way * 110 * (moment - when)
        if -60 < x < WIDTH + 60:
            person(image, (x, GROUND - 18 * (way < 0)), TALL, STEPS_PER_SECOND * moment, WARDROBE[at])
    return with_noise(image, moment)


@clip("queue")
def queue(moment: float) -> Image:
    """Five people wait in a line; the foremost leaves to the right at 5 s and the next at 8 s."""
    image = _street().copy()
    for at in range(5):
        leaves = 5.0 + 3 * at
        x = 420.0 - 80 * at
        if moment > leaves:
            x += 130 * (moment - leaves)
        if x < WIDTH + 60:
            moves = moment > leaves
            person(image, (x, GROUND), TALL, STEPS_PER_SECOND * moment if moves else 0.3 * at, WARDROBE[at])
    return with_noise(image, moment)


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
    return with_noise(image, moment)


@clip("no-phone")
def no_phone(moment: float) -> Image:
    """The same person without a phone."""
    image = _hall().copy()
    person(image, (300 + 2 * math.sin(moment), 480), 420, 0, WARDROBE[3])
    return with_noise(image, moment)


@cache
def _heap() -> Image:
    made = _street().copy()
    heap(made, (300, 330), 300, np.random.default_rng(7))
    made.setflags(write=False)
    return made


@clip("heap-dumped")
def heap_dumped(moment: float) -> Image:
    """An empty street; from 2 s on a heap of garbage lies in it."""
    return with_noise(_heap() if moment >= PUT_DOWN_S else _street(), moment)
