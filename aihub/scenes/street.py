"""A street by day whose camera goes black, freezes and loses focus, in turn."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from aihub.scenes.actors import car
from aihub.scenes.brush import Colour
from aihub.scenes.canvas import SIZE, clouds, grain, slope
from aihub.types.frame import Image

SPELLS = ("good", "black", "good", "frozen", "good", "blurred")
"""What the picture is like, in turn."""

_BLOCK = 16
_RENEWED = 12
"""One in so many blocks gets new sensor noise in each picture."""

_CARS: tuple[tuple[float, int, int, Colour], ...] = (
    (74.0, 196, 0, (58, 60, 190)),
    (52.0, 196, 260, (170, 120, 60)),
    (-62.0, 232, 120, (200, 204, 206)),
    (-88.0, 232, 380, (70, 150, 210)),
)
"""Speed in pixels a second, height of the road, place at the start, colour."""


def _street(rng: np.random.Generator) -> Image:
    picture = slope(SIZE[1], SIZE[0], (232, 204, 168), (226, 220, 208))
    left = 0
    for width, top, colour in (
        (104, 34, (112, 132, 164)),
        (88, 62, (150, 156, 160)),
        (126, 20, (122, 140, 148)),
        (92, 52, (104, 118, 150)),
        (70, 40, (160, 164, 158)),
    ):
        cv2.rectangle(picture, (left, top), (left + width - 1, 170), colour, -1)
        cv2.rectangle(picture, (left, top), (left + width - 1, top + 4), (84, 88, 92), -1)
        for y in range(top + 14, 140, 24):
            for x in range(left + 9, left + width - 16, 20):
                cv2.rectangle(picture, (x, y), (x + 10, y + 14), (74, 62, 50), -1)
                cv2.rectangle(picture, (x, y), (x + 10, y + 14), (206, 210, 212), 1)
        cv2.rectangle(picture, (left + width // 2 - 8, 144), (left + width // 2 + 8, 170), (46, 54, 70), -1)
        left += width
    picture[170:] = slope(100, 480, (150, 152, 154), (140, 142, 144))
    picture[184:] = slope(86, 480, (82, 82, 84), (98, 98, 100))
    road = clouds(rng, 86, 480, 12)[..., None] * 18 - 9
    picture[184:] = np.clip(picture[184:] + road, 0, 255).astype(np.uint8)
    for x in range(-10, 480, 70):
        cv2.line(picture, (x, 225), (x + 34, 225), (224, 228, 230), 3)
    for x in (60, 226, 392):
        cv2.line(picture, (x, 96), (x, 184), (58, 60, 62), 3)
        cv2.ellipse(picture, (x, 94), (10, 4), 0, 0, 360, (64, 66, 68), -1, cv2.LINE_AA)
    return grain(picture, rng, 1.5)


class _Noise:
    """Sensor noise that is renewed in a few blocks at a time."""

    def __init__(self, rng: np.random.Generator, sigma: float) -> None:
        self._rng = rng
        self._sigma = sigma
        height, width = SIZE[1] + -SIZE[1] % _BLOCK, SIZE[0]
        self._values = rng.normal(0, sigma, (height, width)).round().astype(np.int16)
        columns = width // _BLOCK
        self._turns = rng.permutation(height // _BLOCK * columns)
        self._columns = columns
        self._next = 0

    def renew(self) -> None:
        """Draw new noise for the next blocks."""
        count = len(self._turns) // _RENEWED
        for block in self._turns[self._next : self._next + count]:
            row, column = divmod(int(block), self._columns)
            new = self._rng.normal(0, self._sigma, (_BLOCK, _BLOCK)).round().astype(np.int16)
            self._values[row * _BLOCK :, column * _BLOCK :][:_BLOCK, :_BLOCK] = new
        self._next = (self._next + count) % len(self._turns)

    def over(self, picture: Image) -> Image:
        """The picture with the noise."""
        return np.asarray(np.clip(picture + self._values[: SIZE[1], :, None], 0, 255), np.uint8)


def draw(fps: float, seed: int, *, spell_s: float) -> Iterator[Image]:
    """Endless pictures of the scene; each of the `SPELLS` lasts `spell_s` seconds."""
    rng = np.random.default_rng(seed)
    street, noise = _street(rng), _Noise(rng, 1.3)
    covered = np.full_like(street, 6)
    shown = street
    for number in range(1 << 30):
        time = number / fps
        spell = SPELLS[int(time / spell_s) % len(SPELLS)]
        if spell == "frozen":
            yield shown.copy()
            continue
        noise.renew()
        picture = covered if spell == "black" else street.copy()
        if spell != "black":
            for speed, ground, start, colour in _CARS:
                x = (start + speed * time) % 640 - 80
                car(picture, (x, ground + 22), 84, colour, left=speed < 0)
        if spell == "blurred":
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 6), np.uint8)
        shown = noise.over(picture)
        yield shown.copy()
