"""Rule `face-flag`: there is a face of a kind, such as one without a mask, or one that is not live."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import Inertia, Streak, detections_of, observe
from aihub.types import AnyResult, Detections, Findings, Frame, Predictor


class FaceFlagParams(StageParams):
    """Which faces count."""

    label: str = Field("", max_length=64, description="Label that they have; none for any.")
    attribute: str = Field("", max_length=64, description="Attribute that they have; none for any.")
    value: str = Field("", max_length=64, description="What the attribute must be.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames with such a face.")

    @model_validator(mode="after")
    def _asks_something(self) -> FaceFlagParams:
        if not self.label and not self.attribute:
            raise ValueError("a label or an attribute is needed")
        return self


class FaceFlag(Stage[FaceFlagParams]):
    """All faces, one observation `picture` about the surest that counts, and measures `faces` and `flagged`."""

    name = "face-flag"
    stateful = True

    def __init__(self, params: FaceFlagParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._streak = Streak(params.inertia)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the stage before gave no detections.
        """
        faces = detections_of(found, self.name)
        rows = np.flatnonzero([self._counts(faces, row) for row in range(len(faces))])
        measures = {"faces": float(len(faces)), "flagged": float(len(rows))}
        if not self._streak.update(frame.monotonic, holds=len(rows) > 0):
            return Findings(faces, measures=measures)
        surest = int(rows[faces.confidence[rows].argmax()])
        data = {"count": len(rows), **(faces.attributes[surest] if faces.attributes else {})}
        return Findings(faces, (observe(frame, faces, surest, "picture", data),), measures)

    def _counts(self, faces: Detections, row: int) -> bool:
        if self.params.label and faces.labels[int(faces.class_id[row])] != self.params.label:
            return False
        known = faces.attributes[row] if faces.attributes else {}
        return not self.params.attribute or str(known.get(self.params.attribute)) == self.params.value
