"""Stage `embed`: a vector for each thing that was found, by which it can be known again."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.crops import answers, ask, cut, worth_most
from aihub.algorithms.embedded import EmbeddedDetections, with_vectors
from aihub.errors import DecodeError
from aihub.types import AnyResult, Detections, Frame


class EmbedParams(StageParams):
    """Which model, and how it is fed."""

    model: str = Field("person-reid", min_length=1, description="Name or role of the model.")
    port: str = Field("inputs:0", min_length=1, description="Name of the graph's input.")
    size: tuple[int, int] = Field((256, 128), description="Height and width that it takes, pixels.")
    length: int = Field(256, ge=1, le=4096, description="Numbers of a vector.")
    least_side: float = Field(24.0, ge=1, le=1000, description="Things with a shorter side are not looked at.")  # fmt: skip
    most: int = Field(8, ge=1, le=64, description="Most looks a frame: the large and sure first.")


class Embed(Stage[EmbedParams]):
    """Puts `vectors` of length 1 beside the rows (see `EmbeddedDetections`); zeros for those nobody looked at."""

    name = "embed"

    @classmethod
    def models(cls, params: EmbedParams) -> tuple[str, ...]:
        """The model that makes vectors."""
        return (params.model,)

    def process(self, frame: Frame, found: AnyResult | None) -> EmbeddedDetections:
        """See the class.

        Raises:
            StageError: the stage before gave no detections.
            DecodeError: the model gave vectors of another length.
            AihubError: a run refused or failed.
        """
        if not isinstance(found, Detections):
            raise StageError("stage 'embed' works on detections")
        settings = self.params
        rows = worth_most(found, settings.most, settings.least_side)
        crops = [cut(frame.image, box, settings.size) for box in found.xyxy[rows].tolist()]
        runs = ask(self.predictor, settings.model, settings.port, [crop.pixels for crop in crops], frame)
        vectors = np.zeros((len(found), settings.length), np.float32)
        for row, outputs in zip(rows.tolist(), answers(runs, settings.model), strict=True):
            vector = np.asarray(next(iter(outputs.values())), np.float32).ravel()
            if len(vector) != settings.length or not np.isfinite(vector).all():
                raise DecodeError(f"{settings.model} gave no vector of {settings.length} numbers")
            vectors[row] = vector / max(float(np.linalg.norm(vector)), 1e-9)
        return with_vectors(found, vectors)
