"""FastestDet heads: one map; objectness, a box relative to the picture, class probabilities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aihub.engine.decoding import F32, Decoder, DecoderParams, corners, output
from aihub.errors import DecodeError
from aihub.types import Detections, Tensor

OBJECT, CLASS = 0.6, 0.4
"""Exponents of objectness and class probability in the score."""


class FastestDet(Decoder[DecoderParams]):
    """`(n, 5 + classes, rows, columns)`: objectness, x, y, width, height, classes."""

    name = "fastestdet"

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """See `Decoder.decode`."""
        maps = output(outputs, None, rank=4)
        if maps.shape[1] != 5 + len(self.card.labels):
            raise DecodeError(
                f"{maps.shape[1]} planes, but 5 + {len(self.card.labels)} classes were expected"
            )
        flat = maps.reshape(*maps.shape[:2], -1)
        return [self._one(planes, maps.shape[3], confidence) for planes in flat]

    def _one(self, planes: F32, columns: int, confidence: float) -> Detections:
        likely = np.flatnonzero(planes[0] >= confidence ** (1 / OBJECT))
        cells = planes[:, likely].T
        scores = cells[:, 0] ** OBJECT * cells[:, 5:].max(axis=1) ** CLASS
        kept = scores >= confidence
        cells, scores, likely = cells[kept], scores[kept], likely[kept]
        row, column = np.divmod(likely, columns)
        picture = np.array(self.size[::-1], np.float32)
        step = picture / np.array([columns, planes.shape[1] // columns], np.float32)
        centre = (np.tanh(cells[:, 1:3]) + np.stack([column, row], axis=1)) * step
        sides = picture / (1 + np.exp(-cells[:, 3:5]))
        return self.found(corners(centre, sides), scores, cells[:, 5:].argmax(axis=1))
