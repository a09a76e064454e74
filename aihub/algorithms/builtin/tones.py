"""Faults in the light and colour of a picture: too bright, too dark, flat, tinted, without colour. One small picture each."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.picture_quality import clearness
from aihub.algorithms.colours import small_colours
from aihub.algorithms.grey import small_grey
from aihub.types import AnyResult, Frame, Quality

F32 = npt.NDArray[np.float32]

BLOWN = 250
"""Luma from which a pixel has lost what was there; 235 is the white of limited-range video, which arrives as 255."""
NEUTRAL = (20, 245)
"""Luma between which a pixel can show a tint: darker ones have no colour, brighter ones have lost it."""


def levels(frame: Frame, *shares: float) -> tuple[float, ...]:
    """Luma below which these shares of the small grey picture lie, 0..255; from one histogram a frame."""
    below = frame.memo.get(("luma-below",), lambda: _below(frame))
    return tuple(float(np.searchsorted(below, share * below[-1])) for share in shares)


def _below(frame: Frame) -> npt.NDArray[np.int64]:
    return np.cumsum(np.bincount(small_grey(frame).ravel(), minlength=256))


class OverexposedParams(StageParams):
    """Settings of `overexposed`."""

    share: float = Field(0.25, gt=0, lt=1, description="Least share of blown pixels.")
    mean: float = Field(
        170.0, ge=0, le=255, description="Least mean luma: white things alone do not blow a picture."
    )


class Overexposed(Stage[OverexposedParams]):
    """A picture in which the light has washed out too much: wrong exposure, sun or lamp into the lens."""

    name = "overexposed"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Share of blown pixels against its limit, where the picture is bright as a whole."""
        grey = small_grey(frame)
        blown, mean = float(np.mean(grey >= BLOWN)), float(grey.mean())
        score = clearness(blown, self.params.share, 1.0)
        if mean < self.params.mean:
            score = min(score, 0.4999)
        return Quality(score >= 0.5, score, {"blown_share": blown, "mean_luma": mean})


class UnderexposedParams(StageParams):
    """Settings of `underexposed`."""

    mean: float = Field(36.0, ge=0, le=255, description="Mean luma below which the picture may be too dark.")
    bright: float = Field(
        100.0,
        ge=0,
        le=255,
        description="Luma that the brightest fiftieth stays below: lamps at night reach it.",
    )


class Underexposed(Stage[UnderexposedParams]):
    """A picture too dark to see by, in which nothing is bright: no lamp, no window."""

    name = "underexposed"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Mean luma against its limit, where nothing is bright."""
        mean, (bright,) = float(small_grey(frame).mean()), levels(frame, 0.98)
        score = clearness(mean, self.params.mean, 0.0)
        if bright > self.params.bright:
            score = min(score, 0.4999)
        return Quality(score >= 0.5, score, {"mean_luma": mean, "bright_luma": bright})


class LowContrastParams(StageParams):
    """Settings of `low-contrast`."""

    spread: float = Field(
        30.0, ge=0, le=255, description="Least distance of the 2nd and 98th percentile of luma."
    )


class LowContrast(Stage[LowContrastParams]):
    """A picture of one grey: fog, condensation, a dirty dome, a failing lens."""

    name = "low-contrast"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Spread of luma against its limit."""
        low, high = levels(frame, 0.02, 0.98)
        score = clearness(high - low, self.params.spread, 0.0) if high > low else 1.0
        return Quality(score >= 0.5, score, {"spread": high - low, "low_luma": low, "high_luma": high})


def tints(frame: Frame) -> F32:
    """Colour of the pixels that can show one: `(N, 2)` float32 a and b of CIE Lab, 0 is neutral. N may be 0."""
    return frame.memo.get(("tints",), lambda: _tints(frame))


def _tints(frame: Frame) -> F32:
    lab = cv2.cvtColor(small_colours(frame), cv2.COLOR_BGR2LAB).reshape(-1, 3)
    light = small_grey(frame).reshape(-1)
    lab = lab[(light > NEUTRAL[0]) & (light < NEUTRAL[1])] if len(light) == len(lab) else lab
    return np.asarray(lab[:, 1:], np.float32) - np.float32(128)


LOG_FLOOR = 4.0
"""Grey levels added before logarithms, so that noise in the dark is no colour."""
NEAR_NEUTRAL = 0.1
"""Distance of the logarithms of two colours, about a tenth, up to which a pixel is neutral."""
LIT = 25


class ColourCastParams(StageParams):
    """Settings of `colour-cast`."""

    imbalance: float = Field(
        0.25,
        gt=0,
        le=3,
        description="Natural logarithm of the brightest of one colour over that of another, from which it is a cast.",
    )
    neutral: float = Field(
        0.15, gt=0, le=1, description="Share of the picture that is neutral, above which there is no cast."
    )


class ColourCast(Stage[ColourCastParams]):
    """A tint that lies on everything, also on what is white or grey: wrong white balance, a broken colour channel.

    The brightest red, green and blue of a scene are about equal (max-RGB, the Retinex of Land, McCann, 1971), and some of it is
    grey. A lawn, a fire or a painted wall leaves both so; a cast leaves neither.
    """

    name = "colour-cast"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Imbalance of the brightest colours against its limit, where hardly anything is neutral."""
        pixels = small_colours(frame).reshape(-1, 3)
        lit = pixels[pixels.max(axis=1) > LIT].astype(np.float32)
        if len(lit) < 64:
            return Quality(False, 0.0, {"imbalance": 0.0, "neutral_share": 0.0})
        logs = np.log(lit + np.float32(LOG_FLOOR))
        top = np.log(np.percentile(pixels, 98, axis=0) + LOG_FLOOR)
        imbalance = float(top.max() - top.min())
        away = np.hypot(logs[:, 2] - logs[:, 1], logs[:, 0] - logs[:, 1])
        neutral = float(np.mean(away < NEAR_NEUTRAL))
        score = clearness(imbalance, self.params.imbalance, 4 * self.params.imbalance)
        if neutral > self.params.neutral:
            score = min(score, 0.4999)
        return Quality(score >= 0.5, score, {"imbalance": imbalance, "neutral_share": neutral})


class NoColourParams(StageParams):
    """Settings of `no-colour`."""

    chroma: float = Field(
        3.0,
        ge=0,
        le=100,
        description="Distance from the common tint, in units of CIE Lab, from which a pixel has colour.",
    )
    share: float = Field(
        0.01, gt=0, lt=1, description="Most of the picture that may have colour: an on-screen clock."
    )
    contrast: float = Field(
        8.0, ge=0, le=255, description="Least spread of luma; a blank picture is not judged."
    )


class NoColour(Stage[NoColourParams]):
    """A picture in shades of one tint: a camera at night with its infrared lamps on, or a lost colour signal."""

    name = "no-colour"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Share of coloured pixels against its limit."""
        colours, contrast = tints(frame), float(small_grey(frame).std())
        if len(colours) < 64 or contrast < self.params.contrast:
            return Quality(False, 0.0, {"coloured_share": 0.0, "contrast": contrast})
        # infrared of some cameras is violet or green all over: what counts is that nothing differs from it
        away = colours - np.median(colours, axis=0)
        coloured = float(np.mean(np.hypot(away[:, 0], away[:, 1]) > self.params.chroma))
        score = clearness(coloured, self.params.share, 0.0)
        return Quality(score >= 0.5, score, {"coloured_share": coloured, "contrast": contrast})
