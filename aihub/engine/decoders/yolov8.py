"""YOLOv8-style heads decoded in the graph, without objectness, channels first; also the pose variant."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from aihub.engine.decoding import F32, Decoder, DecoderParams, corners, output
from aihub.errors import DecodeError
from aihub.types import Detections, Tensor


class YoloV8Params(DecoderParams):
    """Form of a column."""

    points: int = Field(0, ge=0, description="Points x, y, score after the class scores.")


class YoloV8(Decoder[YoloV8Params]):
    """`(n, 4 + classes + 3 * points, A)`: cx, cy, w, h, class scores, points; pixels and probabilities."""

    name = "yolov8"

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """See `Decoder.decode`."""
        batch = output(outputs, None, rank=3)
        planes = 4 + len(self.card.labels) + 3 * self.params.points
        if batch.shape[1] != planes:
            raise DecodeError(f"output has shape {batch.shape}, but {planes} planes were expected")
        return [self._one(item, confidence) for item in batch]

    def _one(self, planes: F32, confidence: float) -> Detections:
        end = 4 + len(self.card.labels)
        passing = np.flatnonzero(planes[4:end].reshape(-1) >= confidence)
        rows = planes[:, np.unique(passing % planes.shape[1])].T
        classes = rows[:, 4:end].argmax(axis=1)
        scores = rows[np.arange(len(rows)), 4 + classes]
        points = rows[:, end:].reshape(-1, self.params.points, 3) if self.params.points else None
        return self.found(corners(rows[:, :2], rows[:, 2:4]), scores, classes, points)
