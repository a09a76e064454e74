"""Heads that decode their boxes inside the graph, such as the Ultra-Light face detector's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aihub.engine.decoding import Decoder, DecoderParams, best_class, output
from aihub.types import Detections, Tensor


class UltraLightParams(DecoderParams):
    """Names of the outputs."""

    scores: str = "scores"
    boxes: str = "boxes"


class UltraLight(Decoder[UltraLightParams]):
    """`(n, A, 1 + classes)` probabilities, the first of the background, and `(n, A, 4)` relative x1, y1, x2, y2."""

    name = "ultralight"

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """See `Decoder.decode`."""
        scores = output(outputs, self.params.scores, rank=3, width=1 + len(self.card.labels))
        boxes = output(outputs, self.params.boxes, rank=3, width=4)
        picture = np.array([*self.size[::-1]] * 2, np.float32)
        results = []
        for item, rows in zip(boxes, scores[..., 1:], strict=True):
            kept, classes, best = best_class(rows, confidence)
            results.append(self.found(item[kept] * picture, best, classes))
        return results
