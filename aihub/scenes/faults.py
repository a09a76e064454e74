"""A drawn street whose picture gets one fault after three seconds: registered as `drawn:FAULT-after-3s`."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from aihub.scenes.actors import car
from aihub.scenes.canvas import clouds
from aihub.scenes.degrade import DEGRADATIONS, noise
from aihub.scenes.drawings import HEIGHT, WIDTH, clip, picture, street
from aihub.types import Image

BEGINS_S = 3.0
"""When the fault sets in."""

AFTER_3S = {
    "signal-lost": "blue-screen", "overexposed": "gain-up", "underexposed": "gain-down", "low-contrast": "fog",
    "colour-cast": "tint-blue", "noise": "grain", "stripes": "level-bands", "covered": "covered-half", "turned": "turned",
    "shaking": "jitter", "flickering": "pulsing", "blocky": "starved", "mosaic": "misplaced-blocks",
    "colourless": "colourless", "combed": "woven",
}  # fmt: skip
"""Name of the clip before `-after-3s` -> degradation, at its full strength."""


def lively_street(moment: float) -> Image:
    """A street by day with texture on the road and a car that goes to and fro, under sensor noise."""
    image = _BACKGROUND.copy()
    along = moment * 70 % (2 * WIDTH)
    left = along > WIDTH
    car(image, (2 * WIDTH - along if left else along, 338), 120, (58, 60, 190), left=left)
    grain = noise(moment, HEIGHT, WIDTH, 1) * np.float32(1.5)
    return np.asarray(np.clip(image + grain, 0, 255), np.uint8)


def _texture() -> np.typing.NDArray[np.float32]:
    rng = np.random.default_rng(11)
    rough = clouds(rng, HEIGHT, WIDTH, 24)[..., None] * np.float32(26) - np.float32(13)
    return np.repeat(np.asarray(cv2.GaussianBlur(rough, (0, 0), 0.8))[..., None], 3, axis=2).astype(
        np.float32
    )


_BACKGROUND = np.clip(street() + _texture(), 0, 255).astype(np.uint8)


def _faulty(name: str) -> Callable[[float], Image]:
    degradation = DEGRADATIONS[name]

    def made(moment: float) -> Image:
        strength = degradation.strong if moment >= BEGINS_S else 0.0
        return degradation.change(lively_street(moment), moment, strength)

    return made


for _name, _degradation in AFTER_3S.items():
    clip(f"{_name}-after-3s")(_faulty(_degradation))

clip("lively-street")(lively_street)


@picture("test-card")
def test_card() -> Image:
    """Bars of colour in place of a picture."""
    return DEGRADATIONS["test-card"].change(lively_street(0.0), 0.0, 1.0)
