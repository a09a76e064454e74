"""Rule `zone-presence`: somebody is in a zone (intrusion), or stays in it for too long (loitering)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.heirs import inherit, key_of, name_fresh
from aihub.streams.ruling import (
    F64,
    LAPSE_S,
    Ids,
    Inertia,
    Ledger,
    Mask,
    Region,
    Rows,
    Seconds,
    Zone,
    detections_of,
    ids_of,
    observe,
    reached,
    relative,
)
from aihub.types import AnyResult, Detections, Findings, Frame, Predictor

UNSEEN_S = 3.0
"""Seconds somebody in the zone may be hidden and still be the same visitor."""


class ZonePresenceParams(StageParams):
    """Where, and for how long."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames in the zone.")
    loitering_time: Seconds = Field(0.0, description="Seconds in the zone before it counts; 0: at once.")


class ZonePresence(Stage[ZonePresenceParams]):
    """An observation `track/ID` for every object in the zone for long enough, with `dwell_s` since it entered.

    Somebody who steps out for less than `inertia` frames or less than a second has not left. Who is hidden for up to three
    seconds, and comes back in the same place under another track id, keeps key and time.
    """

    name = "zone-presence"
    stateful = True

    def __init__(self, params: ZonePresenceParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._visits = Ledger(
            [
                ("key", "i8"),
                ("again", "i8"),
                ("class_id", "i4"),
                ("box", "f8", 4),
                ("seen", "f8"),  # last frame on which it was anywhere
                ("inside", "f8"),  # last frame on which it was in the zone
                ("since", "f8"),
                ("frames", "i8"),
                ("outside", "i8"),
                ("settled", "?"),  # inertia is fulfilled
            ]
        )

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        if not len(objects) and not len(self._visits.table):
            return Findings(objects, (), {"count": 0.0})
        boxes = relative(frame, objects.xyxy)
        inside = self._region.holds(boxes)
        rows = self._rows(objects, ids_of(objects), boxes, inside, now)
        self._enter(rows[inside], now)
        self._leave(rows[~inside], now)
        visits = self._visits.table
        visits["seen"][rows], visits["box"][rows], visits["class_id"][rows] = now, boxes, objects.class_id
        alarming = (
            inside
            & visits["settled"][rows]
            & reached(now - visits["since"][rows], self.params.loitering_time)
        )
        observations = tuple(
            observe(
                frame,
                objects,
                k,
                key_of(visits[row]),
                {"dwell_s": round(now - visits["since"][row], 2)},
            )
            for k, row in zip(np.flatnonzero(alarming).tolist(), rows[alarming].tolist(), strict=True)
        )
        self._visits.keep(now - visits["seen"] <= UNSEEN_S)
        return Findings(objects[inside], observations, {"count": float(inside.sum())})

    def _rows(self, objects: Detections, ids: Ids, boxes: F64, inside: Mask, now: float) -> Rows:
        self._visits.keep(now - self._visits.table["seen"] <= UNSEEN_S)
        rows, fresh = self._visits.rows(ids)
        visits = self._visits.table
        name_fresh(visits, rows, fresh, ids)
        lost = visits["settled"].copy()
        lost[rows] = False
        able = fresh & inside
        if not lost.any() or not able.any():
            return rows
        return inherit(self._visits, rows, ids, objects, boxes, lost, able)

    def _enter(self, rows: Rows, now: float) -> None:
        visits = self._visits.table
        settled, frames = visits["settled"][rows], visits["frames"][rows]
        frames[~settled & (now - visits["inside"][rows] > LAPSE_S)] = 0
        visits["since"][rows[frames == 0]] = now
        visits["frames"][rows] = frames + 1
        visits["outside"][rows] = 0
        visits["inside"][rows] = now
        visits["settled"][rows] = settled | (frames + 1 >= self.params.inertia)

    def _leave(self, rows: Rows, now: float) -> None:
        visits = self._visits.table
        outside = visits["outside"][rows] + 1
        visits["outside"][rows] = outside
        brief = (outside < self.params.inertia) | (now - visits["inside"][rows] < LAPSE_S)
        left = rows[~(visits["settled"][rows] & brief)]
        visits["settled"][left], visits["frames"][left] = False, 0
