"""Pictures made better to look at: dark ones lightened, hazy ones cleared. Well-known methods, no network."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.colours import small_colours
from aihub.types import AnyResult, Frame, Image, Picture

F32 = npt.NDArray[np.float32]

LARGEST = 1920
"""Longer side of a picture that is made, at most."""
SMALL = 320
"""Longer side at which light and haze are estimated: both change slowly over a picture."""
BAND = 270
"""Rows that are worked on at a time, so that a large picture takes little memory."""


class LightenParams(StageParams):
    """Settings of `lighten`."""

    strength: float = Field(
        0.6, ge=0, le=1, description="From 0, as it was, to 1, all of the light taken out."
    )
    floor: float = Field(
        0.06,
        ge=0.01,
        le=1,
        description="Light below which nothing is lightened further: only noise is there.",
    )


class Lighten(Stage[LightenParams]):
    """A dark picture lightened where it is dark.

    The light that falls on each place is taken to be the largest of its three colours, smoothed so that edges stay, and the
    picture is divided by a power of it (Guo, Li, Ling, "LIME: Low-light image enhancement via illumination map estimation",
    IEEE Transactions on Image Processing 26, 2017; with the guided filter of He, Sun, Tang, ECCV 2010, in place of its solver).
    """

    name = "lighten"

    def process(self, frame: Frame, found: AnyResult | None) -> Picture:  # noqa: ARG002 - a first stage
        """The picture, and its mean luma before and after."""
        small = small_colours(frame, SMALL)
        brightest = small.max(axis=2).astype(np.float32) / 255
        light = np.clip(guided(brightest, brightest), self.params.floor, 1)
        gain = light ** np.float32(-self.params.strength)
        made = _scaled(small_colours(frame, LARGEST), gain)
        after = small_mean(made)
        return Picture(
            made,
            {"mean_luma_before": small_mean(small), "mean_luma_after": after, "gain": float(gain.mean())},
        )


def small_mean(image: Image) -> float:
    """Mean luma, from a look at every few pixels."""
    step = max(max(image.shape[:2]) // SMALL, 1)
    part = image[::step, ::step].reshape(-1, 3)
    return float(part.mean(axis=0) @ (0.114, 0.587, 0.299))


def guided(guide: F32, values: F32, radius: int = 8, smooth: float = 1e-3) -> F32:
    """Values smoothed but for where the guide has edges: the guided filter (He, Sun, Tang, ECCV 2010)."""
    window = (2 * radius + 1, 2 * radius + 1)
    mean, mean_values = cv2.blur(guide, window), cv2.blur(values, window)
    spread = cv2.blur(guide * guide, window) - mean * mean
    slope = (cv2.blur(guide * values, window) - mean * mean_values) / (spread + np.float32(smooth))
    offset = mean_values - slope * mean
    return np.asarray(cv2.blur(slope, window) * guide + cv2.blur(offset, window), np.float32).reshape(
        guide.shape
    )


def _wide(small: F32, frame_shape: tuple[int, ...]) -> F32:
    size = (frame_shape[1], frame_shape[0])
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.float32).reshape(
        frame_shape[:2]
    )


def _scaled(image: Image, gain: F32) -> Image:
    """Each pixel times the gain of its place."""
    wide, made = _wide(gain, image.shape), np.empty_like(image)
    for top in range(0, image.shape[0], BAND):
        rows = slice(top, top + BAND)
        cv2.multiply(image[rows], cv2.merge([wide[rows]] * 3), dst=made[rows], dtype=cv2.CV_8U)
    return made


class DehazeParams(StageParams):
    """Settings of `dehaze`."""

    strength: float = Field(
        0.95, ge=0, le=1, description="Share of the haze that is taken away; a little of it keeps depth."
    )
    least: float = Field(
        0.15, gt=0, le=1, description="Least share of a place's own light that is believed in."
    )


class Dehaze(Stage[DehazeParams]):
    """A hazy picture cleared: the dark channel prior (He, Sun, Tang, "Single image haze removal using dark channel prior", CVPR 2009).

    In a clear picture nearly every patch has a pixel that is dark in one colour; haze lifts it, and tells so how much of the light
    is the air's. Estimated small and refined by the guided filter.
    """

    name = "dehaze"

    def process(self, frame: Frame, found: AnyResult | None) -> Picture:  # noqa: ARG002 - a first stage
        """The picture, with the haze found and the spread of luma before and after."""
        small = small_colours(frame, SMALL).astype(np.float32)
        air = _air(small)
        patch = np.ones((9, 9), np.uint8)
        dark = cv2.erode((small / air).min(axis=2), patch)
        through = 1 - np.float32(self.params.strength) * np.clip(
            np.asarray(dark, np.float32).reshape(small.shape[:2]), 0, 1
        )
        guide = small.mean(axis=2) / 255
        through = np.asarray(np.clip(guided(guide, through, 16), self.params.least, 1), np.float32)
        image = small_colours(frame, LARGEST)
        made = _cleared(image, through, air)
        measures = {
            "haze_share": float(1 - through.mean()), "spread_before": _spread(image), "spread_after": _spread(made),
        }  # fmt: skip
        return Picture(made, measures)


def _air(small: F32) -> F32:
    """Colour of the air, `(3,)`: the mean of the haziest thousandth of the picture."""
    dark = np.asarray(cv2.erode(small.min(axis=2), np.ones((9, 9), np.uint8))).ravel()
    count = max(len(dark) // 1000, 1)
    places = np.argpartition(dark, -count)[-count:]
    return np.asarray(np.maximum(small.reshape(-1, 3)[places].mean(axis=0), 1), np.float32)


def _cleared(image: Image, through: F32, air: F32) -> Image:
    """(I - A) / t + A, in bands of rows."""
    wide, made = _wide(np.float32(1) / through, image.shape), np.empty_like(image)
    for top in range(0, image.shape[0], BAND):
        rows = slice(top, top + BAND)
        gain = wide[rows]
        planes = [
            cv2.addWeighted(
                cv2.multiply(plane, gain, dtype=cv2.CV_32F), 1, 1 - gain, light, 0, dtype=cv2.CV_8U
            )
            for plane, light in zip(cv2.split(image[rows]), air.tolist(), strict=True)
        ]
        made[rows] = cv2.merge(planes)
    return made


def _spread(image: Image) -> float:
    """Standard deviation of luma, from a look at every few pixels."""
    step = max(max(image.shape[:2]) // SMALL, 1)
    return float((image[::step, ::step].reshape(-1, 3) @ np.array([0.114, 0.587, 0.299], np.float32)).std())
