"""Stage `pose`: where the joints of every person are."""

from __future__ import annotations

import dataclasses

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.crops import F32, Crop, answers, ask, cut, worth_most
from aihub.errors import DecodeError
from aihub.types import AnyResult, Detections, Frame, Tensor

MODEL, PORT = "pose", "serving_default_input:0"
JOINTS = 17
"""Nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles; the left of each pair first (COCO)."""
SIDE = 192
MARGIN = 0.12
"""Added on each side of a person's box: detectors cut hands off."""


class PoseParams(StageParams):
    """How many people, and how small."""

    most: int = Field(8, ge=1, le=64, description="Most people a frame: the large and sure first.")
    least_side: float = Field(16.0, ge=1, le=1000, description="People narrower than this, pixels, are left.")


class Pose(Stage[PoseParams]):
    """Adds `keypoints` `(N, 17, 3)`: x, y in pixels of the frame, score in [0, 1]; scores of 0 for those nobody looked at."""

    name = "pose"

    @classmethod
    def models(cls, params: PoseParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """The model that finds joints."""
        return (MODEL,)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class.

        Raises:
            StageError: the stage before gave no detections.
            DecodeError: the model gave something else than its card says.
            AihubError: a run refused or failed.
        """
        if not isinstance(found, Detections):
            raise StageError("stage 'pose' works on detections")
        rows = worth_most(found, self.params.most, self.params.least_side)
        crops = [
            cut(frame.image, box, (SIDE, SIDE), MARGIN, square=True) for box in found.xyxy[rows].tolist()
        ]
        runs = ask(self.predictor, MODEL, PORT, [crop.pixels for crop in crops], frame)
        joints = np.zeros((len(found), JOINTS, 3), np.float32)
        for row, crop, outputs in zip(rows.tolist(), crops, answers(runs, MODEL), strict=True):
            joints[row] = placed(outputs, crop)
        limit = np.array([frame.width, frame.height], np.float32)
        joints[..., :2] = np.clip(joints[..., :2], 0, limit)
        return dataclasses.replace(found, keypoints=joints)


def placed(outputs: dict[str, Tensor], crop: Crop) -> F32:
    """`(17, 3)` x, y, score in pixels of the picture that the crop was cut from.

    Raises:
        DecodeError: the model gave something else than its card says.
    """
    raw = np.asarray(next(iter(outputs.values())), np.float32)
    if raw.size != JOINTS * 3:
        raise DecodeError(f"{MODEL} gave joints of shape {raw.shape}, not (1, 1, {JOINTS}, 3)")
    raw = raw.reshape(JOINTS, 3)
    points = crop.to_frame(raw[:, [1, 0]] * np.float32(SIDE))
    joints: F32 = np.hstack([points, np.clip(raw[:, 2:], 0, 1)])
    return joints
