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
        8.0,
        gt=0,
        le=100,
        description="Standard deviation of the noise, in grey levels, from which it is a fault.",
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
    return np.asarray(taken[(means > CLIPPED[0]) & (means < CLIPPED[1])], np.int16)


COLUMNS, PROFILE = 96, 180
"""Columns in which the picture is looked at along its bands, and points of a profile across them, at most."""
AGREED = 0.3
"""Share of the columns that may be without a step, or have one the other way, where it is one of a band."""
SMOOTH = 0.2
"""Share of the profile over which the scene's own slow change is taken away."""
PARTS = 3
"""Parts in each of which a profile must show bands: they go all over the picture."""


class StripedParams(StageParams):
    """Settings of `striped-picture`."""

    amplitude: float = Field(
        1.5,
        gt=0,
        le=100,
        description="Strength of the bands, in grey levels (half of light to dark), from which they are a fault.",
    )


class StripedPicture(Stage[StripedParams]):
    """Level or upright bands over the whole picture: mains hum, interference, broken sensor rows, a bad cable.

    Steps from line to line are taken in many columns. A band gives all of them the same step, a thing only those that it
    covers; so of each line counts what seven columns in ten have at least. Added up again, less the slow part, which is the
    scene's, these steps are the profile of the bands; its mean size in the weakest third of the picture is their strength.
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
    size = (min(width, COLUMNS), min(height, PROFILE))
    if grey.flags.c_contiguous:
        cells = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
    else:  # a turned picture: turning the small one is much quicker
        cells = np.asarray(cv2.resize(grey.T, size[::-1], interpolation=cv2.INTER_AREA), np.float32).T
    steps = np.sort(np.diff(cells, axis=0), axis=1)
    odd = int(AGREED * size[0])
    common = steps[:, odd].clip(0) + steps[:, -1 - odd].clip(None, 0)
    # a horizon and the edge of a black bar are steps of all columns too, but few: bands are made of many
    most = 2 * float(np.quantile(np.abs(common), 0.9)) + 0.3
    common = np.clip(common, -most, most)
    profile = np.concatenate([[0.0], np.cumsum(common)]).astype(np.float32)
    window = max(round(size[1] * SMOOTH) | 1, 3)
    fast = profile - cv2.blur(profile[:, None], (1, window), borderType=cv2.BORDER_REFLECT)[:, 0]
    # the mean size of a sine is 2 / pi of its amplitude
    return min(float(np.abs(part).mean()) for part in np.array_split(fast, PARTS)) * (np.pi / 2)
