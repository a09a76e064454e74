"""Rule `zone-cover`: how much of a zone is covered by what was found."""

from __future__ import annotations

import cv2
import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import Inertia, Streak, Zone, detections_of
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor

GRID = 64
"""Cells a side in which cover is counted: fine enough for a zone drawn by hand."""


class ZoneCoverParams(StageParams):
    """Where, and how much is too much."""

    zone: Zone = Field(description="The dock, relative corners.")
    share: float = Field(0.3, gt=0, le=1, description="Share of the zone from which it counts as occupied.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames for which it must be.")


class ZoneCover(Stage[ZoneCoverParams]):
    """An observation `zone` while at least `share` of the zone is covered by boxes; the measure `cover` says how much is.

    Boxes that lie over each other count once.
    """

    name = "zone-cover"
    stateful = True

    def __init__(self, params: ZoneCoverParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._occupied = Streak(params.inertia)
        corners = np.round(np.array(params.zone) * (GRID - 1)).astype(np.int32)
        self._zone = np.asarray(cv2.fillPoly(np.zeros((GRID, GRID), np.uint8), [corners], 1), bool)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        things = detections_of(found, self.name)
        covered = np.zeros((GRID, GRID), np.uint8)
        size = np.array([frame.width, frame.height] * 2, np.float64)
        for x1, y1, x2, y2 in np.round(things.xyxy / size * GRID).astype(int).tolist():
            covered[y1:y2, x1:x2] = 1
        cover = float(covered[self._zone].mean())
        occupied = self._occupied.update(frame.monotonic, holds=cover >= self.params.share)
        alarm = Observation("zone", "occupied", min(1.0, cover), None, {"cover": round(cover, 3)})
        return Findings(things, (alarm,) if occupied else (), {"cover": cover})
