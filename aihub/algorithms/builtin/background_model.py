"""Stage `background`: what is there when nobody is: the ground of a scene, as a picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.colours import small_colours
from aihub.types import AnyResult, Frame, Picture, Predictor

SIDE = 960
"""Longer side of the picture that is made, at most."""
MODES = 3


class BackgroundParams(StageParams):
    """Settings of `background`."""

    memory: float = Field(30.0, ge=1, le=86400, description="Seconds after which what stays becomes ground.")
    looks: int = Field(
        20,
        ge=2,
        le=10_000,
        description="The same in pictures, for pictures of a request, which have no time.",
    )


class Background(Stage[BackgroundParams]):
    """The ground of the scene so far: each pixel a mixture of few colours, of which the commonest is the ground.

    Zivkovic, "Improved adaptive Gaussian mixture model for background subtraction", ICPR 2004 (OpenCV's MOG2).
    """

    name = "background"
    stateful = True

    def __init__(self, params: BackgroundParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._model: cv2.BackgroundSubtractorMOG2 | None = None
        self._shape: tuple[int, ...] = ()
        self._seen = 0
        self._last = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Picture:  # noqa: ARG002 - a first stage
        """The ground, and the share of this picture that is not ground."""
        small, now = small_colours(frame, SIDE), frame.monotonic
        if self._model is None or small.shape != self._shape:
            self._model = cv2.createBackgroundSubtractorMOG2(detectShadows=False)
            self._model.setNMixtures(MODES)
            self._shape, self._seen = small.shape, 0
        elapsed, self._last = max(now - self._last, 0.0), now
        self._seen += 1
        timed = 1 - math.exp(-elapsed / self.params.memory)
        # at the start the mean of all that was seen; between pictures without time, so many of them
        rate = max(1 / self._seen, timed if elapsed > 0.02 else 1 / self.params.looks)
        stirring = self._model.apply(small, learningRate=min(rate, 1.0))
        ground = np.asarray(self._model.getBackgroundImage(), np.uint8)
        return Picture(
            ground,
            {"foreground_share": cv2.countNonZero(stirring) / stirring.size, "looks": float(self._seen)},
        )
