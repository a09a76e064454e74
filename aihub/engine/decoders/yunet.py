"""YuNet heads: faces with five landmarks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aihub.engine.decoding import F32, Decoder, DecoderParams, corners, grid, output
from aihub.errors import DecodeError
from aihub.types import Detections, ModelCard, Tensor

POINTS = 5
"""Right eye, left eye, tip of the nose, right and left corner of the mouth (right and left of the person)."""


class YuNetParams(DecoderParams):
    """`strides` of the feature levels, pixels."""

    strides: tuple[int, ...] = (8, 16, 32)


class YuNet(Decoder[YuNetParams]):
    """For each stride `cls_S`, `obj_S`, `bbox_S`, `kps_S`; the score is the geometric mean of the first two."""

    name = "yunet"

    def __init__(self, card: ModelCard) -> None:
        super().__init__(card)
        self.cells = [grid(self.size, [stride])[0] for stride in self.params.strides]

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        """See `Decoder.decode`."""
        levels = []
        for stride, cells in zip(self.params.strides, self.cells, strict=True):
            widths = (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 2 * POINTS))
            level = [output(outputs, f"{kind}_{stride}", rank=3, width=width) for kind, width in widths]
            if any(part.shape[1] != len(cells) for part in level):
                raise DecodeError(f"stride {stride}: {level[0].shape[1]} rows, but {len(cells)} cells")
            levels.append(level)
        return [
            self._one([[p[item] for p in level] for level in levels], confidence)
            for item in range(len(level[0]))
        ]

    def _one(self, levels: list[list[F32]], confidence: float) -> Detections:
        boxes, points, scores = [], [], []
        for stride, cells, (face, thing, box, landmarks) in zip(
            self.params.strides, self.cells, levels, strict=True
        ):
            squared = face[:, 0] * thing[:, 0]
            rows = np.flatnonzero(squared >= confidence**2)
            at = cells[rows]
            scores.append(np.sqrt(squared[rows]))
            boxes.append(corners((at + box[rows, :2]) * stride, np.exp(box[rows, 2:]) * stride))
            points.append((landmarks[rows].reshape(-1, POINTS, 2) + at[:, None]) * stride)
        confidences = np.clip(np.concatenate(scores), 0, 1)
        return self.found(
            np.concatenate(boxes), confidences, np.zeros(len(confidences), np.int32), np.concatenate(points)
        )
