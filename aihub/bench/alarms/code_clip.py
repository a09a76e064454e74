"""A drawn clip on which QR codes come and go at known pictures, none of them twice: alarms can be timed by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from aihub.bench.footage import Footage, Truth
from aihub.scenes.canvas import SIZE, clouds, grain, slope
from aihub.types.frame import Image

_MODULE = 4
"""Pixels of a module; readers want two."""
_PLACE = (160, 60)


@dataclass(frozen=True, slots=True)
class CodeClip:
    """Codes in turn, each after a pause.

    Attributes:
        shown_s: for so long each is shown, seconds.
        pause_s: nothing is shown before each, seconds.
        count: of codes; the clip is as long as they take.
        fps: pictures a second.
    """

    shown_s: float
    pause_s: float
    count: int
    fps: float = 10.0

    @property
    def cycle(self) -> int:
        """Pictures from code to code."""
        return self._pause + round(self.shown_s * self.fps)

    @property
    def _pause(self) -> int:
        return round(self.pause_s * self.fps)

    def text(self, index: int) -> str:
        """What the code on a picture says; empty where there is none.

        Args:
            index: of the picture; beyond the clip's end it begins again.
        """
        number, place = divmod(index % (self.cycle * self.count), self.cycle)
        return f"AIHUB-BENCH-{number:05d}" if place >= self._pause else ""

    def footage(self, seed: int = 0) -> Footage:
        """The clip, with its truth."""
        truth = tuple(
            Truth("code", (start := (number * self.cycle + self._pause) / self.fps), start + self.shown_s,
                  text=self.text(number * self.cycle + self._pause))
            for number in range(self.count)
        )  # fmt: skip
        seconds = self.cycle * self.count / self.fps
        about = "A wall on which codes come and go."
        return Footage("codes-in-turn", SIZE, self.fps, seconds, lambda: self._draw(seed), truth, about)

    def _draw(self, seed: int) -> Iterator[Image]:
        empty = _wall(np.random.default_rng(seed))
        drawn, shown = "", empty
        for index in range(self.cycle * self.count):
            text = self.text(index)
            if text != drawn:
                drawn, shown = text, _with_code(empty, text) if text else empty
            yield shown


def _wall(random: np.random.Generator) -> Image:
    picture = slope(SIZE[1], SIZE[0], (150, 152, 156), (120, 124, 126))
    texture = clouds(random, SIZE[1], SIZE[0], 30)[..., None] * 20 - 10
    return grain(np.clip(picture + texture, 0, 255).astype(np.uint8), random, 2.0)


def _with_code(wall: Image, text: str) -> Image:
    marks = cv2.QRCodeEncoder.create().encode(text)
    side = marks.shape[0] * _MODULE
    code = cv2.resize(marks, (side, side), interpolation=cv2.INTER_NEAREST)
    left, top, edge = *_PLACE, 2 * _MODULE
    picture = wall.copy()
    picture[top - edge : top + side + edge, left - edge : left + side + edge] = 255
    picture[top : top + side, left : left + side] = code[..., None]
    return picture
