"""DETR heads as Hugging Face exports them (RT-DETR, RT-DETRv2, D-FINE): class logits and boxes relative to the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from aihub.engine.decoding import F32, Decoder, DecoderParams, best_class, corners, output
from aihub.errors import DecodeError
from aihub.types import Detections, Tensor

_LOOSE = 1e-3
"""How far below the floor logits are looked at, so that rounding loses none; the scores themselves decide."""


class DetrParams(DecoderParams):
    """Names of the outputs."""

    logits: str = "logits"
    boxes: str = "pred_boxes"


class Detr(Decoder[DetrParams]):
    """`(n, queries, classes)` logits of independent classes, and `(n, queries, 4)` cx, cy, w, h in 0 .. 1 of the input.

    A query has the label that it scores best; upstream may give it several. Doubles are rare by design, so that cards of such
    models set `iou: 1`.
    """

    name = "detr"

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """See `Decoder.decode`."""
        logits = output(outputs, self.params.logits, rank=3, width=len(self.card.labels))
        boxes = output(outputs, self.params.boxes, rank=3, width=4)
        if logits.shape[:2] != boxes.shape[:2]:
            raise DecodeError(f"logits {logits.shape} and boxes {boxes.shape} are not of the same queries")
        return [self._one(*item, confidence) for item in zip(logits, boxes, strict=True)]

    def _one(self, logits: F32, boxes: F32, confidence: float) -> Detections:
        floor = math.inf if confidence >= 1 else math.log(confidence / (1 - confidence)) - _LOOSE
        rows, classes, best = best_class(np.ascontiguousarray(logits), floor)
        scores = (1 / (1 + np.exp(-best.astype(np.float64)))).astype(np.float32)
        kept = np.flatnonzero(scores >= confidence)
        height, width = self.size
        relative = boxes[rows[kept]]
        sides = np.array([width, height], np.float32)
        return self.found(
            corners(relative[:, :2] * sides, relative[:, 2:] * sides), scores[kept], classes[kept]
        )
