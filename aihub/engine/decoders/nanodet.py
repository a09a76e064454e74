"""NanoDet heads: class scores and, for each side of the box, a distribution over distances (generalised focal loss)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aihub.engine.decoding import F32, Decoder, DecoderParams, best_class, grid, output
from aihub.errors import DecodeError
from aihub.types import Detections, ModelCard, Tensor


class NanoDetParams(DecoderParams):
    """Names of the outputs, with the stride in place of `{}`, and the number of distances each side chooses from."""

    strides: tuple[int, ...] = (8, 16, 32)
    scores: str = "cls_pred_stride_{}"
    distances: str = "dis_pred_stride_{}"
    bins: int = 8


class NanoDet(Decoder[NanoDetParams]):
    """For each level: `(n, cells, classes)` probabilities and `(n, cells, 4 * bins)` left, top, right, bottom."""

    name = "nanodet"

    def __init__(self, card: ModelCard) -> None:
        super().__init__(card)
        self.centres = [
            (grid(self.size, [stride])[0] + 0.5) * np.float32(stride) for stride in self.params.strides
        ]

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """See `Decoder.decode`."""
        levels = []
        for stride, centres in zip(self.params.strides, self.centres, strict=True):
            scores = output(outputs, self.params.scores.format(stride), rank=3, width=len(self.card.labels))
            sides = output(outputs, self.params.distances.format(stride), rank=3, width=4 * self.params.bins)
            if scores.shape[:2] != sides.shape[:2] or scores.shape[1] != len(centres):
                raise DecodeError(
                    f"stride {stride}: scores {scores.shape}, distances {sides.shape}, {len(centres)} cells"
                )
            levels.append((scores, sides))
        return [self._one([(a[item], b[item]) for a, b in levels], confidence) for item in range(len(scores))]

    def _one(self, levels: list[tuple[F32, F32]], confidence: float) -> Detections:
        chosen = [best_class(scores, confidence) for scores, _ in levels]
        sides = np.concatenate([side[rows] for (_, side), (rows, _, _) in zip(levels, chosen, strict=True)])
        centres = np.concatenate([c[rows] for c, (rows, _, _) in zip(self.centres, chosen, strict=True)])
        counts = [len(rows) for rows, _, _ in chosen]
        stride = np.repeat(np.array(self.params.strides, np.float32), counts)[:, None]
        reach = _expected(sides.reshape(-1, 4, self.params.bins)) * stride
        boxes = np.concatenate([centres - reach[:, :2], centres + reach[:, 2:]], axis=1)
        classes = np.concatenate([classes for _, classes, _ in chosen])
        return self.found(boxes, np.concatenate([scores for _, _, scores in chosen]), classes)


def _expected(logits: F32) -> F32:
    """Mean of each distribution over 0, 1, ... `(N, 4, bins)` -> `(N, 4)`."""
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    mean: F32 = weights @ np.arange(logits.shape[2], dtype=np.float32) / weights.sum(axis=2)
    return mean
