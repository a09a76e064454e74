"""Stages that most chains are made of: run a detector, keep some labels, keep the sure ones."""

from __future__ import annotations

import time
from concurrent.futures import Future

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.waiting import waited
from aihub.errors import ParamsError
from aihub.types import AnyResult, Detections, Frame, Predictor, Texts
from aihub.types.geometry import box_area


class DetectParams(StageParams):
    """Settings of `detect`. Keep `confidence` low and the same everywhere: equal settings are one run a frame."""

    model: str = Field(min_length=1, description="Name of a model, or a role such as `coco`.")
    confidence: float = Field(0.1, ge=0, le=1, description="Floor below which nothing is reported.")
    timeout_s: float = Field(10.0, gt=0, le=600, description="Seconds to wait for the model.")


class Detect(Stage[DetectParams]):
    """Find things with a detector. First stage of a chain; all labels of the model come out."""

    name = "detect"

    def __init__(self, params: DetectParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._begun: tuple[Frame, Future[Detections], float] | None = None

    @classmethod
    def models(cls, params: DetectParams) -> tuple[str, ...]:
        """The detector."""
        return (params.model,)

    def begin(self, frame: Frame) -> None:
        """Put the frame into the model's queue."""
        deadline = time.monotonic() + self.params.timeout_s
        future = self.predictor.detect(
            self.params.model,
            frame,
            confidence=self.params.confidence,
            source=frame.source,
            deadline=deadline,
        )
        self._begun = (frame, future, deadline)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:  # noqa: ARG002 - a first stage
        """Wait for the model.

        Raises:
            DeadlineError: it did not answer in time.
            AihubError: whatever the model's run ended with.
        """
        if self._begun is None or self._begun[0] is not frame:
            self.begin(frame)
        begun, self._begun = self._begun, None
        if begun is None:
            raise StageError("the detector was not asked")
        _, future, deadline = begun
        return waited(future, deadline, self.params.model, self.params.timeout_s)


class SelectParams(StageParams):
    """Settings of `select`."""

    labels: tuple[str, ...] = Field(min_length=1, description="Labels to keep.")


class Select(Stage[SelectParams]):
    """Keep the things that have one of some labels."""

    name = "select"

    def __init__(self, params: SelectParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._known: tuple[str, ...] = ()

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:  # noqa: ARG002 - looks at `found`
        """Rows of `found` with a wanted label.

        Raises:
            ParamsError: the model knows none of the labels.
        """
        things = _detections(self.name, found)
        if things.labels is not self._known:
            if things.labels and not set(self.params.labels) & set(things.labels):
                raise ParamsError(
                    f"the model knows none of the labels {', '.join(self.params.labels)}", field="labels"
                )
            self._known = things.labels
        return things.select(self.params.labels)


class FilterParams(StageParams):
    """Settings of `filter`."""

    confidence: float = Field(0.0, ge=0, le=1, description="Least confidence.")
    min_area: float = Field(0.0, ge=0, le=1, description="Least area, as a share of the picture's.")
    max_rows: int = Field(0, ge=0, le=100_000, description="Keep this many, surest first; 0 keeps all.")


class Filter(Stage[FilterParams]):
    """Keep things, or lines of text, that are sure and large enough."""

    name = "filter"

    def process(self, frame: Frame, found: AnyResult | None) -> Detections | Texts:
        """Rows of `found` that pass, in their order."""
        if not isinstance(found, Detections | Texts):
            raise StageError(f"stage 'filter' filters detections or texts, not {_kind(found)}")
        keep = found.confidence >= np.float32(self.params.confidence)
        if self.params.min_area > 0:
            boxes = found.xyxy if isinstance(found, Detections) else _bounds(found)
            keep &= box_area(boxes) >= self.params.min_area * frame.width * frame.height
        rows = np.flatnonzero(keep)
        if 0 < self.params.max_rows < len(rows):
            surest = np.argsort(-found.confidence[rows], kind="stable")[: self.params.max_rows]
            rows = np.sort(rows[surest])
        if len(rows) == len(found):
            return found
        if isinstance(found, Detections):
            return found[rows]
        text = tuple(found.text[row] for row in rows.tolist())
        return Texts(found.quads[rows], text, found.confidence[rows])


def _bounds(found: Texts) -> npt.NDArray[np.float32]:
    return np.concatenate([found.quads.min(axis=1), found.quads.max(axis=1)], axis=1)


def _detections(stage: str, found: AnyResult | None) -> Detections:
    if not isinstance(found, Detections):
        raise StageError(f"stage {stage!r} works on detections, not {_kind(found)}")
    return found


def _kind(found: AnyResult | None) -> str:
    return "nothing: it cannot come first" if found is None else type(found).__name__.lower()
