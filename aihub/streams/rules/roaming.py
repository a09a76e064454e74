"""Rule `roaming`: something small runs about, in the dark (rats and mice in a kitchen at night)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.grey import small_grey
from aihub.streams.ruling import Inertia, Ledger, Region, Zone, detections_of, ids_of, observe, relative
from aihub.types import AnyResult, Findings, Frame, Predictor

UNSEEN_S = 2.0


class RoamingParams(StageParams):
    """Where, how small, how far, how dark."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    max_area: float = Field(0.01, gt=0, le=1, description="Largest size of it, as a share of the picture's area.")  # fmt: skip
    reach: float = Field(0.1, ge=0, le=2, description="How far it must have got from where it appeared, in widths of the picture.")  # fmt: skip
    brightness: float = Field(90.0, ge=0, le=255, description="Mean grey level up to which it is night; 255 for always.")  # fmt: skip
    inertia: Inertia = Field(4, description="Analysed frames on which it was seen.")
    quiet: float = Field(0.05, gt=0, le=1, description="Share of the picture from which what moves is people, or the light: nothing is told.")  # fmt: skip


class Roaming(Stage[RoamingParams]):
    """An observation `track/ID` for each small thing that got `reach` away from where it appeared; `reach` in data, in widths.

    Measures: `count` of small things, `brightness`, `dark` 0 or 1.
    """

    name = "roaming"
    stateful = True

    def __init__(self, params: RoamingParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._things = Ledger([("seen", "f8"), ("start", "f8", 2), ("reach", "f8"), ("frames", "i8")])

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        moving, now = detections_of(found, self.name), frame.monotonic
        boxes = relative(frame, moving.xyxy)
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        brightness = float(small_grey(frame).mean())
        dark = brightness <= self.params.brightness
        small = (area <= self.params.max_area) & self._region.holds(boxes)
        calm = float(area.sum()) < self.params.quiet
        things, boxes = moving[small], boxes[small]
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2 * (1.0, frame.height / frame.width)
        self._things.keep(now - self._things.table["seen"] <= UNSEEN_S)
        rows, fresh = self._things.rows(ids_of(things))
        table = self._things.table
        table["start"][rows[fresh]] = centres[fresh]
        way = np.hypot(*(centres - table["start"][rows]).T) if len(rows) else np.zeros(0)
        table["reach"][rows] = np.maximum(table["reach"][rows], way)
        table["frames"][rows] += 1
        table["seen"][rows] = now
        told = (table["reach"][rows] >= self.params.reach) & (table["frames"][rows] >= self.params.inertia)
        told &= dark and calm
        observations = tuple(
            observe(frame, things, k, f"track/{int(table['track'][rows[k]])}", {"reach": round(float(table["reach"][rows[k]]), 3)})
            for k in np.flatnonzero(told).tolist()
        )  # fmt: skip
        return Findings(things, observations, {"count": float(len(things)), "brightness": brightness, "dark": float(dark)})  # fmt: skip
