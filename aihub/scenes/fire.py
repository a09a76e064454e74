"""A yard at night where a heap of crates catches fire."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np

from aihub.scenes.canvas import clouds, grain, rows, slope
from aihub.scenes.drawings import Drawing, register
from aihub.types.frame import Image

FLAME = (268, 88, 368, 216)
SMOKE = (216, 6, 436, 150)
"""Where they are: left, top, right, bottom; pixels."""

_HEAT = np.array(
    [[0, 0, 0], [10, 12, 90], [8, 45, 190], [10, 110, 248], [40, 175, 255], [110, 225, 255], [215, 250, 255]],
    np.float32,
)


def _night_yard(rng: np.random.Generator) -> Image:
    picture = slope(270, 480, (34, 24, 18), (52, 44, 40))
    picture[168:] = slope(102, 480, (40, 44, 46), (58, 62, 64))
    texture = clouds(rng, 102, 480, 24)[..., None] * 12 - 6
    picture[168:] = np.clip(picture[168:] + texture, 0, 255).astype(np.uint8)
    for x, top, width, colour in ((0, 70, 120, (48, 50, 58)), (104, 96, 84, (40, 44, 44))):
        cv2.rectangle(picture, (x, top), (x + width, 172), colour, -1)
        for line in range(top + 9, 172, 11):
            cv2.line(picture, (x, line), (x + width, line), tuple(int(c * 0.82) for c in colour), 1)
        cv2.rectangle(picture, (x, top), (x + width, top + 5), (70, 70, 74), -1)
    cv2.rectangle(picture, (30, 112), (72, 172), (30, 30, 36), -1)
    cv2.rectangle(picture, (128, 116), (158, 138), (74, 92, 104), -1)
    for x in range(196, 480, 36):
        cv2.line(picture, (x, 120), (x, 174), (62, 62, 62), 2)
    for y in (126, 140, 154):
        cv2.line(picture, (190, y), (480, y), (56, 56, 56), 1)
    cv2.line(picture, (424, 30), (424, 190), (66, 68, 70), 4)
    cv2.ellipse(picture, (414, 32), (14, 5), 0, 0, 360, (210, 236, 245), -1, cv2.LINE_AA)
    glow = np.zeros(picture.shape[:2], np.float32)
    cv2.ellipse(glow, (408, 222), (64, 16), 0, 0, 360, 1.0, -1)
    spread = np.asarray(cv2.GaussianBlur(glow, (0, 0), 14), np.float32)[..., None]
    picture = np.clip(picture + spread * np.array([38, 52, 58], np.float32), 0, 255).astype(np.uint8)
    for x, y, w, h in ((276, 196, 84, 26), (296, 180, 50, 22)):
        cv2.rectangle(picture, (x, y), (x + w, y + h), (36, 48, 62), -1)
        cv2.rectangle(picture, (x, y), (x + w, y + h), (24, 32, 42), 1)
        cv2.line(picture, (x, y + h // 2), (x + w, y + h // 2), (26, 36, 48), 1)
    return grain(picture, rng, 1.6)


class _Fire:
    """Flame and smoke over a picture."""

    def __init__(self, rng: np.random.Generator) -> None:
        left, top, right, bottom = FLAME
        self._wide, self._tall = right - left, bottom - top
        self._sway = clouds(rng, 640, self._wide, 44)
        self._tongues = clouds(rng, 640, self._wide, 22)
        self._across = np.linspace(-1, 1, self._wide, dtype=np.float32)[None]
        self._up = np.linspace(1, 0, self._tall, dtype=np.float32)[:, None]
        left, top, right, bottom = SMOKE
        self._smoke = clouds(rng, 512, right - left, 40, octaves=5)
        up = np.linspace(1, 0, bottom - top, dtype=np.float32)[:, None]
        across = np.linspace(-1, 1, right - left, dtype=np.float32)[None]
        drift = (across + 0.08 - 0.24 * up) / (0.26 + 0.5 * up)
        self._plume = np.exp(-(drift**2) * 1.6) * np.clip(up * 5, 0, 1) * np.clip((1 - up) * 4, 0, 1)

    def burn(self, picture: Image, time: float, strength: float) -> None:
        """Draw the flame into the picture.

        Args:
            picture: changed in place.
            time: seconds.
            strength: size, 0..1.
        """
        flicker = 1 + 0.10 * np.sin(2 * np.pi * 7.3 * time) + 0.08 * np.sin(2 * np.pi * 5.1 * time + 1)
        reach = strength * flicker
        up = self._up / max(0.9 * reach, 0.05)
        sway = (rows(self._sway, time * 130, self._tall) - 0.5) * 1.5 * self._up
        width = np.clip(1 - up, 0, 1) ** 0.62 * (0.34 + 0.5 * strength)
        body = 1 - ((self._across + sway) / np.maximum(width, 0.02)) ** 2
        tongues = rows(self._tongues, time * 190 + 77, self._tall) - 0.46
        heat = np.clip(
            np.clip(body, -1, 1) * np.clip(1.12 - 0.72 * up, 0, 1) + tongues * 1.5 * np.minimum(up + 0.2, 1),
            0,
            1,
        )
        heat *= np.clip((1 - np.abs(self._across)) * 6, 0, 1) * np.clip(self._up * 14, 0, 1)
        heat *= np.clip((1 - self._up) * 8, 0, 1) * np.clip((1.3 - up) * 4, 0, 1)
        place = heat * (len(_HEAT) - 1)
        lower = np.minimum(place.astype(np.int32), len(_HEAT) - 2)
        part = (place - lower)[..., None]
        colour = _HEAT[lower] * (1 - part) + _HEAT[lower + 1] * part
        cover = np.clip((heat - 0.08) * 4.5, 0, 1)[..., None]
        left, top, right, bottom = FLAME
        under = picture[top:bottom, left:right]
        under[:] = (under * (1 - cover) + colour * cover).astype(np.uint8)

    def smoke(self, picture: Image, time: float, strength: float) -> None:
        """Draw the smoke into the picture. Arguments as for `burn`."""
        left, top, right, bottom = SMOKE
        wisps = np.clip(rows(self._smoke, time * 34, bottom - top) * 2.1 - 0.55, 0, 1)
        cover = (wisps * self._plume * 0.85 * strength)[..., None]
        light = np.linspace(118, 92, bottom - top, dtype=np.float32)[:, None, None]
        warm = np.linspace(0, 1, bottom - top, dtype=np.float32)[:, None, None] ** 3
        under = picture[top:bottom, left:right]
        colour = light * np.array([1.0, 1.0, 1.02], np.float32) + warm * np.array([-20, 6, 46], np.float32)
        under[:] = (under * (1 - cover) + colour * cover).astype(np.uint8)


def draw(fps: float, seed: int) -> Iterator[Image]:
    """Endless pictures of the scene."""
    rng = np.random.default_rng(seed)
    still = _night_yard(rng)
    fire = _Fire(rng)
    glow = np.zeros(still.shape[:2], np.float32)
    cv2.ellipse(glow, (318, 220), (84, 20), 0, 0, 360, 1.0, -1)
    shine = np.asarray(
        cv2.GaussianBlur(glow, (0, 0), 16)[..., None] * np.array([8, 52, 104], np.float32), np.float32
    )
    ground, hazy = still, still
    for number in range(1 << 30):
        time = number / fps
        strength = float(np.clip((time - 3) / 4, 0, 1)) ** 0.7
        if strength <= 0:
            yield still.copy()
            continue
        if number % 4 == 0:
            bright = strength * float(0.85 + 0.15 * rng.random())
            ground = np.clip(still + shine * bright, 0, 255).astype(np.uint8)
        if number % 2 == 0:
            hazy = ground.copy()
            fire.smoke(hazy, time, strength)
        picture = hazy.copy()
        fire.burn(picture, time, strength)
        yield picture


register(
    Drawing("yard-on-fire", clip=True, frames=lambda fps, seconds: islice(draw(fps, 1), round(fps * seconds)))
)
