"""A yard by day with cars that drive through and park, and people who walk."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from aihub.scenes.actors import WARDROBE, car, person
from aihub.scenes.canvas import SIZE, clouds, grain, slope
from aihub.types.frame import Image

CYCLE_S = 20.0
PARKED = (270, 178, 400, 226)
"""Where a car parks from 6 s to 15 s of each cycle: left, top, right, bottom; pixels."""


def _yard(rng: np.random.Generator) -> Image:
    picture = slope(SIZE[1], SIZE[0], (224, 200, 170), (216, 212, 204))
    cv2.rectangle(picture, (0, 40), (300, 128), (140, 150, 150), -1)
    for x in range(0, 300, 10):
        cv2.line(picture, (x, 40), (x, 128), (128, 138, 138), 1)
    cv2.rectangle(picture, (0, 34), (304, 42), (90, 94, 96), -1)
    for x in (24, 118, 212):
        cv2.rectangle(picture, (x, 66), (x + 62, 128), (96, 104, 112), -1)
        for y in range(72, 128, 8):
            cv2.line(picture, (x, y), (x + 62, y), (84, 92, 100), 1)
    for x, colour in ((320, (80, 96, 52)), (366, (66, 92, 48)), (420, (82, 104, 60)), (462, (70, 90, 50))):
        cv2.circle(picture, (x, 104), 30, colour, -1, cv2.LINE_AA)
    picture[124:] = slope(146, 480, (118, 122, 124), (146, 150, 152))
    ground = clouds(rng, 146, 480, 22)[..., None] * 20 - 10
    picture[124:] = np.clip(picture[124:] + ground, 0, 255).astype(np.uint8)
    for x in range(200, 480, 92):
        cv2.line(picture, (x, 176), (x - 14, 232), (222, 226, 228), 2, cv2.LINE_AA)
    cv2.line(picture, (0, 252), (480, 252), (206, 210, 212), 2)
    return grain(picture, rng, 2.0)


def draw(fps: float, seed: int) -> Iterator[Image]:
    """Endless pictures of the scene."""
    still = _yard(np.random.default_rng(seed))
    left, _, right, ground = PARKED
    length = right - left
    for number in range(1 << 30):
        time = number / fps
        cycle = time % CYCLE_S
        picture = still.copy()
        person(picture, (520 - 34 * (time % 17), 190), 84, 5 * time, WARDROBE[1])
        if 2 <= cycle < 18:
            come = min((cycle - 2) / 4, 1.0)
            go = max((cycle - 15) / 3, 0.0)
            rear = left - (left + length) * (1 - come) ** 2 + (SIZE[0] + 20 - left) * go**2
            car(picture, (rear, ground), length, (60, 66, 176))
        person(picture, (40 * (time % 14) - 40, 258), 112, 5 * time + 1, WARDROBE[2])
        yield picture
