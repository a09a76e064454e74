"""A gate by day where vans with a QR code and a number on their side stop, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from aihub.scenes.brush import Colour
from aihub.scenes.canvas import SIZE, clouds, grain, slope
from aihub.types.frame import Image

VANS: tuple[tuple[str, str, Colour], ...] = (
    ("AIHUB-PASS-0012", "GATE 12", (214, 216, 218)),
    ("AIHUB-PASS-0407", "BAY 407", (150, 190, 120)),
    ("AIHUB-PASS-9356", "DOCK 9356", (90, 150, 216)),
)
"""What stands on each van: code, text; and its colour."""

ARRIVE_S, STAND_S, LEAVE_S, GAP_S = 2.0, 4.0, 2.0, 1.0
CYCLE_S = ARRIVE_S + STAND_S + LEAVE_S + GAP_S
STAND = (104, 62, 384, 218)
"""Where a van stands: left, top, right, bottom; pixels."""


def _gate(rng: np.random.Generator) -> Image:
    picture = slope(SIZE[1], SIZE[0], (226, 206, 186), (206, 206, 204))
    cv2.rectangle(picture, (0, 84), (480, 176), (128, 138, 146), -1)
    for x in range(0, 480, 40):
        cv2.line(picture, (x, 84), (x, 176), (108, 118, 126), 1)
    for y in range(96, 176, 12):
        cv2.line(picture, (0, y), (480, y), (114, 124, 132), 1)
    picture[172:] = slope(98, 480, (98, 98, 98), (120, 120, 122))
    road = clouds(rng, 98, 480, 16)[..., None] * 16 - 8
    picture[172:] = np.clip(picture[172:] + road, 0, 255).astype(np.uint8)
    for x in range(-20, 480, 90):
        cv2.line(picture, (x, 256), (x + 46, 256), (214, 218, 220), 4)
    cv2.rectangle(picture, (424, 66), (478, 206), (86, 96, 104), -1)
    cv2.rectangle(picture, (432, 84), (470, 126), (160, 132, 96), -1)
    cv2.rectangle(picture, (424, 60), (480, 70), (50, 54, 58), -1)
    return grain(picture, rng, 2.0)


def _van(code: str, text: str, colour: Colour) -> Image:
    left, top, right, bottom = STAND
    van = np.full((bottom - top, right - left, 3), 255, np.uint8)
    height, width = van.shape[:2]
    shade = tuple(int(c * 0.75) for c in colour)
    cv2.rectangle(van, (0, 0), (width - 62, height - 22), colour, -1)
    cab = np.array(
        [
            [width - 62, 22],
            [width - 34, 22],
            [width - 6, 72],
            [width - 2, height - 22],
            [width - 62, height - 22],
        ]
    )
    cv2.fillPoly(van, [cab.astype(np.int32)], colour, cv2.LINE_AA)
    glass = np.array([[width - 54, 32], [width - 38, 32], [width - 16, 70], [width - 54, 70]])
    cv2.fillPoly(van, [glass.astype(np.int32)], (92, 74, 58), cv2.LINE_AA)
    cv2.rectangle(van, (0, height - 34), (width - 2, height - 22), shade, -1)
    for x in (46, width - 50):
        cv2.circle(van, (x, height - 21), 20, (34, 34, 34), -1, cv2.LINE_AA)
        cv2.circle(van, (x, height - 21), 9, (150, 150, 152), -1, cv2.LINE_AA)
    marks = cv2.QRCodeEncoder.create().encode(code)
    side = marks.shape[0] * 3
    modules = cv2.cvtColor(
        cv2.resize(marks, (side, side), interpolation=cv2.INTER_NEAREST), cv2.COLOR_GRAY2BGR
    )
    van[8 : 16 + side + 4, 6 : 18 + side] = 250
    van[14 : 14 + side, 12 : 12 + side] = modules
    plate_left = 24 + side
    plate = (plate_left, 26, width - 68, 66)
    cv2.rectangle(van, plate[:2], plate[2:], (252, 252, 252), -1)
    cv2.rectangle(van, plate[:2], plate[2:], (20, 20, 20), 2)
    room = plate[2] - plate[0] - 14
    (wide, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 2)
    scale = min(room / wide, 26 / tall)
    at = (plate_left + 7, 46 + round(tall * scale / 2))
    cv2.putText(van, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (15, 15, 15), 2, cv2.LINE_AA)
    return van


def _outline(van: Image) -> Image:
    """Where the van is: everything but the white that is connected with the corners."""
    outside = van.copy()
    mask = np.zeros((van.shape[0] + 2, van.shape[1] + 2), np.uint8)
    for corner in (
        (van.shape[1] - 1, 0),
        (0, van.shape[0] - 1),
        (van.shape[1] - 1, van.shape[0] - 1),
        (van.shape[1] // 2, van.shape[0] - 1),
    ):
        cv2.floodFill(outside, mask, corner, (255, 0, 255))
    return np.asarray(np.any(outside != (255, 0, 255), axis=2))


def place(time: float) -> float:
    """Where the van is at a time of its cycle: 0 at the stand, -1 and 1 outside of the picture; smooth."""
    if time < ARRIVE_S:
        return -((1 - time / ARRIVE_S) ** 2)
    time -= ARRIVE_S + STAND_S
    return 0.0 if time < 0 else min(time / LEAVE_S, 1.0) ** 2


def draw(fps: float, seed: int) -> Iterator[Image]:
    """Endless pictures of the scene."""
    still = _gate(np.random.default_rng(seed))
    vans = [(van, _outline(van)) for van in (_van(*one) for one in VANS)]
    left, top, right, bottom = STAND
    for number in range(1 << 30):
        cycle, time = divmod(number / fps, CYCLE_S)
        picture = still.copy()
        van, mask = vans[int(cycle) % len(vans)]
        shift = round(place(time) * 400)
        begin, end = max(left + shift, 0), min(right + shift, SIZE[0])
        if begin < end:
            part = slice(begin - left - shift, end - left - shift)
            picture[top:bottom, begin:end][mask[:, part]] = van[:, part][mask[:, part]]
        _barrier(picture, raised=time > ARRIVE_S + STAND_S)
        yield picture


def _barrier(picture: Image, *, raised: bool) -> None:
    foot, tip = (436, 196), (424, 78) if raised else (392, 192)
    cv2.line(picture, foot, tip, (236, 236, 240), 6, cv2.LINE_AA)
    middle = ((foot[0] + tip[0]) // 2, (foot[1] + tip[1]) // 2)
    cv2.line(picture, foot, middle, (40, 40, 210), 6, cv2.LINE_AA)
