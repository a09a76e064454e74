"""Stage `classify`: what a classifier calls the whole picture."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Literal

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.waiting import waited
from aihub.engine.postprocess import probabilities
from aihub.engine.preprocess import prepare
from aihub.errors import DecodeError
from aihub.types import AnyResult, Frame, InputSpec, Labels, Predictor, Tensor


class ClassifyParams(StageParams):
    """Which classifier, how it is fed, and how it is read."""

    model: str = Field(min_length=1, description="Name or role of the classifier.")
    port: str = Field("input", min_length=1, description="Name of the graph's input.")
    size: tuple[int, int] = Field(description="Height and width that it takes, pixels.")
    resize: Literal["stretch", "letterbox", "letterbox-centre"] = Field(
        "stretch", description="How a picture of another shape is brought to that size."
    )
    labels: tuple[str, ...] = Field(min_length=1, description="Names of its classes, in their order.")
    confidence: float = Field(0.1, ge=0, le=1, description="Probability below which a name is left out.")
    most: int = Field(5, ge=1, le=100, description="Most names that are given.")
    timeout_s: float = Field(10.0, gt=0, le=600, description="Seconds to wait for the model.")


class Classify(Stage[ClassifyParams]):
    """The likeliest names of the picture with their probabilities: the graph's scores as they are where they add up to one,
    else their softmax.
    """

    name = "classify"

    def __init__(self, params: ClassifyParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._spec = InputSpec(name=params.port, size=params.size, resize=params.resize)
        self._begun: tuple[Frame, Future[dict[str, Tensor]], float] | None = None

    @classmethod
    def models(cls, params: ClassifyParams) -> tuple[str, ...]:
        """The classifier."""
        return (params.model,)

    def begin(self, frame: Frame) -> None:
        """Put the picture into the model's queue."""
        pixels, _ = prepare(frame, self._spec)
        deadline = time.monotonic() + self.params.timeout_s
        asked = self.predictor.run(
            self.params.model,
            {self.params.port: pixels[None]},
            source=frame.source,
            deadline=deadline,
            bill=frame.bill,
        )
        self._begun = (frame, asked, deadline)

    def process(self, frame: Frame, found: AnyResult | None) -> Labels:  # noqa: ARG002 - looks at the picture
        """See the class.

        Raises:
            DeadlineError: the model did not answer in time.
            DecodeError: it gives something else than one score a label.
            AihubError: whatever its run ended with.
        """
        if self._begun is None or self._begun[0] is not frame:
            self.begin(frame)
        begun, self._begun = self._begun, None
        assert begun is not None  # noqa: S101 - `begin` has just set it
        _, asked, deadline = begun
        outputs = waited(asked, deadline, self.params.model, self.params.timeout_s)
        scores = next(iter(outputs.values()))
        names = self.params.labels
        if scores.size != len(names):
            raise DecodeError(
                f"{self.params.model} gives {list(scores.shape)}, but there are {len(names)} labels"
            )
        shares = probabilities(scores.ravel())
        best = np.argsort(-shares, kind="stable")[: self.params.most].tolist()
        rows = {names[row]: float(shares[row]) for row in best if shares[row] >= self.params.confidence}
        return Labels.of(rows)
