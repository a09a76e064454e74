"""Rule `turning`: from which arm of a junction to which things go."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import Inertia, Ledger, Region, Zone, detections_of, ids_of, observe, relative
from aihub.types import AnyResult, Findings, Frame, Predictor

FORGET_S = 60.0
"""Seconds after which a track that is not seen is forgotten; ids are never given twice."""
LETTERS = "abcd"


class TurningParams(StageParams):
    """The arms."""

    a: Zone = Field(min_length=3, description="Ground of the first arm, relative coordinates.")
    b: Zone = Field(min_length=3, description="Ground of the second arm.")
    c: Zone = Field((), description="Ground of the third arm; none where there is none.")
    d: Zone = Field((), description="Ground of the fourth arm; none where there is none.")
    inertia: Inertia = Field(2, description="Consecutive analysed frames in an arm before it counts.")

    @model_validator(mode="after")
    def _in_turn(self) -> TurningParams:
        if self.d and not self.c:
            raise ValueError("a fourth arm needs a third")
        return self


class Turning(Stage[TurningParams]):
    """An observation `track/ID/A-to-B` on the frame on which a track, seen in one arm first, has come to another.

    Measures: `a_to_b` and so on for every pair of arms since the start, and `inside`, tracks whose way has begun and not
    ended. Arms should not overlap; where they do the first in the alphabet counts. Who comes back to the arm of its origin
    has gone nowhere.
    """

    name = "turning"
    stateful = True

    def __init__(self, params: TurningParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        zones = [zone for zone in (params.a, params.b, params.c, params.d) if zone]
        self._arms = [Region(zone) for zone in zones]
        self._counts = np.zeros((len(zones), len(zones)), np.int64)
        self._tracks = Ledger(
            [
                ("seen", "f8"),
                ("origin", "i8"),  # number of the arm + 1; 0 while unknown
                ("arm", "i8"),  # where it is now, likewise
                ("frames", "i8"),  # how long it has been there
                ("trips", "i8"),
            ]
        )

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now, ids = (
            detections_of(found, self.name),
            frame.monotonic,
            ids_of(detections_of(found, self.name)),
        )
        self._tracks.keep(now - self._tracks.table["seen"] <= FORGET_S)
        rows, _ = self._tracks.rows(ids)
        tracks = self._tracks.table
        inside = np.stack([arm.holds(relative(frame, objects.xyxy)) for arm in self._arms])
        arm = np.where(inside.any(axis=0), inside.argmax(axis=0) + 1, 0)
        tracks["frames"][rows] = np.where(arm == tracks["arm"][rows], tracks["frames"][rows] + 1, 1)
        tracks["arm"][rows], tracks["seen"][rows] = arm, now
        sure = (arm > 0) & (tracks["frames"][rows] >= self.params.inertia)
        origin = tracks["origin"][rows]
        arrived = sure & (origin > 0) & (origin != arm)
        tracks["trips"][rows] += arrived
        tracks["origin"][rows] = np.where(sure & ((origin == 0) | arrived), arm, origin)
        observations = []
        for k in np.flatnonzero(arrived).tolist():
            begin, end = int(origin[k]) - 1, int(arm[k]) - 1
            self._counts[begin, end] += 1
            way = {"from": LETTERS[begin], "to": LETTERS[end]}
            trips = int(tracks["trips"][rows[k]])
            more = f"/trip-{trips}" if trips > 1 else ""
            observations.append(
                observe(frame, objects, k, f"track/{ids[k]}/{way['from']}-to-{way['to']}{more}", way)
            )
        measures = {
            f"{LETTERS[i]}_to_{LETTERS[j]}": float(self._counts[i, j])
            for i in range(len(self._arms))
            for j in range(len(self._arms))
            if i != j
        }
        begun = (tracks["origin"][rows] > 0) & (arm == 0)
        return Findings(
            objects,
            tuple(observations),
            {"count": float(len(objects)), "inside": float(begun.sum()), **measures},
        )
