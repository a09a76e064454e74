"""Stage `steady`: pictures that follow each other, held still against the shaking of the camera."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.colours import small_colours
from aihub.algorithms.grey import Grey, small_grey
from aihub.types import AnyResult, Frame, Picture, Predictor

F64 = npt.NDArray[np.float64]

SIDE = 480
"""Longer side at which motion is looked for, pixels."""
LARGEST = 1920
"""Longer side of a picture that is made, at most."""
POINTS = 200
LEAST_POINTS = 12
"""With fewer points that can be followed nothing is known of the camera's motion."""
MOST_TURN = 0.3
"""Radians a picture; more is another view, not shaking."""
MOST_SHIFT = 0.25
"""The same for its shift, as a share of the longer side."""


class SteadyParams(StageParams):
    """Settings of `steady`."""

    hold: float = Field(
        0.95,
        ge=0,
        le=1,
        description="How firmly it is held: 1 on the first picture for ever, 0 not at all; between, it follows slowly.",
    )


class Steady(Stage[SteadyParams]):
    """Each picture moved and turned so that the scene stays where it was.

    Corners (Shi, Tomasi, CVPR 1994) are followed from picture to picture (Lucas, Kanade, 1981), shift and turn are what most
    of them agree on (RANSAC), and the way of the camera is what they add up to. What it does slowly is let through. A picture
    that shows something else starts anew. The first picture comes out as it is.
    """

    name = "steady"
    stateful = True

    def __init__(self, params: SteadyParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._before: Grey | None = None
        self._way: F64 = np.zeros(3)

    def process(self, frame: Frame, found: AnyResult | None) -> Picture:  # noqa: ARG002 - a first stage
        """The steadied picture; by how much it had moved, and what is left of it."""
        grey = small_grey(frame, SIDE)
        before, self._before = self._before, grey
        step = None if before is None or before.shape != grey.shape else motion(before, grey)
        if step is None:
            self._way = np.zeros(3)
            step = np.zeros(3)
        # the way that is corrected forgets a little with each picture: so a pan passes
        self._way = (self._way + step) * self.params.hold
        image = small_colours(frame, LARGEST)
        height, width = image.shape[:2]
        scale = max(width, height) / max(grey.shape)
        across, down, turn = (self._way * (scale, scale, 1)).tolist()
        measures = {
            "moved_px": float(np.hypot(*step[:2]) * scale), "corrected_px": float(np.hypot(across, down)),
            "turned_deg": float(np.degrees(turn)),
        }  # fmt: skip
        if not self._way.any():
            return Picture(image, measures)
        cosine, sine = np.cos(-turn), np.sin(-turn)
        x, y = (width - 1) / 2, (height - 1) / 2
        back = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
        back[:, 2] = np.array([x, y]) - back[:, :2] @ (x + across, y + down)
        made = cv2.warpAffine(
            image, back, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return Picture(np.asarray(made, np.uint8), measures)


def motion(before: Grey, now: Grey) -> F64 | None:
    """Shift right and down of the picture's middle, pixels, and turn in radians; None where nothing can be followed."""
    if min(before.shape) < 32:
        return None
    corners = cv2.goodFeaturesToTrack(before, POINTS, 0.01, 8)
    if corners is None or len(corners) < LEAST_POINTS:
        return None
    followed, status, _ = cv2.calcOpticalFlowPyrLK(
        before, now, corners, np.empty_like(corners), winSize=(21, 21), maxLevel=4
    )
    kept = status.ravel() > 0
    if kept.sum() < LEAST_POINTS:
        return None
    found, inliers = cv2.estimateAffinePartial2D(corners[kept], followed[kept], ransacReprojThreshold=1.5)
    if found is None or inliers.sum() < max(LEAST_POINTS, 0.4 * kept.sum()):
        return None
    turn = float(np.arctan2(found[1, 0], found[0, 0]))
    middle = np.array([(before.shape[1] - 1) / 2, (before.shape[0] - 1) / 2])
    shift = found[:, :2] @ middle + found[:, 2] - middle
    if abs(turn) > MOST_TURN or np.hypot(*shift) > MOST_SHIFT * max(before.shape):
        return None
    return np.array([shift[0], shift[1], turn])
