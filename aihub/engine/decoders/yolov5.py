"""YOLOv5-style heads decoded in the graph, with objectness; also with landmarks or corner points in each row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from aihub.engine.decoding import F32, Decoder, DecoderParams, best_class, corners, output
from aihub.types import Detections, Tensor


class YoloV5Params(DecoderParams):
    """Form of a row."""

    points: int = Field(0, ge=0, description="Points x, y between objectness and class scores.")


class YoloV5(Decoder[YoloV5Params]):
    """Rows of cx, cy, w, h, objectness, points, class scores; pixels and probabilities."""

    name = "yolov5"

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """See `Decoder.decode`."""
        width = 5 + 2 * self.params.points + len(self.card.labels)
        return [self._one(rows, confidence) for rows in output(outputs, None, rank=3, width=width)]

    def _one(self, rows: F32, confidence: float) -> Detections:
        rows = rows[rows[:, 4] >= confidence]  # class scores are <= 1: nothing else can pass
        end = 5 + 2 * self.params.points
        kept, classes, scores = best_class(rows[:, end:] * rows[:, 4:5], confidence)
        rows = rows[kept]
        points = rows[:, 5:end].reshape(-1, self.params.points, 2) if self.params.points else None
        return self.found(corners(rows[:, :2], rows[:, 2:4]), scores, np.asarray(classes), points)
