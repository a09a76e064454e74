"""Rule `density`: a heat map of where people stand, cell by cell, and the fullest cell."""

from __future__ import annotations

from collections import deque

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import (
    F64,
    OUTAGE_S,
    Inertia,
    Region,
    Streak,
    Zone,
    detections_of,
    reached,
    relative,
)
from aihub.types import AnyResult, Detections, Findings, Frame, Observation, Predictor
from aihub.types.geometry import bottom_centre


class DensityParams(StageParams):
    """How fine the map is, and how full a cell may be."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    columns: int = Field(8, ge=1, le=64, description="Cells across the picture.")
    rows: int = Field(6, ge=1, le=64, description="Cells down the picture.")
    threshold: float = Field(
        0.0, ge=0, le=1000, description="People in one cell from which it counts; 0: only measure."
    )
    inertia: Inertia = Field(3, description="Analysed frames whose mean is the map.")


class Density(Stage[DensityParams]):
    """An observation `zone` about the fullest cell while it has `threshold` people or more; the whole map in its data.

    `heat` is a list of rows of people in each cell, a mean over `inertia` frames. Measures: `count` in the zone,
    `peak` (people in the fullest cell), `occupied` (share of cells with anybody), and `crowding`: of the most crowded, how
    many others stand within a body height, which does not hang on how far the camera is.
    """

    name = "density"
    stateful = True

    def __init__(self, params: DensityParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._maps: deque[F64] = deque(maxlen=params.inertia)
        self._streak = Streak(params.inertia)
        self._last = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        boxes = relative(frame, objects.xyxy)
        inside = self._region.holds(boxes)
        here = objects[inside]
        if not 0 <= now - self._last <= OUTAGE_S:
            self._maps.clear()
        self._last = now
        self._maps.append(self._map(boxes[inside]))
        heat = np.mean(self._maps, axis=0)
        row, column = np.unravel_index(int(heat.argmax()), heat.shape)
        peak = float(heat[row, column])
        measures = {
            "count": float(len(here)),
            "peak": peak,
            "occupied": float((heat > 0).mean()),
            "crowding": _crowding(here),
        }
        full = bool(self.params.threshold and len(here) and reached(peak, self.params.threshold))
        if not self._streak.update(now, holds=full):
            return Findings(here, measures=measures)
        across, down = 1 / self.params.columns, 1 / self.params.rows
        box = (column * across, row * down, (column + 1) * across, (row + 1) * down)
        data = {"peak": round(peak, 2), "heat": np.round(heat, 2).tolist()}
        sure = float(here.confidence.mean())
        return Findings(here, (Observation("zone", "crowd", sure, box, data),), measures)

    def _map(self, boxes: F64) -> F64:
        """`(rows, columns)` people whose feet are in each cell."""
        shape = np.array([self.params.columns, self.params.rows])
        cells = np.minimum((bottom_centre(boxes) * shape).astype(np.intp), shape - 1)
        flat = cells[:, 1] * self.params.columns + cells[:, 0]
        counts = np.bincount(flat, minlength=int(shape.prod())).astype(np.float64)
        heat: F64 = counts.reshape(self.params.rows, self.params.columns)
        return heat


def _crowding(here: Detections) -> float:
    """Most others that anybody has within a body height."""
    if len(here) < 2:
        return 0.0
    feet, tall = bottom_centre(here.xyxy), here.xyxy[:, 3] - here.xyxy[:, 1]
    apart = np.hypot(*(feet[:, None] - feet[None, :]).transpose(2, 0, 1))
    near = apart <= (tall[:, None] + tall[None, :]) / 2
    return float(near.sum(axis=1).max() - 1)
