"""Textures and shapes the drawn scenes share. All scenes are laid out for 480x270 pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from aihub.scenes.brush import Colour
from aihub.types.frame import Image

SIZE = (480, 270)
"""Width, height the scenes are laid out for; pixels."""

Field = npt.NDArray[np.float32]


def clouds(rng: np.random.Generator, height: int, width: int, cell: int, octaves: int = 4) -> Field:
    """Smooth noise, 0..1, that can be repeated downwards without a seam."""
    total = np.zeros((height, width), np.float32)
    weight = 0.0
    for octave in range(octaves):
        step = max(cell >> octave, 2)
        rows, columns = max(height // step, 2), max(width // step, 2) + 1
        coarse = rng.random((rows, columns), np.float32)
        coarse = np.concatenate((coarse, coarse[:3]))
        grown = cv2.resize(coarse, (width, round(height * (rows + 3) / rows)), interpolation=cv2.INTER_CUBIC)
        offset = round(height * 1.5 / rows)
        total += grown[offset : offset + height] * 0.6**octave
        weight += 0.6**octave
    return np.asarray(np.clip((total / weight - 0.5) * 1.7 + 0.5, 0, 1), np.float32)


def rows(texture: Field, begin: float, height: int) -> Field:
    """`height` rows from `begin` on, around the end where needed."""
    first = int(begin) % len(texture)
    if first + height <= len(texture):
        return texture[first : first + height]
    return np.concatenate((texture[first:], texture[: first + height - len(texture)]))


def grain(image: Image, rng: np.random.Generator, sigma: float) -> Image:
    """The picture with grey noise of standard deviation `sigma` (0..255)."""
    noise = rng.normal(0, sigma, image.shape[:2]).astype(np.float32)[..., None]
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def slope(height: int, width: int, top: Colour, bottom: Colour) -> Image:
    """A picture that fades from one colour to another."""
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    colours = np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share
    return np.asarray(np.repeat(colours, width, axis=1), np.uint8)
