"""Stage `deblur-score`: how blurred a single picture is, and which way it was smeared."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.picture_quality import clearness
from aihub.algorithms.grey import small_grey
from aihub.types import AnyResult, Frame, Quality

SIDE = 640
"""Longer side of the picture that is judged: what is sharp there is sharp on a screen."""
REBLUR = 9
"""Pixels of the blur that the picture is compared with."""


class DeblurScoreParams(StageParams):
    """Settings of `deblur-score`."""

    blur: float = Field(
        0.55, gt=0, lt=1, description="Blur from which a picture is worth sharpening, 0 sharp to 1 smeared."
    )


class DeblurScore(Stage[DeblurScoreParams]):
    """The blur effect of Crete and others ("The blur effect: perception and estimation with a new no-reference perceptual blur
    metric", SPIE 6492, 2007): blurring a sharp picture once more changes its steps between neighbours much, a blurred one hardly.

    Taken along rows and along columns apart: where one is much more blurred than the other, the picture was smeared by motion.
    The variance of the Laplacian (Pech-Pacheco and others, ICPR 2000) is given for those who know it.
    """

    name = "deblur-score"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """The more blurred of the two directions against the limit."""
        grey = small_grey(frame, SIDE)
        across, down = blur_effect(grey), blur_effect(np.ascontiguousarray(grey.T))
        blur = max(across, down)
        score = clearness(blur, self.params.blur, 1.0)
        measures = {
            "blur": blur, "blur_across": across, "blur_down": down,
            "laplacian_variance": float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        }  # fmt: skip
        return Quality(score >= 0.5, score, measures)


def blur_effect(grey: npt.NDArray[np.uint8]) -> float:
    """Share of the steps along rows that blurring once more leaves, 0 sharp to 1 smeared; 0 without any steps."""
    if grey.shape[1] < 2 * REBLUR:
        return 0.0
    values = grey.astype(np.float32)
    again = cv2.blur(values, (REBLUR, 1))
    before, after = np.abs(np.diff(values, axis=1)), np.abs(np.diff(again, axis=1))
    lost = np.maximum(before - after, 0).sum()
    total = float(before.sum())
    return float((total - lost) / total) if total > 0 else 0.0
