"""Stage `alike-pictures`: pictures of one request that show nearly the same, by perceptual hashes."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.grey import small_grey
from aihub.types import AnyResult, Frame, Labels, Predictor

SIDE, KEPT = 32, 8
BITS = KEPT * KEPT


class AlikeParams(StageParams):
    """Settings of `alike-pictures`."""

    distance: int = Field(
        10,
        ge=0,
        le=32,
        description="Most of the 64 bits in which two pictures may differ and count as the same.",
    )
    memory: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Pictures that are remembered; the oldest are forgotten first.",
    )


class AlikePictures(Stage[AlikeParams]):
    """Labels `duplicate` or `new`, with the nearest picture before it and the distance to that.

    The hash is the sign of the 64 lowest frequencies of a 32x32 grey picture against their median (Zauner, "Implementation
    and benchmarking of perceptual image hash functions", 2010): scaling, compression and light change few of its bits.
    """

    name = "alike-pictures"
    stateful = True

    def __init__(self, params: AlikeParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._known: deque[npt.NDArray[np.uint8]] = deque(maxlen=params.memory)
        self._seen = 0

    def process(self, frame: Frame, found: AnyResult | None) -> Labels:  # noqa: ARG002 - a first stage
        """`nearest` counts the pictures of the request from 0, and is -1 for the first."""
        mine = perceptual_hash(small_grey(frame))
        nearest, distance = -1, BITS
        if self._known:
            distances = np.bitwise_count(np.stack(self._known) ^ mine).sum(axis=1)
            place = int(distances.argmin())
            nearest, distance = self._seen - len(self._known) + place, int(distances[place])
        self._known.append(mine)
        self._seen += 1
        alike = 1 - distance / BITS
        label = "duplicate" if distance <= self.params.distance else "new"
        sure = alike if label == "duplicate" else 1 - alike
        return Labels.of(
            {label: float(np.clip(sure, 0, 1))}, {"nearest": float(nearest), "distance_bits": float(distance)}
        )


def perceptual_hash(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """64 bits in `(8,)` uint8."""
    small = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)
    low = np.asarray(cv2.dct(small))[:KEPT, :KEPT].ravel()
    return np.packbits(low > np.median(low[1:]))
