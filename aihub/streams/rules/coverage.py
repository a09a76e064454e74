"""Rule `coverage`: things that lie in a zone by most of themselves, and how much of the zone they take (smoke in the sky, a heap)."""

from __future__ import annotations

import cv2
import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import F64, Inertia, Region, Seconds, Streak, Zone, detections_of, hull, relative
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor
from aihub.types.geometry import box_area

SIDE = 256
"""Cells of the raster on which areas are measured, each way."""


class CoverageParams(StageParams):
    """Where, how much, for how long."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    inside: float = Field(0.5, ge=0, le=1, description="Share of a thing that must lie in the zone.")
    cover: float = Field(0.0, ge=0, le=1, description="Share of the zone that the things must take together.")
    dwell: Seconds = Field(0.0, description="Seconds for which it must last.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames.")


class Coverage(Stage[CoverageParams]):
    """An observation `zone` about all that lies in the zone, once it lasts; `cover` and `dwell_s` in data.

    Areas count, not feet: use it for what hangs in the air or lies in heaps. Measures: `count`, `cover`.
    """

    name = "coverage"
    stateful = True

    def __init__(self, params: CoverageParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._streak = Streak(params.inertia)
        polygon = Region(params.zone).polygon
        self._zone = np.ones((SIDE, SIDE), np.uint8)
        if polygon is not None:
            self._zone[:] = 0
            cv2.fillPoly(self._zone, [np.round(polygon * (SIDE - 1)).astype(np.int32)], 1)
        self._sums = cv2.integral(self._zone).astype(np.float64)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        boxes = relative(frame, objects.xyxy)
        within = self._within(boxes) / np.maximum(box_area(boxes), 1e-9)
        rows = np.flatnonzero((within >= self.params.inside) & (within > 0))
        here, boxes = objects[rows], boxes[rows]
        cover = self._cover(boxes)
        measures = {"count": float(len(here)), "cover": cover}
        lasts = self._streak.update(now, holds=len(here) > 0 and cover >= self.params.cover)
        if not lasts or not self._streak.held(now, self.params.dwell):
            return Findings(here, measures=measures)
        surest = int(here.confidence.argmax())
        data = {"count": len(here), "cover": round(cover, 4), "dwell_s": round(now - self._streak.since, 2)}
        sure = float(here.confidence[surest])
        label = here.labels[int(here.class_id[surest])]
        return Findings(here, (Observation("zone", label, sure, hull(boxes), data),), measures)

    def _within(self, boxes: F64) -> F64:
        """`(N, 4)` relative boxes -> area of each that lies in the zone, relative to the picture."""
        x1, y1, x2, y2 = (np.round(boxes * SIDE).astype(np.intp)).T
        sums = self._sums
        cells = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
        # a box smaller than a cell has no sum; its cell decides
        thin = (x2 <= x1) | (y2 <= y1)
        at = np.minimum(np.stack([y1, x1]), SIDE - 1)
        area: F64 = np.where(thin, box_area(boxes) * self._zone[at[0], at[1]], cells / SIDE**2)
        return area

    def _cover(self, boxes: F64) -> float:
        """Share of the zone under the boxes."""
        taken = np.zeros((SIDE, SIDE), np.uint8)
        for x1, y1, x2, y2 in np.round(boxes * SIDE).astype(int).tolist():
            taken[y1:y2, x1:x2] = 1
        return float((taken & self._zone).sum() / max(int(self._zone.sum()), 1))
