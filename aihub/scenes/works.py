"""Drawn scenes of work: vests and hard hats, a machine that runs alone, a kitchen by night. Registered as `drawn:NAME` when imported."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from aihub.scenes.actors import WARDROBE, excavator, person
from aihub.scenes.brush import Brush
from aihub.scenes.drawings import HEIGHT, WIDTH, clip, street, with_noise
from aihub.types import Image

ORANGE, YELLOW = (10, 110, 250), (40, 200, 240)
MACHINE = ((0.5, 0.3), (0.72, 0.3), (0.72, 0.72), (0.5, 0.72))
"""Where the flywheel of `drawn:machine-left-running` is, relative corners."""
LEFT_AT = 2.0
"""Seconds after which its worker walks away; gone from the picture some 2 s later."""


@clip("one-without-vest")
def one_without_vest(moment: float) -> Image:
    """Three people with hard hats; the one on the left wears no orange vest."""
    return _team(moment, (WARDROBE[5].coat, ORANGE, ORANGE))


@clip("all-with-vests")
def all_with_vests(moment: float) -> Image:
    """Three people with hard hats and orange vests."""
    return _team(moment, (ORANGE, ORANGE, ORANGE))


def _team(moment: float, coats: tuple[tuple[int, int, int], ...]) -> Image:
    image = street()
    for at, coat in enumerate(coats):
        clothes = replace(WARDROBE[1], coat=coat, helmet=YELLOW)
        person(image, (140.0 + 180 * at, 345), 210, 6 * moment + at, clothes)
    return with_noise(image, moment)


@clip("man-walks-to-excavator")
def man_walks_to_excavator(moment: float) -> Image:
    """Somebody walks towards an excavator from the right, and stands beside it from 3 s on."""
    image = np.full((HEIGHT, WIDTH, 3), (215, 200, 180), np.uint8)
    image[220:] = (90, 120, 150)
    excavator(image, (10, 320), 380)
    x = max(600 - 60 * moment, 420.0)
    clothes = replace(WARDROBE[2], helmet=YELLOW)
    person(image, (x, 335), 170, 6 * moment if x > 420 else 0.0, clothes)
    return with_noise(image, moment)


@clip("machine-left-running")
def machine_left_running(moment: float) -> Image:
    """A flywheel turns all the time; somebody stands beside it, and walks away at `LEFT_AT` seconds."""
    return _workshop(moment, stops=False)


@clip("machine-stopped")
def machine_stopped(moment: float) -> Image:
    """The same, but the flywheel is stopped before the worker goes."""
    return _workshop(moment, stops=True)


def _workshop(moment: float, *, stops: bool) -> Image:
    image = np.full((HEIGHT, WIDTH, 3), (190, 196, 192), np.uint8)
    image[270:] = (120, 124, 128)
    cv2.rectangle(image, (300, 90), (480, 285), (120, 110, 70), cv2.FILLED)
    cv2.rectangle(image, (300, 90), (480, 285), (70, 66, 44), 3)
    turn = 5.2 * (min(moment, LEFT_AT) if stops else moment)
    brush = Brush(image, (391, 184), 62)
    brush.oval((0, 0), (1.0, 1.0), (60, 62, 66))
    brush.oval((0, 0), (0.86, 0.86), (150, 154, 158))
    for spoke in range(5):
        angle = turn + spoke * math.tau / 5
        brush.limb((0, 0), (0.82 * math.cos(angle), 0.82 * math.sin(angle)), (0.26, 0.2), (50, 52, 56))
    brush.oval((0, 0), (0.2, 0.2), (30, 30, 160))
    x = 210 - 120 * max(moment - LEFT_AT, 0)
    if x > -60:
        person(
            image, (x, 345), 220, 6 * moment if moment > LEFT_AT else 0.0, replace(WARDROBE[3], helmet=YELLOW)
        )
    return with_noise(image, moment)


def _kitchen(light: float) -> Image:
    image = np.full((HEIGHT, WIDTH, 3), (150, 155, 150), np.uint8)
    image[230:] = (120, 125, 132)
    for y in range(230, HEIGHT, 26):
        cv2.line(image, (0, y), (WIDTH, y), (105, 110, 118), 1)
    for x in range(0, WIDTH, 40):
        cv2.line(image, (x, 230), (int((x - 320) * 1.7 + 320), HEIGHT), (105, 110, 118), 1)
    for left in (30, 250, 470):
        cv2.rectangle(image, (left, 120), (left + 150, 236), (170, 172, 175), cv2.FILLED)
        cv2.rectangle(image, (left, 120), (left + 150, 132), (110, 112, 116), cv2.FILLED)
        cv2.rectangle(image, (left + 60, 170), (left + 90, 176), (80, 82, 86), cv2.FILLED)
    return np.asarray(image * light, np.uint8)


def _rat(image: Image, x: float, y: float, stride: float) -> None:
    brush = Brush(image, (x, y), 9)
    brush.limb((-1.2, -0.5), (-2.8, -0.2 + 0.2 * math.sin(stride)), (0.2, 0.1), (16, 18, 20))
    brush.oval((0, -0.55), (1.3, 0.6), (14, 14, 15))
    brush.oval((1.4, -0.6), (0.6, 0.4), (12, 12, 13))
    for side in (-0.7, 0.7):
        brush.limb((side, -0.3), (side + 0.3 * math.sin(stride + side), 0.15), (0.25, 0.2), (10, 10, 11))


@clip("rat-in-kitchen")
def rat_in_kitchen(moment: float) -> Image:
    """A dark kitchen; from 2 s on a rat runs along the floor."""
    image = _kitchen(0.4)
    if moment >= 2:
        _rat(image, 60 + 130 * (moment - 2), 300 + 12 * math.sin(2 * moment), 20 * moment)
    return with_noise(image, moment, 3.0)


@clip("kitchen-by-night")
def kitchen_by_night(moment: float) -> Image:
    """A dark kitchen in which nothing moves; a lamp of a machine blinks."""
    image = _kitchen(0.4)
    if int(moment * 2) % 2:
        cv2.circle(image, (330, 126), 4, (60, 220, 60), cv2.FILLED, cv2.LINE_AA)
    return with_noise(image, moment, 3.0)


@clip("rat-by-day")
def rat_by_day(moment: float) -> Image:
    """The same rat in the light."""
    image = _kitchen(1.0)
    if moment >= 2:
        _rat(image, 60 + 130 * (moment - 2), 300 + 12 * math.sin(2 * moment), 20 * moment)
    return with_noise(image, moment, 3.0)
