"""YOLOX heads: one output, grid offsets and log sizes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aihub.engine.decoding import F32, Decoder, DecoderParams, corners, grid, output
from aihub.errors import DecodeError
from aihub.types import Detections, ModelCard, Tensor


class YoloXParams(DecoderParams):
    """`strides` of the feature levels, pixels."""

    strides: tuple[int, ...] = (8, 16, 32)


class YoloX(Decoder[YoloXParams]):
    """Rows of cx, cy, log w, log h, objectness, class scores; the scores are probabilities already."""

    name = "yolox"

    def __init__(self, card: ModelCard) -> None:
        super().__init__(card)
        self.cells, self.strides = grid(self.size, self.params.strides)

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """See `Decoder.decode`."""
        batch = output(outputs, None, rank=3, width=5 + len(self.card.labels))
        if batch.shape[1] != len(self.cells):
            raise DecodeError(
                f"{batch.shape[1]} rows, but {len(self.cells)} cells at strides {self.params.strides}"
            )
        return [self._one(rows, confidence) for rows in batch]

    def _one(self, rows: F32, confidence: float) -> Detections:
        likely = np.flatnonzero(rows[:, 4] >= confidence)  # class scores are <= 1: nothing else can pass
        rows = rows[likely]
        # Few are left, so a look at each one's best class costs less than a search for those that have one.
        classes = rows[:, 5:].argmax(axis=1)
        scores = rows[:, 4] * rows[np.arange(len(rows)), classes + 5]
        kept = np.flatnonzero(scores >= confidence)
        if len(kept) < len(rows):
            rows, likely, classes, scores = rows[kept], likely[kept], classes[kept], scores[kept]
        stride = self.strides[likely, None]
        boxes = corners((rows[:, :2] + self.cells[likely]) * stride, np.exp(rows[:, 2:4]) * stride)
        return self.found(boxes, scores, classes)
