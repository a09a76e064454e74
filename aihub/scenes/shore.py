"""Drawn water with people and boats: registered as `drawn:NAME` when this is imported."""

from __future__ import annotations

import cv2
import numpy as np

from aihub.scenes.actors import WARDROBE, person
from aihub.scenes.drawings import HEIGHT, WIDTH, clip, with_noise
from aihub.scenes.vehicles import boat
from aihub.types import Image

SHORE = 300
"""Where the water ends and the bank begins, pixels from the top."""


def lake() -> Image:
    """Sky, water with waves, and a bank of grass in front."""
    image = np.full((HEIGHT, WIDTH, 3), (225, 205, 180), np.uint8)
    image[190:SHORE] = (150, 120, 80)
    random = np.random.default_rng(1)
    for y in range(195, SHORE, 7):
        for x, long in zip(random.integers(0, WIDTH, 12), random.integers(20, 60, 12), strict=True):
            cv2.line(image, (int(x), y), (int(x + long), y), (175, 145, 105), 1)
    image[SHORE:] = (70, 130, 100)
    for x, y in zip(random.integers(0, WIDTH, 300), random.integers(SHORE, HEIGHT, 300), strict=True):
        cv2.line(image, (int(x), int(y)), (int(x) + 2, int(y) - 6), (60, 150, 110), 1)
    return image


@clip("boat-passes")
def boat_passes(moment: float) -> Image:
    """A motor boat to the right: in the left half from 0 s on, in the right half from 4 s on."""
    image = lake()
    boat(image, (20 + 60 * moment, 270), 190)
    return with_noise(image, moment)


@clip("walk-to-the-water")
def walk_to_the_water(moment: float) -> Image:
    """Somebody walks on the bank: from 3 s on they stand in its right third."""
    image = lake()
    x = 120 + 130 * min(moment, 3.0)
    person(image, (x, 345), 140, 6 * moment if moment < 3 else 0.0, WARDROBE[1])
    return with_noise(image, moment)
