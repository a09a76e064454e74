"""A yard by day with cars that drive through and park, and people who walk."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from aihub.bench.scenes.canvas import SIZE, Colour, clouds, grain, slope
from aihub.bench.scenes.street import car
from aihub.types.frame import Image

CYCLE_S = 20.0
PARKED = (286, 186, 374, 226)
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


def _person(picture: Image, x: float, ground: int, time: float, coat: Colour, size: float = 1.0) -> None:
    swing = float(np.sin(time * 7)) * 5 * size

    def at(across: float, up: float) -> tuple[int, int]:
        return round(x + across * size), round(ground - up * size)

    thick = max(round(4 * size), 2)
    cv2.ellipse(
        picture, at(0, 0), (round(9 * size), round(2 * size)), 0, 0, 360, (92, 96, 98), -1, cv2.LINE_AA
    )
    for way in (1, -1):
        foot = (round(x + way * swing), ground)
        cv2.line(picture, at(0, 20), foot, (60, 48, 40), thick, cv2.LINE_AA)
        hand = (round(x - way * swing), round(ground - 22 * size))
        cv2.line(picture, at(0, 35), hand, coat, max(thick - 1, 1), cv2.LINE_AA)
    cv2.ellipse(picture, at(0, 29), (round(5.5 * size), round(11 * size)), 0, 0, 360, coat, -1, cv2.LINE_AA)
    cv2.circle(picture, at(0, 45), max(round(4.6 * size), 2), (150, 178, 214), -1, cv2.LINE_AA)
    cv2.ellipse(
        picture, at(0, 47), (round(4.6 * size), round(3.2 * size)), 0, 180, 360, (40, 44, 56), -1, cv2.LINE_AA
    )


def draw(fps: float, seed: int) -> Iterator[Image]:
    """Endless pictures of the scene."""
    still = _yard(np.random.default_rng(seed))
    middle, ground = (PARKED[0] + PARKED[2]) // 2, PARKED[3]
    for number in range(1 << 30):
        time = number / fps
        cycle = time % CYCLE_S
        picture = still.copy()
        _person(picture, 500 - 34 * (time % 16), 168, time, (120, 70, 40), 0.8)
        if 2 <= cycle < 18:
            come = min((cycle - 2) / 4, 1.0)
            go = max((cycle - 15) / 3, 0.0)
            x = -60 + (middle + 60) * (1 - (1 - come) ** 2) + (540 - middle) * go**2
            car(picture, round(x), ground, (60, 66, 176), scale=1.3)
        _person(picture, -20 + 40 * (time % 13), 246, time + 1, (60, 130, 70), 1.15)
        yield picture
