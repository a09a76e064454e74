"""A drawn street with cars whose number plates can be read. Registered as `drawn:NAME` when this is imported."""

from __future__ import annotations

import cv2
import numpy as np

from aihub.scenes.brush import Brush, dimmed
from aihub.scenes.drawings import HEIGHT, WIDTH, clip, with_noise
from aihub.types import Image

PLATE = "京A8H279"
"""What the plate of the drawn car says."""
_CAPITAL = (((68, 30), (74, 56)), ((28, 62), (112, 62)), ((46, 82), (94, 82)), ((46, 82), (46, 116)), ((94, 82), (94, 116)),
            ((46, 116), (94, 116)), ((70, 116), (70, 186)), ((70, 186), (58, 178)), ((50, 134), (32, 168)), ((90, 134), (110, 168)))  # fmt: skip
"""The strokes of 京, pixels of the plate: what OpenCV has letters for does not include it everywhere."""
BLUE, WHITE = (170, 70, 20), (240, 240, 235)
PLATE_SIZE = (176, 56)
"""Width and height, pixels: 440 to 140 mm, as GA 36-2018 has it."""


def plate(text: str = PLATE) -> Image:
    """A blue plate, drawn large: `(224, 704, 3)` uint8 BGR. Of the provinces it knows 京 only."""
    image = np.full((224, 704, 3), BLUE, np.uint8)
    cv2.rectangle(image, (10, 10), (693, 213), WHITE, 4, cv2.LINE_AA)
    for begin, end in _CAPITAL:
        cv2.line(image, begin, end, WHITE, 10, cv2.LINE_AA)
    _sign(image, text[1], 130)
    cv2.circle(image, (226, 112), 8, WHITE, cv2.FILLED, cv2.LINE_AA)
    for at, sign in enumerate(text[2:]):
        _sign(image, sign, 250 + 86 * at)
    return image


def _sign(image: Image, sign: str, left: int) -> None:
    cell = np.zeros((100, 60, 3), np.uint8)
    (width, _), _ = cv2.getTextSize(sign, cv2.FONT_HERSHEY_SIMPLEX, 2.6, 8)
    cv2.putText(
        cell, sign, ((60 - width) // 2, 78), cv2.FONT_HERSHEY_SIMPLEX, 2.6, (255, 255, 255), 8, cv2.LINE_AA
    )
    rows = np.flatnonzero(cell.any(axis=(1, 2)))
    tall = cv2.resize(cell[rows[0] : rows[-1] + 1], (74, 146), interpolation=cv2.INTER_LINEAR)
    share = tall.astype(np.float32) / 255
    part = image[38:184, left : left + 74]
    part[:] = (part * (1 - share) + np.array(WHITE, np.float32) * share).astype(np.uint8)


def _rear(image: Image, middle: float, ground: float, width: float) -> None:
    """A car seen from behind, with its plate."""
    brush = Brush(image, (middle, ground), width / 10)
    paint = (60, 60, 62)
    brush.oval((0, 0), (5.2, 0.5), (40, 40, 42))
    for side in (-1, 1):
        brush.fill([(side * 3.4, -1.6), (side * 4.7, -1.6), (side * 4.7, 0), (side * 3.4, 0)], (22, 22, 24))
    body = [(-5, -1.1), (-5, -4.2), (-4.3, -5), (-3.3, -7.6), (3.3, -7.6), (4.3, -5), (5, -4.2), (5, -1.1)]
    brush.fill(body, paint)
    brush.fill([(-3.6, -5.1), (-2.9, -7.2), (2.9, -7.2), (3.6, -5.1)], (70, 62, 56))
    brush.fill([(-5, -2.2), (5, -2.2), (5, -0.9), (-5, -0.9)], dimmed(paint, 0.7))
    for side in (-1, 1):
        brush.fill(
            [(side * 3.5, -4.6), (side * 4.9, -4.4), (side * 4.9, -3.4), (side * 3.7, -3.5)], (40, 30, 190)
        )
    size = (round(width * 0.36), round(width * 0.36 * PLATE_SIZE[1] / PLATE_SIZE[0]))
    small = cv2.resize(plate(), size, interpolation=cv2.INTER_AREA)
    left, top = round(middle - size[0] / 2), round(ground - width * 0.36)
    right, bottom = min(left + size[0], WIDTH), min(top + size[1], HEIGHT)
    if left >= 0 and top >= 0:
        image[top:bottom, left:right] = small[: bottom - top, : right - left]


@clip("car-with-plate")
def car_with_plate(moment: float) -> Image:
    """A road; from 1 s on a car drives away on it whose plate (see `PLATE`) can be read for some seconds."""
    image = np.full((HEIGHT, WIDTH, 3), (186, 196, 190), np.uint8)
    image[150:] = (96, 96, 100)
    cv2.fillPoly(image, [np.array([[0, 150], [210, 150], [0, 320]])], (70, 110, 80))
    cv2.fillPoly(image, [np.array([[WIDTH, 150], [430, 150], [WIDTH, 320]])], (70, 110, 80))
    if moment >= 1:
        gone = min((moment - 1) / 6, 1.0)
        _rear(image, 320 - 20 * gone, 345 - 120 * gone, 330 - 190 * gone)
    return with_noise(image, moment)
