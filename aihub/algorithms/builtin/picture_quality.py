"""Faults of the picture itself: black, frozen, blurred. Classic measures on one small grey picture a frame."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.grey import Grey, small_grey
from aihub.types import AnyResult, Frame, Predictor, Quality

_JUST_BELOW = 0.4999
"""A verdict of no fault stays below one half even when rounded for the wire."""
_ROUNDING = 1e-6
"""Five frames at five a second are one second."""


def clearness(value: float, limit: float, worst: float) -> float:
    """How clearly a measure shows a fault: 0.5 at the limit, 1 at the worst value, falling to 0 on the other side.

    >>> clearness(1.0, 0.5, 1.0), clearness(0.5, 0.5, 1.0), clearness(0.25, 0.5, 1.0), clearness(0.0, 0.5, 0.0)
    (1.0, 0.5, 0.25, 1.0)
    """
    if worst > limit:
        fault = value >= limit
        score = 0.5 + 0.5 * (value - limit) / (worst - limit) if fault else 0.5 * value / max(limit, 1e-9)
    else:
        fault = value <= limit
        score = 0.5 + 0.5 * (limit - value) / max(limit - worst, 1e-9) if fault else 0.5 * limit / value
    return min(max(score, 0.5), 1.0) if fault else min(max(score, 0.0), _JUST_BELOW)


class BlackPictureParams(StageParams):
    """Settings of `black-picture`."""

    luma: float = Field(24.0, ge=0, le=255, description="A pixel below this luma is dark.")
    share: float = Field(
        0.98, gt=0.5, lt=1, description="Least share of dark pixels; the rest may be an on-screen clock."
    )


class BlackPicture(Stage[BlackPictureParams]):
    """A picture with nothing on it but darkness: lens cap, dead sensor, lost signal."""

    name = "black-picture"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Share of dark pixels against its limit."""
        grey = small_grey(frame)
        dark = float(np.count_nonzero(grey < self.params.luma) / grey.size)
        score = clearness(dark, self.params.share, 1.0)
        return Quality(score >= 0.5, score, {"mean_luma": float(grey.mean()), "dark_share": dark})


class FrozenPictureParams(StageParams):
    """Settings of `frozen-picture`."""

    difference: float = Field(
        0.1,
        ge=0,
        le=5,
        description="Mean difference, in grey levels, up to which two pictures count as the same one. "
        "A live camera in a still room differs by 0.3 and more within a second.",
    )
    moving_share: float = Field(
        0.002,
        ge=0,
        le=0.1,
        description="Share of the picture that may change all the same: an on-screen clock.",
    )
    seconds: float = Field(10.0, ge=1, le=86400, description="How long the picture must be the same.")


class FrozenPicture(Stage[FrozenPictureParams]):
    """The same picture for seconds on end, which no live sensor gives, not even of an empty room.

    Each frame is compared with the first of the run of equal ones, so that a slow drift counts as change. For less
    than a second a codec may well repeat a quiet live picture exactly: a shorter run says nothing.
    """

    name = "frozen-picture"
    stateful = True

    def __init__(self, params: FrozenPictureParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._first: tuple[Grey, float] | None = None

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """How long the picture has been the same; the score is one half at the limit and grows with time."""
        grey, now = small_grey(frame), frame.monotonic
        if self._first is None or self._first[0].shape != grey.shape:
            self._first = (grey, now)
            return Quality(False, 0.0, {"unchanged_s": 0.0})
        difference = _trimmed_difference(grey, self._first[0], self.params.moving_share)
        if difference > self.params.difference:
            self._first = (grey, now)
        unchanged = now - self._first[1]
        score = clearness(unchanged, self.params.seconds - _ROUNDING, 4 * self.params.seconds)
        return Quality(score >= 0.5, score, {"difference": difference, "unchanged_s": unchanged})


def _trimmed_difference(a: Grey, b: Grey, share: float) -> float:
    """Mean absolute difference of all pixels but the `share` that differ most."""
    levels = np.bincount(np.asarray(cv2.absdiff(a, b)).ravel(), minlength=256)
    kept = max(a.size - int(share * a.size), 1)
    below = np.minimum(np.cumsum(levels), kept)
    counts = np.diff(below, prepend=0)
    return float(counts @ np.arange(256) / kept)


class BlurredPictureParams(StageParams):
    """Settings of `blurred-picture`."""

    sharpness: float = Field(
        1.15,
        ge=0,
        le=8,
        description="Fault below this: steepest bends of the picture over its steepest slopes, at 320 pixels. "
        "It falls with the width of edges and does not depend on contrast.",
    )
    contrast: float = Field(
        4.0, ge=0, le=255, description="Least spread of luma; a flatter picture has no edges to judge."
    )


class BlurredPicture(Stage[BlurredPictureParams]):
    """A picture without a single sharp edge: out of focus, dirt or condensation on the lens.

    For an edge blurred by a Gaussian, strongest second derivative over strongest first derivative is in proportion
    to 1 / sigma, whatever the contrast; taking the 99.5th percentile of each looks at the best edges of the picture.
    """

    name = "blurred-picture"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Sharpness of the sharpest edges against its limit."""
        grey = small_grey(frame)
        contrast = float(grey.std())
        if contrast < self.params.contrast or min(grey.shape) < 16:
            return Quality(False, 0.0, {"contrast": contrast})
        # Where noise is all that is sharp, halving the picture takes it away but leaves a broad blur broad.
        half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        sharpness = min(edge_sharpness(grey), edge_sharpness(np.asarray(half, np.uint8)))
        score = clearness(sharpness, self.params.sharpness, 0.0)
        return Quality(score >= 0.5, score, {"sharpness": sharpness, "contrast": contrast})


def edge_sharpness(grey: Grey) -> float:
    """99.5th percentile of the Laplacian's size over that of the gradient's, in 1 / pixel: high is sharp."""
    bends = np.abs(cv2.Laplacian(grey, cv2.CV_16S))
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3)
    slopes = np.asarray(cv2.magnitude(across, down)).astype(
        np.int16
    )  # a Sobel kernel gives eight times the slope
    return _top(bends) / max(_top(slopes) / 8, 0.5)


def _top(values: npt.NDArray[np.int16]) -> float:
    """99.5th percentile of small non-negative integers; counting is four times as fast as sorting."""
    below = np.cumsum(np.bincount(values.ravel()))
    return float(np.searchsorted(below, 0.995 * below[-1]))
