"""Rule `congestion`: how full a road is and how slowly it flows, in one figure."""

from __future__ import annotations

from collections import Counter

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ground import Trails
from aihub.streams.ruling import (
    F64,
    Inertia,
    Region,
    Seconds,
    Streak,
    Zone,
    detections_of,
    ids_of,
    relative,
)
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor
from aihub.types.geometry import bottom_centre, points_in_polygon

GRID = 48
"""Points a side of the grid that measures how much of the zone is covered."""


class CongestionParams(StageParams):
    """Where, what is full, what flows."""

    zone: Zone = Field((), description="The road, relative coordinates; none for the whole picture.")
    full: float = Field(0.5, gt=0, le=1, description="Share of the zone under vehicles that counts as full.")
    free_flow: float = Field(
        1.0, gt=0, le=50, description="Speed of free traffic, in a vehicle's own longer sides a second."
    )
    threshold: float = Field(0.5, gt=0, le=1, description="Congestion from which it counts.")
    dwell: Seconds = Field(10.0, description="Seconds for which it must last.")
    window: float = Field(2.0, ge=0.2, le=30, description="Seconds over which motion is taken.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames before the clock starts.")


class Congestion(Stage[CongestionParams]):
    """An observation `zone` while `congestion` is at the threshold or above and has been for `dwell` seconds.

    `occupancy` is the share of the zone that boxes of vehicles cover, `flow` the median speed of those whose motion is
    known, in their own longer sides a second: near and far count alike. `congestion` = (occupancy / full, 1 at most) x
    (1 - flow / free_flow, 0 at least): an empty road is free however slow, a full one is free while it flows. `level` is
    0 free, 1 slow, 2 dense, 3 jammed, by quarters of it.
    """

    name = "congestion"
    stateful = True

    def __init__(self, params: CongestionParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._trails = Trails(params.window)
        self._streak = Streak(params.inertia)
        x1, y1, x2, y2 = self._region.box
        steps = (np.arange(GRID) + 0.5) / GRID
        points = np.stack(np.meshgrid(x1 + (x2 - x1) * steps, y1 + (y2 - y1) * steps), axis=-1).reshape(-1, 2)
        polygon = self._region.polygon
        self._points = points if polygon is None else points[points_in_polygon(points, polygon)]

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now, params = detections_of(found, self.name), frame.monotonic, self.params
        boxes = relative(frame, objects.xyxy)
        inside = self._region.holds(boxes)
        places = bottom_centre(objects.xyxy) / np.float64(frame.height)
        rows = self._trails.update(ids_of(objects), np.asarray(places, np.float64), now)
        velocity, known = self._trails.velocity(rows, now, params.window)
        longer = np.maximum(
            (objects.xyxy[:, 2:] - objects.xyxy[:, :2]).max(axis=1, initial=0) / frame.height, 1e-6
        )
        pace = (np.hypot(*velocity.T) / longer)[known & inside]
        occupancy = self._covered(boxes[inside])
        flow = float(np.median(pace)) if len(pace) else params.free_flow
        congestion = min(occupancy / params.full, 1.0) * max(1 - flow / params.free_flow, 0.0)
        here = objects[inside]
        measures = {"count": float(len(here)), "occupancy": occupancy, "congestion": congestion}
        measures["level"] = float(min(int(congestion * 4), 3))
        if len(pace):
            measures["flow"] = flow
        jammed = self._streak.update(now, holds=bool(len(here)) and congestion >= params.threshold)
        if not jammed or not self._streak.held(now, params.dwell):
            return Findings(here, measures=measures)
        label = Counter(here.names()).most_common(1)[0][0]
        data = {"dwell_s": round(now - self._streak.since, 2), "congestion": round(congestion, 3)}
        observation = Observation("zone", label, float(here.confidence.mean()), self._region.box, data)
        return Findings(here, (observation,), measures)

    def _covered(self, boxes: F64) -> float:
        if not len(boxes) or not len(self._points):
            return 0.0
        x, y = self._points[:, :1], self._points[:, 1:]
        under = (x >= boxes[:, 0]) & (x < boxes[:, 2]) & (y >= boxes[:, 1]) & (y < boxes[:, 3])
        return float(under.any(axis=1).mean())
