"""Heads that suppress doubles in the graph (YOLOv10, YOLO26 and the like): finished boxes, each with its score and class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aihub.engine.decoding import F32, Decoder, DecoderParams, output
from aihub.types import Detections, Tensor


class EndToEnd(Decoder[DecoderParams]):
    """Rows of x1, y1, x2, y2, score, class; pixels of the input and probabilities. Cards of such models set `iou: 1`."""

    name = "end-to-end"

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """See `Decoder.decode`."""
        return [self._one(rows, confidence) for rows in output(outputs, None, rank=3, width=6)]

    def _one(self, rows: F32, confidence: float) -> Detections:
        classes = np.rint(rows[:, 5])
        known = (classes >= 0) & (classes < len(self.card.labels))  # rows that are empty have a class of -1
        kept = np.flatnonzero((rows[:, 4] >= confidence) & known)
        return self.found(rows[kept, :4], rows[kept, 4], classes[kept].astype(np.int32))
