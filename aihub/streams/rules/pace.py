"""Rule `pace`: somebody runs, or many do. Speed is in body heights a second, so that no camera need be measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import (
    F64,
    Inertia,
    Ledger,
    Mask,
    Region,
    Rows,
    Seconds,
    Streak,
    Zone,
    detections_of,
    hull,
    ids_of,
    observe,
    reached,
    relative,
)
from aihub.types import AnyResult, Detections, Findings, Frame, Observation, Predictor

SMOOTHED_S = 0.5
"""Time constant of the mean speed."""
LEARNT_S = 0.6
"""Seconds for which somebody must be seen before their speed is known."""
GONE_S = 1.0
"""After so long out of sight somebody's speed is not known any more."""


class PaceParams(StageParams):
    """How fast is running, and how many runners count."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    speed: float = Field(1.5, gt=0, le=20, description="Body heights a second from which somebody runs.")
    people: int = Field(
        1, ge=1, le=1000, description="Runners from which it counts; from 2 on they are one crowd."
    )
    share: float = Field(0.0, ge=0, le=1, description="Least share of the people in the zone who run.")
    dwell: Seconds = Field(0.5, description="Seconds for which it must last.")
    inertia: Inertia = Field(2, description="Analysed frames in a row.")


class Pace(Stage[PaceParams]):
    """An observation `track/ID` for every runner, or `crowd` for all of them where `people` is 2 or more.

    Every row gets `attributes` `{"speed": body heights a second}`. Head and feet must both move: a box that is cut short
    does not run. Measures: `count`, `runners`, `fastest`.
    """

    name = "pace"
    stateful = True

    def __init__(self, params: PaceParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._crowd = Streak(params.inertia)
        self._people = Ledger(
            [
                ("seen", "f8"),
                ("first", "f8"),
                ("ends", "f8", 4),  # middle of the upper and of the lower edge, pixels
                ("pace", "f8", 4),  # their mean velocities, body heights a second
                ("tall", "f8"),  # mean height, pixels
                ("since", "f8"),  # when it began to run
                ("frames", "i8"),  # for which it has run
            ]
        )

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        here = objects[self._region.holds(relative(frame, objects.xyxy))]
        rows = self._measure(here, now)
        speed = self._speeds(rows, now)
        runs = reached(speed, self.params.speed)
        table = self._people.table
        table["since"][rows[runs & (table["frames"][rows] == 0)]] = now
        table["frames"][rows] = np.where(runs, table["frames"][rows] + 1, 0)
        shown = replace(here, attributes=tuple({"speed": round(one, 2)} for one in speed.tolist()))
        measures = {
            "count": float(len(here)),
            "runners": float(runs.sum()),
            "fastest": float(speed.max(initial=0.0)),
        }
        if self.params.people > 1:
            return Findings(shown, self._together(frame, shown, runs, speed, now), measures)
        lasting = runs & (table["frames"][rows] >= self.params.inertia)
        lasting &= reached(now - table["since"][rows], self.params.dwell)
        enough = runs.sum() >= self.params.share * max(len(here), 1)
        ids = ids_of(here)
        observations = tuple(
            observe(frame, shown, k, f"track/{ids[k]}", {"speed": round(float(speed[k]), 2)})
            for k in np.flatnonzero(lasting & enough).tolist()
        )
        return Findings(shown, observations, measures)

    def _together(
        self, frame: Frame, shown: Detections, runs: Mask, speed: F64, now: float
    ) -> tuple[Observation, ...]:
        runners = int(runs.sum())
        many = runners >= self.params.people and runners >= self.params.share * len(shown)
        if not self._crowd.update(now, holds=many) or not self._crowd.held(now, self.params.dwell):
            return ()
        data = {"runners": runners, "count": len(shown), "speed": round(float(np.median(speed[runs])), 2)}
        sure = float(shown.confidence[runs].mean())
        box = hull(relative(frame, shown.xyxy[runs]))
        return (Observation("crowd", "running", sure, box, data),)

    def _measure(self, here: Detections, now: float) -> Rows:
        boxes = here.xyxy.astype(np.float64)
        middle = (boxes[:, 0] + boxes[:, 2]) / 2
        ends = np.stack([middle, boxes[:, 1], middle, boxes[:, 3]], axis=1)
        tall = np.maximum(boxes[:, 3] - boxes[:, 1], 1.0)
        self._people.keep(now - self._people.table["seen"] <= GONE_S)
        rows, fresh = self._people.rows(ids_of(here))
        table = self._people.table
        new, old = rows[fresh], rows[~fresh]
        table["first"][new], table["tall"][new] = now, tall[fresh]
        passed = np.maximum(now - table["seen"][old], 1e-3)
        weight = 1 - np.exp(-passed / SMOOTHED_S)
        table["tall"][old] += (tall[~fresh] - table["tall"][old]) * weight
        moved = (ends[~fresh] - table["ends"][old]) / passed[:, None] / table["tall"][old][:, None]
        early = table["seen"][old] == table["first"][old]  # its first velocity is the best guess there is
        weight = np.where(early, 1.0, weight)[:, None]
        table["pace"][old] += (moved - table["pace"][old]) * weight
        table["ends"][rows], table["seen"][rows] = ends, now
        return rows

    def _speeds(self, rows: Rows, now: float) -> F64:
        """Body heights a second; 0 while not known."""
        table = self._people.table
        pace = table["pace"][rows]
        speed: F64 = np.minimum(np.hypot(pace[:, 0], pace[:, 1]), np.hypot(pace[:, 2], pace[:, 3]))
        known = reached(now - table["first"][rows], LEARNT_S)
        return np.where(known, speed, 0.0)
