"""Rule `stationary`: something does not move away (a parked vehicle, goods left on a pavement)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import (
    F64,
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
from aihub.types.geometry import box_area, box_iou

SETTLE_S = 1.0
"""Seconds for which a track must stand before it can be taken for one that stood in the same place before."""
VACANT_S = 2.5
"""Seconds for which a place that was seen to be left can be taken over: trackers swap ids, and a queue moves up slower."""
SAME_PLACE_IOU = 0.5
INSIDE = 0.8
"""Share of a box within the place from which it is the same thing, partly hidden."""
LEAST_PART = 0.3
AVERAGED = 8
"""Frames whose mean box is the place: one box jitters."""


class StationaryParams(StageParams):
    """Where, for how long, how still."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    dwell: Seconds = Field(30.0, description="Seconds without moving away.")
    tolerance: float = Field(
        0.25,
        gt=0,
        le=2,
        description="How far the box's centre may drift, in sides of a square of the box's area.",
    )
    gap: Seconds = Field(30.0, description="Seconds for which it may be hidden and still be the same.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames elsewhere that make it moved.")


class Stationary(Stage[StationaryParams]):
    """An observation `track/ID` for every object in the zone that has kept its place for `dwell` seconds; `dwell_s` in data.

    A place is remembered, not only a track: where one is lost and another appears and stands, key and time go on, so
    that a parked car is one event however often traffic hides it. A second place of one track is `track/ID/place-2`.
    """

    name = "stationary"
    stateful = True

    def __init__(self, params: StationaryParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._vacated = 0
        self._places = Ledger(
            [
                ("owner", "i8"),  # track that the key names
                ("visit", "i8"),  # which of the owner's places
                ("stops", "i8"),  # places that this row's own track has had
                ("class_id", "i4"),
                ("box", "f8", 4),  # the place, relative
                ("frames", "i8"),
                ("since", "f8"),
                ("seen", "f8"),
                ("away", "i8"),  # consecutive frames elsewhere
                ("left", "f8"),  # first of them
                ("until", "f8"),  # when the place is forgotten
            ]
        )

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        if not len(objects) and not len(self._places.table):
            return Findings(objects, (), {"count": 0.0, "stationary": 0.0})
        boxes = relative(frame, objects.xyxy)
        scale = np.array([frame.width, frame.height, frame.width, frame.height], np.float64)
        ids = ids_of(objects)
        self._places.keep(self._places.table["until"] >= now)
        rows, fresh = self._places.rows(ids)
        self._settle(rows[fresh], ids[fresh], boxes[fresh], now)
        self._places.table["class_id"][rows] = objects.class_id
        still = self._still(rows, boxes * scale, scale)
        self._stay(rows[still], boxes[still], now)
        self._depart(rows[~still], boxes[~still], ids[~still], now)
        self._inherit(rows[still], scale, now)
        rows, _ = self._places.rows(ids)
        return self._findings(frame, objects, boxes, rows, still)

    def _findings(self, frame: Frame, objects: Detections, boxes: F64, rows: Rows, still: Mask) -> Findings:
        places, now = self._places.table, frame.monotonic
        dwelt = now - places["since"][rows]
        parked = still & self._region.holds(places["box"][rows]) & reached(dwelt, self.params.dwell)
        parked &= places["frames"][rows] >= self.params.inertia
        observations = tuple(
            observe(frame, objects, k, _key(places[rows[k]]), {"dwell_s": round(float(dwelt[k]), 2)})
            for k in np.flatnonzero(parked).tolist()
        )
        here = objects[self._region.holds(boxes)]
        return Findings(
            here, observations, {"count": float(len(here)), "stationary": float(len(observations))}
        )

    def _settle(self, rows: Rows, ids: Ids, boxes: F64, now: float) -> None:
        """Begin a new place for each track, where it is now."""
        if not len(rows):
            return
        places = self._places.table
        places["owner"][rows] = -1
        for row in rows[
            np.isin(ids, places["owner"])
        ].tolist():  # the key may live on in a place that another took over
            same = places["owner"] == places["track"][row]
            places["stops"][row] = max(places["stops"][row], places["visit"][same].max())
        places["stops"][rows] += 1
        places["owner"][rows], places["visit"][rows] = ids, places["stops"][rows]
        places["box"][rows], places["frames"][rows], places["away"][rows] = boxes, 0, 0
        places["since"][rows] = places["seen"][rows] = now
        places["until"][rows] = now + self.params.gap

    def _still(self, rows: Rows, boxes: F64, scale: F64) -> Mask:
        places = self._places.table["box"][rows] * scale
        area, size = box_area(places), box_area(boxes)
        drift = np.hypot(*((boxes[:, :2] + boxes[:, 2:] - places[:, :2] - places[:, 2:]) / 2).T)
        near = drift <= self.params.tolerance * np.sqrt(np.maximum(area, 1e-9))
        sides = np.minimum(boxes[:, 2:], places[:, 2:]) - np.maximum(boxes[:, :2], places[:, :2])
        common = np.prod(np.clip(sides, 0, None), axis=1)
        hidden = (common >= INSIDE * size) & (size >= LEAST_PART * area)
        still: Mask = near | hidden
        return still

    def _stay(self, rows: Rows, boxes: F64, now: float) -> None:
        places = self._places.table
        frames = places["frames"][rows]
        weight = np.where(frames < AVERAGED, 1 / (frames + 1), 0)[:, None]
        places["box"][rows] += (boxes - places["box"][rows]) * weight
        places["frames"][rows] = frames + 1
        places["away"][rows], places["seen"][rows] = 0, now
        places["until"][rows] = now + self.params.gap

    def _depart(self, rows: Rows, boxes: F64, ids: Ids, now: float) -> None:
        """Whoever is elsewhere for long enough begins a new place; the old one stays open for a moment."""
        if not len(rows):
            return
        places = self._places.table
        places["left"][rows[places["away"][rows] == 0]] = now
        places["away"][rows] += 1
        places["until"][rows] = now + self.params.gap
        gone = places["away"][rows] >= np.minimum(self.params.inertia, places["frames"][rows] + 1)
        settled = gone & (places["left"][rows] - places["since"][rows] >= SETTLE_S)
        vacant = places[rows[settled]]
        vacant["until"] = vacant["left"] + VACANT_S
        vacant["track"] = -1 - self._vacated - np.arange(len(vacant))
        self._vacated += len(vacant)
        places["stops"][rows[gone & ~settled]] -= 1  # it only passed: nobody has heard of that place
        self._settle(rows[gone], ids[gone], boxes[gone], now)
        self._places.append(vacant)

    def _inherit(self, standing: Rows, scale: F64, now: float) -> None:
        """Give places whose track is gone to the tracks that stand there now."""
        places = self._places.table
        empty = (places["seen"] < now) & (places["away"] == 0) | (places["track"] < 0)
        empty &= places["seen"] - places["since"] >= SETTLE_S
        heirs = standing[now - places["since"][standing] >= SETTLE_S]
        free = np.flatnonzero(empty)
        if not len(free) or not len(heirs):
            return
        same = box_iou(places["box"][free] * scale, places["box"][heirs] * scale)
        same[places["class_id"][free][:, None] != places["class_id"][heirs][None, :]] = 0
        same[places["since"][free][:, None] >= places["since"][heirs][None, :]] = 0
        taken = np.zeros(len(places), np.bool_)
        while same.size and same.max() >= SAME_PLACE_IOU:  # rare, and then one or two
            old, new = np.unravel_index(int(same.argmax()), same.shape)
            row, place = heirs[new], places[free[old]]
            for column in ("owner", "visit", "since", "box", "frames"):
                places[column][row] = place[column]
            taken[free[old]] = True
            same[old, :] = same[:, new] = 0
        self._places.keep(~taken)


def _key(place: np.void) -> str:
    visit = int(place["visit"])
    return f"track/{place['owner']}" + (f"/place-{visit}" if visit > 1 else "")
