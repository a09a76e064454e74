"""Rule `face-verification`: whether the person on a picture is the one on the first picture of the request."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage
from aihub.algorithms.faces.asking import faces_of, largest, with_attributes
from aihub.algorithms.faces.embedding import MODEL, Templates, embed
from aihub.algorithms.faces.gate import GateParams, passing
from aihub.algorithms.galleries import galleries_here
from aihub.streams.ruling import observe
from aihub.types import AnyResult, Detections, Findings, Frame, Predictor

MAX_FACES = 16
"""Faces of one picture that are compared, largest first."""


class FaceVerificationParams(GateParams):
    """From when on two faces are one person."""

    similarity: float = Field(0.63, ge=0, le=1, description="Least likeness; see `Templates.likeness`.")
    compare: Literal["largest", "any"] = Field(
        "largest",
        description="Which face of a later picture is compared: the largest, or whichever is most alike.",
    )


class FaceVerification(Stage[FaceVerificationParams]):
    """Compares later pictures with the largest face of the first; what was learned of it goes with the request.

    Measures: `faces`, `reference` (1 once the first picture had a face that can be compared) and `similarity` in [0, 1]. An
    observation `same` when the likeness reaches the threshold.
    """

    name = "face-verification"
    stateful = True
    scope = "faces"

    def __init__(self, params: FaceVerificationParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._begun = False
        self._reference: Templates | None = None

    @classmethod
    def models(cls, params: FaceVerificationParams) -> tuple[str, ...]:
        """The embedding, and liveness where asked for."""
        return (MODEL, *params.models())

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the faces have no landmarks.
            AihubError: a model refused or failed.
        """
        faces = faces_of(found, self.name)
        faces = faces[largest(faces, MAX_FACES)]
        if not self._begun:
            self._begun = True
            return self._refer(frame, faces)
        fine, known = passing(self.predictor, frame, faces, self.params)
        if self.params.compare == "largest":
            fine &= np.isin(np.arange(len(faces)), largest(faces, 1))
        rows = np.flatnonzero(fine)
        made = embed(self.predictor, frame, faces[rows])
        measures = {
            "faces": float(len(faces)),
            "reference": float(self._reference is not None),
            "similarity": 0.0,
        }
        shown = with_attributes(faces, known)
        if self._reference is None or not len(rows):
            return Findings(shown, measures=measures)
        alike = made.likeness(self._reference.vectors)[:, 0]
        best = int(alike.argmax())
        same = bool(alike[best] >= self.params.similarity)
        galleries_here().witness(frame.source, "face.verify", self.name, {"faces": len(rows), "same": same})
        measures["similarity"] = round(float(alike[best]), 4)
        for row, share in zip(rows.tolist(), alike.tolist(), strict=True):
            known[row]["similarity"] = round(share, 4)
        shown = with_attributes(faces, known)
        if not same:
            return Findings(shown, measures=measures)
        data = {**known[int(rows[best])]}
        return Findings(shown, (observe(frame, shown, int(rows[best]), "same", data),), measures)

    def _refer(self, frame: Frame, faces: Detections) -> Findings:
        """The first picture. Its face may be a print, on a card say: nobody asks whether it is live."""
        fine, _ = passing(self.predictor, frame, faces, self.params.model_copy(update={"liveness": 0.0}))
        faces = faces[fine]
        made = embed(self.predictor, frame, faces[largest(faces, 1)])
        self._reference = made if len(made) else None
        return Findings(faces, measures={"faces": float(len(faces)), "reference": float(len(made))})
