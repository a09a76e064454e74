"""Detections with a vector for each row, kept aside: it goes from stage to stage and never into an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aihub.types import Detections

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedDetections(Detections):
    """As `Detections`; its JSON form has no vectors.

    Attributes:
        vectors: `(N, D)` float32 of length 1, whose dot product is how alike two rows are, from -1 to 1; a row of zeros where
            nobody looked. None for no vectors.
    """

    vectors: F32 | None = None

    def __post_init__(self) -> None:
        # `super()` without arguments does not work in a dataclass with slots, which is made anew
        Detections.__post_init__(self)
        if self.vectors is not None and self.vectors.shape[:1] != (len(self.xyxy),):
            raise ValueError(f"{self.vectors.shape} vectors for {len(self.xyxy)} rows")

    def __getitem__(self, rows: npt.NDArray[Any] | slice) -> EmbeddedDetections:
        """Rows by mask, index array or slice, each with its vector."""
        plain = Detections(
            self.xyxy, self.confidence, self.class_id, self.labels, self.track_id, self.keypoints, self.attributes
        )[rows]  # fmt: skip
        return with_vectors(plain, None if self.vectors is None else self.vectors[rows])


def with_vectors(found: Detections, vectors: F32 | None) -> EmbeddedDetections:
    """The same detections with vectors."""
    return EmbeddedDetections(
        found.xyxy,
        found.confidence,
        found.class_id,
        found.labels,
        found.track_id,
        found.keypoints,
        found.attributes,
        vectors,
    )
