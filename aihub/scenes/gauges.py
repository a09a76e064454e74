"""A staff gauge in the water: E marks of one centimetre and a number every ten, as on Chinese water gauges."""

from __future__ import annotations

import cv2
import numpy as np

from aihub.scenes.brush import Colour
from aihub.scenes.canvas import clouds
from aihub.scenes.drawings import clip, with_noise
from aihub.scenes.lettering import write
from aihub.types import Image

SIZE = (480, 360)
BLUE: Colour = (170, 70, 20)
LEFT, RIGHT, TOP = 190, 290, 14
PIXELS_PER_M = 330.0
HIGHEST_M = 1.0
"""What the upper end of the plate says, metres; it stands at `TOP`."""


def row_of(level_m: float) -> int:
    """The row at which a level stands, pixels."""
    return round(TOP + (HIGHEST_M - level_m) * PIXELS_PER_M)


def gauge(level_m: float, moment: float = 0.0) -> Image:
    """A plate of one metre in a canal, the water standing at that level; metres."""
    rng = np.random.default_rng(5)
    width, height = SIZE
    wall = 120 + 30 * clouds(rng, height, width, 30)
    image = np.repeat(wall[..., None], 3, axis=2).astype(np.uint8)
    cv2.rectangle(image, (LEFT, TOP), (RIGHT, height), (240, 244, 244), cv2.FILLED)
    for step in range(101):
        row = row_of(HIGHEST_M - step / 100)
        if row + 2 < height and step % 2 == 0:
            right = LEFT + (34 if step % 10 else 46)
            cv2.rectangle(image, (LEFT + 6, row), (right, row + 2), BLUE, cv2.FILLED)
    for tenth in range(10):
        row = row_of(tenth / 10)
        if row - 4 < height:
            write(image, str(tenth * 10), (LEFT + 50, row + 9), 26, BLUE, 600)
    surface = row_of(level_m)
    water = clouds(np.random.default_rng(6 + int(moment * 5)), height, width, 24)
    waves = np.stack([90 + 30 * water, 92 + 30 * water, 70 + 26 * water], axis=2)
    image[surface:] = np.clip(waves[surface:], 0, 255).astype(np.uint8)
    return with_noise(image, moment, 2.0)


@clip("gauge-rising")
def _rising(moment: float) -> Image:
    """From 0.35 m at the start, 6 cm a second up to 0.75 m."""
    return gauge(min(0.35 + 0.06 * moment, 0.75), moment)


@clip("gauge-low")
def _low(moment: float) -> Image:
    return gauge(0.35, moment)


@clip("gauge-away")
def _away(moment: float) -> Image:
    """The canal without a gauge."""
    image = gauge(0.35, moment)
    image[:, LEFT - 10 : RIGHT + 10] = image[:, :120]
    return image
