"""Stage `face-liveness`: whether each face is a person before the camera, or paper, or a screen."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.faces.asking import faces_of, largest, sides, with_attributes
from aihub.algorithms.faces.liveness import NEAR, WIDE, live_shares
from aihub.types import AnyResult, Detections, Frame


class FaceLivenessParams(StageParams):
    """When a face counts as live."""

    threshold: float = Field(0.5, ge=0, le=1, description="Least share of liveness, two networks' mean.")
    min_size: float = Field(
        60.0, ge=8, le=4096, description="Least longer side of a face that is judged, pixels."
    )
    max_faces: int = Field(8, ge=1, le=64, description="Faces that are judged, largest first; others go.")


class FaceLiveness(Stage[FaceLivenessParams]):
    """The faces with attributes `live` (share in [0, 1]) and `liveness`: `live`, `spoof`, or `too-small` to say."""

    name = "face-liveness"

    @classmethod
    def models(cls, params: FaceLivenessParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """The two networks."""
        return (NEAR, WIDE)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class.

        Raises:
            AihubError: a model refused or failed.
        """
        faces = faces_of(found, self.name)
        faces = faces[largest(faces, self.params.max_faces)]
        judged = np.flatnonzero(sides(faces) >= self.params.min_size)
        rows: list[dict[str, object]] = [{"liveness": "too-small"} for _ in range(len(faces))]
        shares = live_shares(self.predictor, frame, faces.xyxy[judged])
        for row, share in zip(judged.tolist(), shares.tolist(), strict=True):
            verdict = "live" if share >= self.params.threshold else "spoof"
            rows[row] = {"liveness": verdict, "live": round(share, 3)}
        return with_attributes(faces, rows)
