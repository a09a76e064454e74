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
    turn = cv2.getRotationMatrix2D(middle, -angle, 1.0)
    turn[:, 2] += np.array(feet) - middle
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(body, turn, size).astype(np.float32)
    share = cv2.warpAffine(cover, turn, size).astype(np.float32)[..., None] / 255
    image[:] = (image * (1 - share) + moved * share).astype(np.uint8)


@clip("somebody-falls")
def somebody_falls(moment: float) -> Image:
    """Two people stand in a room; at `FALL` seconds one falls to the floor and stays there."""
    image = room()
    person(image, (150, 330), 190, 0.0, WARDROBE[2])
    angle = 90 * min(max(moment - FALL, 0) / 0.5, 1.0) ** 2
    tilted(image, (300, 318), 200, angle, WARDROBE[0])
    return with_noise(image, moment)
