"""Which faces may be compared at all: large enough, and live where that is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.faces.asking import sides
from aihub.algorithms.faces.liveness import NEAR, WIDE, live_shares
from aihub.types import Detections, Frame, Predictor

Mask = npt.NDArray[np.bool_]


class GateParams(StageParams):
    """What a face must be before it is compared."""

    min_size: float = Field(
        40.0, ge=8, le=4096, description="Least longer side of a face, pixels; smaller ones say too little."
    )
    liveness: float = Field(
        0.0, ge=0, le=1, description="Least share of liveness, two networks' mean; 0 does not ask."
    )

    def models(self) -> tuple[str, ...]:
        """Those that look whether a face is live, where that is asked."""
        return (NEAR, WIDE) if self.liveness > 0 else ()


def passing(
    predictor: Predictor, frame: Frame, faces: Detections, params: GateParams
) -> tuple[Mask, list[dict[str, Any]]]:
    """Which faces may be compared, and what was learned about each on the way.

    Raises:
        AihubError: a model of liveness refused or failed.
    """
    fine: Mask = sides(faces) >= params.min_size
    known: list[dict[str, Any]] = [{} for _ in range(len(faces))]
    if params.liveness > 0 and fine.any():
        rows = np.flatnonzero(fine)
        shares = live_shares(predictor, frame, faces.xyxy[rows])
        fine[rows] = shares >= params.liveness
        for row, share in zip(rows.tolist(), shares.tolist(), strict=True):
            known[row] = {"live": round(share, 3)}
    return fine, known
