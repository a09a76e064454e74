"""Faults that lie over a picture like a veil: sensor noise, and bands that run across. No network."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.picture_quality import clearness
from aihub.algorithms.colours import full_grey
from aihub.algorithms.grey import Grey
from aihub.types import AnyResult, Frame, Quality

F32 = npt.NDArray[np.float32]

PATCH = 16
"""Side of the patches in which noise is measured, pixels of the full picture."""
PATCHES = 24
"""Most patches across and down."""
CLIPPED = (12, 243)
"""Mean luma between which a patch can show noise: at black and white it is cut off."""
FLATTEST = 0.2
"""Share of the patches that are taken for flat."""


class NoiseParams(StageParams):
    """Settings of `noisy-picture`."""

    sigma: float = Field(
        8.0, gt=0, le=100, description="Standard deviation of the noise, in grey levels, from which it is a fault."
    )


class NoisyPicture(Stage[NoiseParams]):
    """Grain all over the picture: gain turned up at night, a bad cable, a dying sensor.

    Noise is measured with the mask of Immerkaer ("Fast noise variance estimation", Computer Vision and Image Understanding 64,
    1996), which planes and straight edges leave cold, in patches of the full picture; the flattest fifth of them tells, for
    texture is not everywhere and noise is.
    """

    name = "noisy-picture"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Noise in the flattest patches against its limit."""
        sigma = noise_sigma(full_grey(frame))
        score = clearness(sigma, self.params.sigma, 4 * self.params.sigma)
        return Quality(score >= 0.5, score, {"noise_sigma": sigma})


def noise_sigma(grey: Grey) -> float:
    """Standard deviation of the noise in grey levels; 0 where the picture is too small or nowhere between black and white."""
    patches = _patches(grey)
    if len(patches) < 4:
        return 0.0
    inner = patches[:, 1:-1, 1:-1]
    sides = patches[:, :-2, 1:-1] + patches[:, 2:, 1:-1] + patches[:, 1:-1, :-2] + patches[:, 1:-1, 2:]
    corners = patches[:, :-2, :-2] + patches[:, :-2, 2:] + patches[:, 2:, :-2] + patches[:, 2:, 2:]
    bends = np.abs(corners - 2 * sides + 4 * inner).mean(axis=(1, 2))
    sigmas = bends * (np.sqrt(np.pi / 2) / 6)
    return float(np.quantile(sigmas, FLATTEST))


def _patches(grey: Grey) -> npt.NDArray[np.int16]:
    """`(N, PATCH, PATCH)` int16 patches spread over the picture that are neither black nor white."""
    rows, columns = grey.shape[0] // PATCH, grey.shape[1] // PATCH
    if not rows or not columns:
        return np.zeros((0, PATCH, PATCH), np.int16)
    cut = grey[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH)
    down, across = -(-rows // PATCHES), -(-columns // PATCHES)
    taken = cut[::down, :, ::across].transpose(0, 2, 1, 3).reshape(-1, PATCH, PATCH).astype(np.int16)
    means = taken.mean(axis=(1, 2))
    return taken[(means > CLIPPED[0]) & (means < CLIPPED[1])]


STRIPS = 8
"""The picture is cut into so many strips: a band of the signal is the same in all, a thing in the scene is not."""
PROFILE = 360
"""Points of a profile across the bands, at most: narrower lines are seen as their mean."""
SMOOTH = 0.12
"""Share of the profile over which the scene's own slow change is taken away."""
SLANT = 3
"""Parts in which a profile must show bands: they go all over the picture."""


class StripedParams(StageParams):
    """Settings of `striped-picture`."""

    amplitude: float = Field(
        3.0, gt=0, le=100, description="Strength of the bands, in grey levels (half of light to dark), from which they are a fault."
    )


class StripedPicture(Stage[StripedParams]):
    """Level or upright bands over the whole picture: mains hum, interference, broken sensor rows, a bad cable.

    Along each of eight strips across the picture a profile is taken; its slow part is the scene's. What is left is compared
    between the strips point by point: their median is what all of them have. Things have an end, bands have none, and they
    fill the picture: so it is the typical size of that median, in each third of the picture, that counts, not its highest.
    """

    name = "striped-picture"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Strength of the stronger of level and upright bands against its limit."""
        grey = full_grey(frame)
        level, upright = band_strength(grey), band_strength(grey.T)
        score = clearness(max(level, upright), self.params.amplitude, 6 * self.params.amplitude)
        return Quality(score >= 0.5, score, {"level_bands": level, "upright_bands": upright})


def band_strength(grey: npt.NDArray[np.uint8]) -> float:
    """Strength of level bands in grey levels; 0 for a picture too small to tell."""
    height, width = grey.shape
    if height < 48 or width < 48:
        return 0.0
    points = min(height, PROFILE)
    # means of cells: as wide as a strip, as high as a point of the profile
    cells = cv2.resize(np.ascontiguousarray(grey), (STRIPS, points), interpolation=cv2.INTER_AREA).astype(np.float32)
    window = max(round(points * SMOOTH) | 1, 3)
    slow = cv2.blur(cells, (1, window), borderType=cv2.BORDER_REFLECT)
    fast = cells - slow
    common = np.median(fast, axis=1)
    # strips that disagree show the scene: what they disagree by is no band
    spread = np.median(np.abs(fast - common[:, None]), axis=1)
    sure = np.clip(np.abs(common) - spread, 0, None)
    parts = [float(part.mean()) for part in np.array_split(sure, SLANT)]
    return min(parts) * 1.5


