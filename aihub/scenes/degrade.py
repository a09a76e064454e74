"""Faults of known strength for good pictures: what benchmarks and drawn scenes show to algorithms that look for them.

A degraded picture is not a real fault, and is `synthetic` evidence wherever it is used. All is deterministic: the same picture
at the same moment with the same strength is degraded the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aihub.types import Image

Change = Callable[[Image, float, float], Image]
"""Picture, moment in seconds, strength -> the degraded picture. Strength 0 is the picture as it would be without the fault."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """A fault to be put on good pictures.

    Attributes:
        name: of the way it is done; a fault may come in several.
        fault: id of the algorithm that is to find it.
        change: see `Change`.
        mild: strength from which it should be found; the unit is in `unit`.
        strong: strength at which nobody would miss it.
        unit: what the strength is.
        moving: whether it is seen over time only, not on one picture.
    """

    name: str
    fault: str
    change: Change
    mild: float
    strong: float
    unit: str
    moving: bool = False


DEGRADATIONS: dict[str, Degradation] = {}


def _degradation(
    name: str, fault: str, mild: float, strong: float, unit: str, *, moving: bool = False
) -> Callable[[Change], Change]:
    def add(change: Change) -> Change:
        DEGRADATIONS[name] = Degradation(name, fault, change, mild, strong, unit, moving)
        return change

    return add


def _clipped(values: npt.NDArray[Any]) -> Image:
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def _rng(moment: float) -> np.random.Generator:
    return np.random.default_rng(round(moment * 1000) + 1)


@cache
def _field() -> npt.NDArray[np.float32]:
    return np.random.default_rng(5).standard_normal((601, 1201), np.float32)


def noise(moment: float, height: int, width: int, planes: int = 1) -> npt.NDArray[np.float32]:
    """Gaussian noise of that moment, standard deviation 1, `(height, width, planes)`: parts of one field, which is faster than
    to draw it anew."""
    field, rng = _field(), _rng(moment)
    rows, columns = -(-height // field.shape[0]), -(-width // field.shape[1])
    made = []
    for _ in range(planes):
        shifted = np.roll(field, tuple(rng.integers(0, 600, 2).tolist()), axis=(0, 1))
        made.append(
            np.tile(shifted, (rows, columns))[:height, :width]
            if rows * columns > 1
            else shifted[:height, :width]
        )
    return np.stack(made, axis=2)


def _grained(image: Image, moment: float, sigma: float) -> Image:
    return _clipped(image + noise(moment, image.shape[0], image.shape[1]) * np.float32(sigma))


def _said(image: Image, text: str) -> Image:
    height, width = image.shape[:2]
    size = max(height, 48) / 360
    place = (int(width * 0.32), int(height * 0.52))
    cv2.putText(
        image,
        text,
        place,
        cv2.FONT_HERSHEY_SIMPLEX,
        size,
        (235, 235, 235),
        max(round(2 * size), 1),
        cv2.LINE_AA,
    )
    return image


@_degradation("blue-screen", "signal-lost", 1, 2, "lines of text")
def blue_screen(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """The blue of a recorder without a camera, with words on it."""
    if not strength:
        return image
    made = np.empty_like(image)
    made[:] = (168, 40, 16)
    return _said(made, "NO SIGNAL" if strength < 2 else "VIDEO LOSS  CH 07")


@_degradation("black-screen-text", "signal-lost", 1, 2, "lines of text")
def black_screen_text(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """Black with words on it."""
    return (
        _said(np.zeros_like(image), "NO SIGNAL" if strength < 2 else "VIDEO LOSS  CH 07")
        if strength
        else image
    )


@_degradation("test-card", "signal-lost", 0.75, 1, "strength of the colours")
def test_card(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """Eight bars of colour."""
    if not strength:
        return image
    bars = np.array(
        [(1, 1, 1), (0, 1, 1), (1, 1, 0), (0, 1, 0), (1, 0, 1), (0, 0, 1), (1, 0, 0), (0, 0, 0)], np.float32
    )
    places = np.arange(image.shape[1]) * 8 // max(image.shape[1], 1)
    line = _clipped(bars[places] * np.float32(16 + 219 * strength * 0.75))
    return np.ascontiguousarray(np.broadcast_to(line, image.shape))


@_degradation("snow", "signal-lost", 40, 70, "grey levels")
def snow(image: Image, moment: float, strength: float) -> Image:
    """What an analogue receiver shows without a station."""
    if not strength:
        return image
    return np.repeat(
        _clipped(110 + noise(moment, image.shape[0], image.shape[1]) * np.float32(strength)), 3, axis=2
    )


@_degradation("black", "black-screen", 3, 1, "grey levels of noise")
def black(image: Image, moment: float, strength: float) -> Image:
    """A capped lens with a little noise."""
    return _grained(np.full_like(image, 6), moment, strength) if strength else image


@_degradation("defocus", "blurred-picture", 0.0075, 0.015, "sigma as a share of the longer side")
def defocus(image: Image, moment: float, strength: float) -> Image:
    """Out of focus, with the noise that a sensor has all the same."""
    if not strength:
        return image
    sigma = strength * max(image.shape[:2])
    return _grained(np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8), moment, 1.0)


@_degradation("gain-up", "overexposed", 2.0, 3.0, "stops")
def gain_up(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """Too much light by so many stops."""
    return _clipped(image.astype(np.float32) * np.float32(2**strength)) if strength else image


@_degradation("gain-down", "underexposed", 3.0, 4.0, "stops")
def gain_down(image: Image, moment: float, strength: float) -> Image:
    """Too little light by so many stops, and noise of two grey levels."""
    return (
        _grained(_clipped(image.astype(np.float32) * np.float32(2**-strength)), moment, 2.0)
        if strength
        else image
    )


@_degradation("fog", "low-contrast", 0.9, 0.95, "share of the contrast that is gone")
def fog(image: Image, moment: float, strength: float) -> Image:
    """Fog, or condensation on the dome: the scene shines through faintly."""
    return (
        _grained(_clipped(image * np.float32(1 - strength) + np.float32(180 * strength)), moment, 0.8)
        if strength
        else image
    )


@_degradation("tint-red", "colour-cast", 0.35, 0.6, "share taken from blue and green")
def tint_red(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """White balance for another light: too red."""
    return (
        _clipped(image * np.array([1 - strength, 1 - strength * 0.7, 1.1], np.float32)) if strength else image
    )


@_degradation("tint-blue", "colour-cast", 0.35, 0.6, "share taken from red and green")
def tint_blue(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """White balance for another light: too blue."""
    return (
        _clipped(image * np.array([1.1, 1 - strength * 0.7, 1 - strength], np.float32)) if strength else image
    )


@_degradation("tint-green", "colour-cast", 0.35, 0.6, "share taken from red and blue")
def tint_green(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """A colour channel that is too strong."""
    return _clipped(image * np.array([1 - strength, 1.1, 1 - strength], np.float32)) if strength else image


@_degradation("grain", "noise", 14, 25, "grey levels, standard deviation")
def grain(image: Image, moment: float, strength: float) -> Image:
    """Noise in every pixel and colour."""
    if not strength:
        return image
    return _clipped(image + noise(moment, image.shape[0], image.shape[1], 3) * np.float32(strength))


def _waves(length: int, period: float, phase: float) -> npt.NDArray[np.float32]:
    return np.sin(2 * np.pi * (np.arange(length) / period + phase)).astype(np.float32)


@_degradation("level-bands", "stripes", 15, 25, "grey levels, amplitude")
def level_bands(image: Image, moment: float, strength: float) -> Image:
    """Hum: bands across the picture that roll slowly."""
    waves = _waves(image.shape[0], image.shape[0] / 9, moment * 0.4) * np.float32(strength)
    return _clipped(image + waves[:, None, None]) if strength else image


@_degradation("upright-bands", "stripes", 15, 25, "grey levels, amplitude")
def upright_bands(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """Interference: upright bands that stand."""
    waves = _waves(image.shape[1], image.shape[1] / 24, 0.0) * np.float32(strength)
    return _clipped(image + waves[None, :, None]) if strength else image


@_degradation("line-noise", "stripes", 9, 20, "grey levels, standard deviation")
def line_noise(image: Image, moment: float, strength: float) -> Image:
    """Each few lines brighter or darker by chance, as a failing readout gives."""
    step = max(image.shape[0] // 120, 1)
    values = _rng(moment).standard_normal(image.shape[0] // step + 1, np.float32) * np.float32(strength)
    return _clipped(image + np.repeat(values, step)[: image.shape[0], None, None]) if strength else image


@_degradation("covered-half", "occlusion", 0.55, 0.8, "share of the picture that is covered", moving=True)
def covered_half(image: Image, moment: float, strength: float) -> Image:
    """Something dark and out of focus that comes in from the left."""
    if not strength:
        return image
    height, width = image.shape[:2]
    edge = max(width * 0.03, 1.0)
    mask = 1 / (1 + np.exp(-(strength * width - np.arange(width, dtype=np.float32)) / edge))
    mask = mask * np.ones((height, 1), np.float32)
    cover = np.array([52, 58, 66], np.float32)
    return _grained(_clipped(image * (1 - mask[..., None]) + cover * mask[..., None]), moment, 1.0)


@_degradation(
    "covered-corner", "occlusion", 0.75, 0.9, "reach of the cover from a corner, as a share", moving=True
)
def covered_corner(image: Image, moment: float, strength: float) -> Image:
    """Something pale over the lower right corner."""
    if not strength:
        return image
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(
        mask,
        (width, height),
        (int(width * strength * 1.2), int(height * strength * 1.2)),
        0,
        0,
        360,
        1.0,
        cv2.FILLED,
    )
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(width * 0.02, 0.5)), np.float32)[..., None]
    return _grained(_clipped(image * (1 - mask) + np.float32(150) * mask), moment, 1.0)


def _window(image: Image, across: float, down: float, share: float = 0.7) -> Image:
    """A part of the picture at its full size: what a camera with a narrower lens sees, turned by shares of the rest."""
    height, width = image.shape[:2]
    rows, columns = max(int(height * share), 1), max(int(width * share), 1)
    left = (width - columns) * (0.5 + 0.5 * across)
    top = (height - rows) * (0.5 + 0.5 * down)
    move = np.array([[share, 0, left], [0, share, top]], np.float32)
    made = cv2.warpAffine(
        image,
        move,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(made, np.uint8)


@_degradation("turned", "view-shifted", 0.4, 0.9, "share of a fifth of the picture's width", moving=True)
def turned(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """The camera was knocked to the right and up."""
    return _window(image, strength, -strength * 0.7)


@_degradation("elsewhere", "view-shifted", 1, 2, "1 mirrored, 2 upside down", moving=True)
def elsewhere(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """Another view altogether, of the same sharpness."""
    made = _window(image, 0, 0)
    if not strength:
        return made
    return np.ascontiguousarray(made[:, ::-1] if strength < 2 else made[::-1, ::-1])


@_degradation("jitter", "shake", 0.012, 0.03, "share of the longer side, standard deviation", moving=True)
def jitter(image: Image, moment: float, strength: float) -> Image:
    """The camera swings on its mast."""
    across, down = _rng(moment).standard_normal(2) * strength / 0.15
    return _window(image, float(np.clip(across, -1, 1)), float(np.clip(down, -1, 1)))


@_degradation("pulsing", "flicker", 0.12, 0.3, "share of the brightness, amplitude", moving=True)
def pulsing(image: Image, moment: float, strength: float) -> Image:
    """Light that pulses 1.7 times a second."""
    gain = 1 + strength * np.sin(2 * np.pi * 1.7 * moment)
    return _clipped(image * np.float32(gain)) if strength else image


@_degradation("starved", "blockiness", 6, 3, "quality of a JPEG")
def starved(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """A codec that got far too few bits."""
    if not strength:
        return image
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(strength)])
    made = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return image if made is None else np.asarray(made, np.uint8)


@_degradation("misplaced-blocks", "mosaic-corruption", 0.03, 0.1, "share of the blocks")
def misplaced_blocks(image: Image, moment: float, strength: float) -> Image:
    """Rows of 16-pixel blocks that show what belongs elsewhere, as after lost packets."""
    rows, columns = image.shape[0] // 16, image.shape[1] // 16
    if not strength or rows < 4 or columns < 4:
        return image
    made, rng = image.copy(), _rng(moment // 0.4)
    left = round(rows * columns * strength)
    while left > 0:
        run = int(rng.integers(2, max(columns // 3, 3)))
        row, column = int(rng.integers(rows)), int(rng.integers(columns))
        for place in range(column, min(column + run, columns)):
            other_row, other = int(rng.integers(rows)), int(rng.integers(columns))
            block = image[other_row * 16 : other_row * 16 + 16, other * 16 : other * 16 + 16].astype(
                np.float32
            )
            tint = rng.normal(0, 25, 3).astype(np.float32)
            made[row * 16 : row * 16 + 16, place * 16 : place * 16 + 16] = _clipped(block + tint)
        left -= run
    return made


@_degradation("colourless", "infrared-mode", 1, 2, "grey levels of noise")
def colourless(image: Image, moment: float, strength: float) -> Image:
    """What a camera shows with its filter swung out: no colour."""
    if not strength:
        return image
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    return _grained(np.repeat(grey[..., None], 3, axis=2), moment, strength)


@_degradation("woven", "interlace-combing", 6, 12, "pixels at 640, by which the half pictures differ")
def woven(image: Image, moment: float, strength: float) -> Image:  # noqa: ARG001 - stands still
    """Every second line of a later moment, when the camera had moved on."""
    moved = round(strength * image.shape[1] / 640)
    if not moved:
        return image
    made = image.copy()
    made[1::2] = np.roll(image[1::2], moved, axis=1)
    return made
