"""Drawn scenes of people who do not just stand: who fall, lift their hands, climb. Registered as `drawn:NAME` when imported."""

from __future__ import annotations

import math

import cv2
import numpy as np

from aihub.scenes.actors import WARDROBE, Clothes, person
from aihub.scenes.brush import Brush, Point, dimmed
from aihub.scenes.drawings import HEIGHT, WIDTH, clip, with_noise
from aihub.types import Image

FALL = 2.0
"""Seconds after which somebody falls, in `drawn:somebody-falls`."""


def room() -> Image:
    """A light wall and a wooden floor."""
    image = np.full((HEIGHT, WIDTH, 3), (205, 212, 215), np.uint8)
    image[200:] = (120, 150, 175)
    for x in range(0, WIDTH, 64):
        cv2.line(image, (x, 200), (int((x - 320) * 2.2 + 320), HEIGHT), (100, 130, 155), 1, cv2.LINE_AA)
    cv2.rectangle(image, (0, 190), (WIDTH, 200), (90, 100, 110), cv2.FILLED)
    cv2.rectangle(image, (60, 50), (140, 190), (80, 100, 130), cv2.FILLED)
    return image


def tilted(image: Image, feet: Point, height: float, angle: float, clothes: Clothes) -> None:
    """Somebody who leans about their feet; 90 degrees lies on the floor, the head to the right."""
    side = int(height * 2.4)
    middle = (side / 2, side / 2)
    body, ground = (np.full((side, side, 3), shade, np.uint8) for shade in (0, 255))
    for canvas in (body, ground):
        person(canvas, middle, height, 0.0, clothes)
    cover = np.where(np.abs(ground.astype(np.int16) - body).max(axis=2) > 0, 0, 255).astype(np.uint8)
    turn = np.asarray(cv2.getRotationMatrix2D(middle, -angle, 1.0), np.float64)
    turn[:, 2] += np.array(feet) - middle
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(body, turn, size).astype(np.float32)
    share = cv2.warpAffine(cover, turn, size).astype(np.float32)[..., None] / 255
    image[:] = (image * (1 - share) + moved * share).astype(np.uint8)


def figure(image: Image, feet: Point, height: float, hands: tuple[Point, Point], clothes: Clothes, bend: float = 0.0) -> None:  # fmt: skip
    """Somebody who faces the camera, with their hands where they are put.

    Args:
        image: (h, w, 3) uint8 BGR; is drawn upon.
        feet: where they stand, pixels.
        height: from feet to crown, pixels, when the legs are straight.
        hands: of the left and of the right of the picture, in eighths of the height from the feet, up is negative.
        clothes: what they wear.
        bend: how far the knees are to the sides, in eighths of the height.
    """
    brush = Brush(image, feet, height / 8)
    for side, shade in ((-1, 0.75), (1, 1.0)):
        knee, foot = (side * (0.4 + bend), -2.0), (side * (0.45 + 0.3 * bend), -0.15)
        brush.limb((side * 0.4, -3.9), knee, (1.0, 0.8), dimmed(clothes.trousers, shade))
        brush.limb(knee, foot, (0.75, 0.5), dimmed(clothes.trousers, shade))
        brush.limb(foot, (foot[0] + side * 0.3, foot[1] + 0.05), (0.4, 0.35), (25, 25, 30))
    brush.fill(
        [(-1.05, -6.5), (1.05, -6.5), (0.85, -5), (0.95, -3.5), (-0.95, -3.5), (-0.85, -5)], clothes.coat
    )
    brush.oval((0, -6.45), (1.05, 0.35), clothes.coat)
    for side, hand in zip((-1, 1), hands, strict=True):
        shoulder = (side * 1.0, -6.3)
        elbow = ((shoulder[0] + hand[0]) / 2 + side * 0.5, (shoulder[1] + hand[1]) / 2)
        brush.limb(shoulder, elbow, (0.62, 0.5), dimmed(clothes.coat, 0.85))
        brush.limb(elbow, hand, (0.48, 0.36), dimmed(clothes.coat, 0.75))
        brush.oval(hand, (0.27, 0.33), clothes.skin)
    brush.limb((0, -6.9), (0, -6.4), (0.45, 0.55), dimmed(clothes.skin, 0.8))
    brush.oval((0, -7.4), (0.48, 0.62), clothes.skin)
    brush.oval((0, -7.55), (0.54, 0.58), clothes.hair, arc=(180, 360))
    for side in (-1, 1):
        brush.oval((side * 0.18, -7.38), (0.07, 0.05), (40, 40, 50))
    brush.oval((0, -7.2), (0.06, 0.1), dimmed(clothes.skin, 0.8))
    brush.oval((0, -7.03), (0.17, 0.04), (90, 90, 160))


