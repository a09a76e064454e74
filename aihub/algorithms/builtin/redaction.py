"""Stage `redact`: the picture anew, with what was found, and what other detectors find, made unrecognisable."""

from __future__ import annotations

import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.errors import DeadlineError
from aihub.types import AnyResult, Detections, Frame, Image, Picture

PATIENCE_S = 30.0


class RedactParams(StageParams):
    """What is hidden, and how coarsely."""

    models: tuple[str, ...] = Field(min_length=1, max_length=8, description="Detectors, names or roles; all that they find is hidden.")  # fmt: skip
    confidence: float = Field(0.25, gt=0, le=1, description="Least confidence. Low: a box too many does no harm.")  # fmt: skip
    margin: float = Field(0.15, ge=0, le=2, description="What is hidden around a box, as a share of its sides.")  # fmt: skip
    blocks: int = Field(5, ge=1, le=16, description="Blocks across the shorter side of what is hidden.")
    style: str = Field("pixelate", pattern="^(pixelate|black)$", description="Coarse blocks, or black.")


class Redact(Stage[RedactParams]):
    """A `Picture` of the same size; measures: `hidden` boxes, `hidden_share` of the picture's area. First stage of a chain."""

    name = "redact"

    @classmethod
    def models(cls, params: RedactParams) -> tuple[str, ...]:
        """The detectors."""
        return params.models

    def begin(self, frame: Frame) -> None:
        """Put the picture into the queues of all detectors."""
        self._runs(frame, time.monotonic() + PATIENCE_S)

    def process(self, frame: Frame, found: AnyResult | None) -> Picture:  # noqa: ARG002 - a first stage
        """See the class.

        Raises:
            DeadlineError: a detector did not answer in time. No picture is given then, never one with less hidden.
            AihubError: whatever a run ended with.
        """
        until = time.monotonic() + PATIENCE_S
        try:
            seen = [run.result(max(until - time.monotonic(), 0.0)) for run in self._runs(frame, until)]
        except FutureTimeoutError as error:
            raise DeadlineError(f"a detector did not answer in {PATIENCE_S:g} s") from error
        boxes = self._whole(np.concatenate([one.xyxy for one in seen]), frame)
        image = frame.image.copy()
        hidden = np.zeros(frame.image.shape[:2], np.uint8)
        for x1, y1, x2, y2 in boxes.tolist():
            self._hide(image[y1:y2, x1:x2])
            hidden[y1:y2, x1:x2] = 1
        share = float(cv2.countNonZero(hidden)) / hidden.size
        return Picture(image, {"hidden": float(len(boxes)), "hidden_share": share})

    def _runs(self, frame: Frame, until: float) -> list[Future[Detections]]:
        return [
            self.predictor.detect(
                model, frame, confidence=self.params.confidence, source=frame.source, deadline=until
            )
            for model in self.params.models
        ]

    def _whole(self, boxes: npt.NDArray[np.float32], frame: Frame) -> npt.NDArray[np.int64]:
        """`(N, 4)` whole pixels with the margin, within the picture, none of them empty."""
        grown = boxes.astype(np.float64)
        around = np.maximum(grown[:, 2:] - grown[:, :2], 1.0) * self.params.margin
        grown[:, :2] = np.floor(grown[:, :2] - around)
        grown[:, 2:] = np.ceil(grown[:, 2:] + around)
        limit = np.array([frame.width, frame.height] * 2, np.int64)
        whole = np.clip(grown.astype(np.int64), 0, limit)
        filled: npt.NDArray[np.int64] = whole[(whole[:, 2:] > whole[:, :2]).all(axis=1)]
        return filled

    def _hide(self, part: Image) -> None:
        """Written over in place: `part` is a view of the new picture."""
        if self.params.style == "black":
            part[:] = 0
            return
        height, width = part.shape[:2]
        block = max(1.0, min(height, width) / self.params.blocks)
        size = (max(1, round(width / block)), max(1, round(height / block)))
        coarse = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST).reshape(part.shape)
