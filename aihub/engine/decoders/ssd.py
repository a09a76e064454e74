"""SSD heads: offsets from prior boxes, with or without landmarks (RetinaFace, face masks)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import sqrt

import numpy as np
from pydantic import Field

from aihub.engine.decoding import F32, Decoder, DecoderParams, best_class, corners, output
from aihub.errors import DecodeError
from aihub.types import Detections, ModelCard, Tensor


class SsdParams(DecoderParams):
    """What the priors were in training.

    Each cell of a level has a prior for each of its `sizes` at the first ratio, then one of its first size for each
    other ratio (width : height).
    """

    boxes: str = Field(description="Output `(n, A, 4)`.")
    scores: str = Field(description="Output `(n, A, [1 +] classes)`, probabilities.")
    points: str | None = Field(None, description="Output `(n, A, 2 * K)` of landmarks.")
    background: bool = Field(True, description="Whether the first score is that of the background.")
    strides: tuple[int, ...]
    sizes: tuple[tuple[float, ...], ...] = Field(
        description="Of each level; pixels, or of the input where < 1."
    )
    ratios: tuple[float, ...] = (1.0,)
    variances: tuple[float, float] = Field((0.1, 0.2), description="Of the centre and of the log sizes.")


class Ssd(Decoder[SsdParams]):
    """Decodes only the priors whose score passes."""

    name = "ssd"

    def __init__(self, card: ModelCard) -> None:
        super().__init__(card)
        self.centres, self.sides = _priors(self.size, self.params)

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """See `Decoder.decode`."""
        names = self.params
        first = int(names.background)
        scores = output(outputs, names.scores, rank=3, width=first + len(self.card.labels))[..., first:]
        boxes = output(outputs, names.boxes, rank=3, width=4)
        points = output(outputs, names.points, rank=3) if names.points else None
        if not len(self.centres) == boxes.shape[1] == scores.shape[1]:
            raise DecodeError(
                f"{len(self.centres)} priors, but boxes {boxes.shape} and scores {scores.shape}"
            )
        return [
            self._one(boxes[item], scores[item], None if points is None else points[item], confidence)
            for item in range(len(boxes))
        ]

    def _one(self, boxes: F32, scores: F32, points: F32 | None, confidence: float) -> Detections:
        rows, classes, best = best_class(scores, confidence)
        centre, side = self.centres[rows], self.sides[rows]
        shift, growth = self.params.variances
        found = corners(
            centre + boxes[rows, :2] * np.float32(shift) * side,
            np.exp(boxes[rows, 2:] * np.float32(growth)) * side,
        )
        marks = None
        if points is not None:
            offsets = points[rows].reshape(len(rows), points.shape[1] // 2, 2)
            marks = centre[:, None] + offsets * np.float32(shift) * side[:, None]
        return self.found(found, best, classes, marks)


def _priors(size: tuple[int, int], params: SsdParams) -> tuple[F32, F32]:
    """Centres and sides of all priors, `(A, 2)` each, pixels; level by level, row by row, cell by cell."""
    picture = np.array(size[::-1], np.float64)
    centres, sides = [], []
    for stride, sizes in zip(params.strides, params.sizes, strict=True):
        rows, columns = -(-size[0] // stride), -(-size[1] // stride)
        here = [(side, params.ratios[0]) for side in sizes]
        here += [(sizes[0], ratio) for ratio in params.ratios[1:]]
        shapes = np.array([(side * sqrt(ratio), side / sqrt(ratio)) for side, ratio in here])
        cells = np.array([(x + 0.5, y + 0.5) for y, x in product(range(rows), range(columns))])
        at = cells * (picture / (columns, rows))
        centres.append(np.repeat(at, len(here), axis=0))
        sides.append(np.tile(np.where(shapes < 1, shapes * picture, shapes), (len(cells), 1)))
    return np.concatenate(centres).astype(np.float32), np.concatenate(sides).astype(np.float32)