@clip("somebody-falls")
def somebody_falls(moment: float) -> Image:
    """Two people stand in a room; at `FALL` seconds one falls to the floor and stays there."""
    image = room()
    person(image, (150, 330), 190, 0.0, WARDROBE[2])
    angle = 90 * min(max(moment - FALL, 0) / 0.5, 1.0) ** 2
    tilted(image, (300, 318), 200, angle, WARDROBE[0])
    return with_noise(image, moment)


@clip("hands-up-from-1s")
def hands_up_from_1s(moment: float) -> Image:
    """Two people in a room; from 1 s on one of them waves with both hands above the head."""
    image = room()
    person(image, (150, 330), 190, 0.0, WARDROBE[2])
    sway = 0.35 * math.sin(7 * moment)
    hands = ((-1.9 + sway, -9.0), (1.9 + sway, -9.0)) if moment >= 1 else ((-1.5, -3.7), (1.5, -3.7))
    figure(image, (400, 345), 220, hands, WARDROBE[4])
    return with_noise(image, moment)


@clip("one-hand-up")
def one_hand_up(moment: float) -> Image:
    """Somebody waves with one hand."""
    image = room()
    sway = 0.35 * math.sin(7 * moment)
    figure(image, (330, 345), 220, ((-1.9 + sway, -9.0), (1.5, -3.7)), WARDROBE[4])
    return with_noise(image, moment)


def _fence(image: Image) -> None:
    cv2.rectangle(image, (250, 170), (WIDTH, 322), (150, 160, 168), cv2.FILLED)
    for y in range(170, 322, 38):
        cv2.line(image, (250, y), (WIDTH, y), (120, 130, 140), 2)
    for x in range(250, WIDTH, 60):
        cv2.line(image, (x, 170), (x, 322), (128, 138, 146), 1)
    cv2.rectangle(image, (244, 162), (WIDTH, 174), (90, 100, 110), cv2.FILLED)


def _yard() -> Image:
    image = np.full((HEIGHT, WIDTH, 3), (222, 205, 180), np.uint8)
    image[240:] = (105, 125, 122)
    _fence(image)
    return image


@clip("somebody-climbs")
def somebody_climbs(moment: float) -> Image:
    """Somebody stands before a wall, and from 1.5 s on climbs up on it."""
    image = _yard()
    up = min(max((moment - 1.5) / 2, 0), 1.0)
    hold = 0.25 * math.sin(8 * moment) if 0 < up < 1 else 0.0
    hands = ((-1.5, -3.7), (1.5, -3.7)) if up in (0, 1) else ((-1.6, -8.4 + hold), (1.6, -8.4 - hold))
    figure(image, (440, 334 - 164 * up), 165, hands, WARDROBE[4], bend=0.7 if 0 < up < 1 else 0.0)
    return with_noise(image, moment)


@clip("somebody-walks-by")
def somebody_walks_by(moment: float) -> Image:
    """Somebody walks along a wall and stays on the ground."""
    image = _yard()
    person(image, (300 + 60 * moment, 334), 165, 6 * moment, WARDROBE[4])
    return with_noise(image, moment)


@clip("guard-nods-off")
def guard_nods_off(moment: float) -> Image:
    """Somebody at a post moves the arms, and from 2 s on does not stir any more."""
    image = room()
    sway = 0.5 * math.sin(5 * min(moment, 2.0))
    figure(image, (330, 345), 230, ((-1.5 - sway, -4.2 - sway), (1.5 + sway, -4.2 + sway)), WARDROBE[1])
    return with_noise(image, moment)
