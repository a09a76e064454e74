"""Rule `bays`: which bays of a row are taken, and whether the row is full."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ground import Ground, Rectangle
from aihub.streams.ruling import Inertia, Seconds, Streak, detections_of, relative
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor

GRID = 8
"""Points a side of the grid that measures how much of a bay is covered."""


class BaysParams(StageParams):
    """Which row, how many bays, when one is taken."""

    row: Rectangle = Field(
        description="Four corners of the row, relative: along the bays first, then their depth."
    )
    bays: int = Field(ge=1, le=200, description="Bays of equal width side by side in the row.")
    share: float = Field(0.4, gt=0, le=1, description="Share of a bay that a vehicle must cover to take it.")
    free: int = Field(0, ge=0, le=200, description="Free bays at which, or below which, the row is full.")
    dwell: Seconds = Field(0.0, description="Seconds for which it must be full.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames on which it is full.")


class Bays(Stage[BaysParams]):
    """An observation `zone` while no more than `free` bays are free and have been for `dwell` seconds.

    The row is divided in equal parts on the ground, so that far bays are narrower in the picture. A vehicle takes the one bay
    of which it covers most. `found` is the vehicles that take one, with the attribute `bay`, 1 at the first corner.
    Measures: `taken`, `free`, and `share_taken`.
    """

    name = "bays"
    stateful = True

    def __init__(self, params: BaysParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        ground = Ground(params.row, params.bays, 1.0)  # a bay is one wide and one deep
        self._region = ground.region
        steps = (np.arange(GRID) + 0.5) / GRID
        across = np.arange(params.bays)[:, None, None] + steps[None, :, None]
        grid = np.stack(np.broadcast_arrays(across, steps[None, None, :]), axis=-1)
        self._points = ground.seen(grid.reshape(-1, 2)).reshape(params.bays, -1, 2)
        self._streak = Streak(params.inertia)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now, params = detections_of(found, self.name), frame.monotonic, self.params
        x, y = self._points[:, :, :1], self._points[:, :, 1:]
        boxes = relative(frame, objects.xyxy)
        under = (x >= boxes[:, 0]) & (x < boxes[:, 2]) & (y >= boxes[:, 1]) & (y < boxes[:, 3])
        covered = under.mean(axis=1)  # (bays, vehicles)
        bay = covered.argmax(axis=0)
        takes = np.flatnonzero(covered.max(axis=0, initial=0.0) >= params.share)
        taken = len(set(bay[takes].tolist()))
        parked = replace(
            objects[takes], attributes=tuple({"bay": number + 1} for number in bay[takes].tolist())
        )
        left = params.bays - taken
        measures = {"taken": float(taken), "free": float(left), "share_taken": taken / params.bays}
        full = self._streak.update(now, holds=taken > 0 and left <= params.free)
        if not full or not self._streak.held(now, params.dwell):
            return Findings(parked, measures=measures)
        label = Counter(parked.names()).most_common(1)[0][0]
        data = {"taken": taken, "free": left, "dwell_s": round(now - self._streak.since, 2)}
        observation = Observation("zone", label, float(parked.confidence.mean()), self._region.box, data)
        return Findings(parked, (observation,), measures)
