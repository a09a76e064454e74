"""Stage `face-quality`: whether each face is fit to be compared, and if not, what is wrong with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.faces.asking import faces_of, largest, points_of, with_attributes
from aihub.algorithms.faces.judging import eye_distances, looks, poses
from aihub.types import AnyResult, Detections, Frame

FIT = "fit"


class FaceQualityParams(StageParams):
    """What is asked of a face."""

    min_eye_distance: float = Field(24.0, ge=4, le=1000, description="Least pixels between the eyes.")
    max_turn: float = Field(30.0, ge=5, le=90, description="Most degrees turned aside, raised or lowered.")
    max_roll: float = Field(40.0, ge=5, le=180, description="Most degrees tilted.")
    min_detail: float = Field(
        0.12, ge=0, le=1, description="Least share of its detail that a blur takes away; less is blurred."
    )
    min_luma: float = Field(50.0, ge=0, le=255, description="Least mean luma.")
    max_luma: float = Field(215.0, ge=0, le=255, description="Most mean luma.")
    max_uneven: float = Field(
        0.45, ge=0, le=2, description="Most difference in light between the two halves, over the mean."
    )
    max_faces: int = Field(16, ge=1, le=64, description="Faces that are judged, largest first; others go.")


class FaceQuality(Stage[FaceQualityParams]):
    """The faces with attributes: `comparison` is `fit`, or the first of `small`, `turned`, `dark`, `bright`, `uneven`, `blurred`
    that is wrong; and the figures behind it."""

    name = "face-quality"

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class. Faces without landmarks cannot be judged and count as `no-landmarks`."""
        faces = faces_of(found, self.name)
        faces = faces[largest(faces, self.params.max_faces)]
        if faces.keypoints is None:
            return with_attributes(faces, [{"comparison": "no-landmarks"}] * len(faces))
        points = points_of(faces)
        figures = np.concatenate(
            [eye_distances(points)[:, None], poses(points), looks(frame.image, points)], axis=1
        )
        return with_attributes(faces, [self._judged(row) for row in figures.tolist()])

    def _judged(self, figures: list[float]) -> dict[str, Any]:
        eyes, roll, yaw, pitch, detail, luma, _, uneven = figures
        asked = self.params
        wrong = {
            "small": eyes < asked.min_eye_distance,
            "turned": max(abs(yaw), abs(pitch)) > asked.max_turn or abs(roll) > asked.max_roll,
            "dark": luma < asked.min_luma,
            "bright": luma > asked.max_luma,
            "uneven": uneven > asked.max_uneven,
            "blurred": detail < asked.min_detail,
        }
        return {
            "comparison": next((name for name, holds in wrong.items() if holds), FIT),
            "eye_distance_px": round(eyes, 1),
            "roll_deg": round(roll),
            "yaw_deg": round(yaw),
            "pitch_deg": round(pitch),
            "detail": round(detail, 3),
            "luma": round(luma, 1),
            "uneven": round(uneven, 3),
        }
