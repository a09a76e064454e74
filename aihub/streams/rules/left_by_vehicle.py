"""Rule `left-by-vehicle`: a vehicle stopped, drove away, and something lies there now that did not lie there before."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.grey import small_grey
from aihub.streams.rules.stationary import Stationary, StationaryParams
from aihub.streams.ruling import (
    F64,
    OUTAGE_S,
    WHOLE,
    Box,
    Inertia,
    Mask,
    Seconds,
    Streak,
    Zone,
    box_of,
    detections_of,
    reached,
    relative,
)
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor

SETTLED_S = 3.0
"""Time constant with which the ground is learned where nothing covers it."""
GONE_S = 1.0
"""Seconds for which nothing may be near before the ground is compared."""
JUDGED_S = 6.0
"""Seconds after which ground that looks as before is as before."""
TOLD_S = 20.0
"""Seconds for which what was left is told; then it belongs to the ground."""
CONTRAST = 22
"""Grey levels (0..255) by which a point must differ from the ground before, beyond what light changed everywhere."""
MOST_VISITS = 32
_VEHICLES = ("car", "bus", "truck", "motorcycle", "bicycle")


class LeftByVehicleParams(StageParams):
    """Where, how long it stands, how much it leaves."""

    zone: Zone = Field(
        (), description="Where vehicles stop, relative coordinates; none for the whole picture."
    )
    dwell: Seconds = Field(5.0, description="Seconds for which the vehicle must stand.")
    size: float = Field(
        0.03, gt=0, le=1, description="Least area of what is left, as a share of the vehicle's box."
    )
    confirm: Seconds = Field(
        3.0, description="Seconds for which it must lie there after the vehicle has left."
    )
    inertia: Inertia = Field(3, description="Consecutive analysed frames on which it lies there.")


@dataclass(slots=True)
class _Visit:
    """A stop. `near` is the ground around it, `seen` when the vehicle, or anything else there, was seen last."""

    key: str
    label: str
    confidence: float
    near: Box
    area: float
    seen: float
    streak: Streak
    told: float | None = None


class LeftByVehicle(Stage[LeftByVehicleParams]):
    """An observation `KEY/left` (KEY of the stop as `stationary` gives it) while what a vehicle left lies there, 20 s at most.

    The grey ground is learned wherever no vehicle or person is near. When one has stood and gone, the ground around its
    place is compared with what it was before; what light changed everywhere does not count. `area` in the data is relative to
    the vehicle's box. Measures: `stops` that are being watched, `left` now.
    """

    name = "left-by-vehicle"
    stateful = True

    def __init__(self, params: LeftByVehicleParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        stops = StationaryParams(zone=params.zone, dwell=params.dwell, inertia=params.inertia)
        self._stops = Stationary(stops, predictor)
        self._ground = np.zeros((0, 0), np.float32)
        self._known: Mask = np.zeros((0, 0), np.bool_)
        self._last = 0.0
        self._visits: dict[str, _Visit] = {}

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        things, now = detections_of(found, self.name), frame.monotonic
        grey = np.asarray(cv2.GaussianBlur(small_grey(frame), (3, 3), 0), np.float32)
        if grey.shape != self._ground.shape or now - self._last > OUTAGE_S:
            self._ground, self._known = grey.copy(), np.zeros(grey.shape, np.bool_)
            self._visits.clear()
        boxes = relative(frame, things.xyxy)
        vehicles = things.select(_VEHICLES)
        self._notice(self._stops.process(frame, vehicles).observations, now)
        observations = self._judge(grey, boxes, now)
        self._learn(grey, boxes, now - self._last)
        self._last = now
        measures = {"stops": float(len(self._visits)), "left": float(len(observations))}
        return Findings(vehicles, tuple(observations), measures)

    def _notice(self, stops: tuple[Observation, ...], now: float) -> None:
        for stop in stops:
            box = stop.box or WHOLE
            wide, tall = box[2] - box[0], box[3] - box[1]
            near = _around(np.array([box]), 0.5)[0]
            visit = self._visits.get(stop.key)
            if visit is None and len(self._visits) < MOST_VISITS:
                streak = Streak(self.params.inertia)
                visit = _Visit(stop.key, stop.label, stop.confidence, box_of(near), wide * tall, now, streak)
                self._visits[stop.key] = visit
            if visit is not None:
                visit.seen = now

    def _judge(self, grey: npt.NDArray[np.float32], boxes: F64, now: float) -> list[Observation]:
        observations = []
        for visit in list(self._visits.values()):
            if len(boxes) and _touches(boxes, visit.near):
                visit.seen = now if visit.told is None else visit.seen
                continue
            if now - visit.seen < GONE_S:
                continue
            box, area = self._changed(grey, visit.near)
            share = area / max(visit.area, 1e-9)
            lies = visit.streak.update(now, holds=share >= self.params.size)
            if lies and visit.streak.held(now, self.params.confirm):
                visit.told = now if visit.told is None else visit.told
                data = {"area": round(share, 3), "vehicle": visit.label}
                observations.append(
                    Observation(f"{visit.key}/left", visit.label, visit.confidence, box, data)
                )
            done = reached(now - visit.told, TOLD_S) if visit.told is not None else False
            patience = JUDGED_S + self.params.confirm
            if done or (visit.told is None and visit.streak.idle and reached(now - visit.seen, patience)):
                del self._visits[visit.key]
        return observations

    def _changed(self, grey: npt.NDArray[np.float32], near: Box) -> tuple[Box, float]:
        """The largest thing in a part of the picture that was not there before: its box, and its share of the picture."""
        rows, columns = _slices(near, grey.shape)
        apart = grey[rows, columns] - self._ground[rows, columns]
        known = self._known[rows, columns]
        if not known.any():
            return near, 0.0
        apart = np.abs(apart - np.median(apart[known]))
        marks = ((apart > CONTRAST) & known).astype(np.uint8)
        marks = np.asarray(cv2.morphologyEx(marks, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)))
        marks = np.asarray(cv2.morphologyEx(marks, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
        _, _, parts, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
        if len(parts) < 2:
            return near, 0.0
        x, y, wide, tall, area = parts[1 + int(parts[1:, cv2.CC_STAT_AREA].argmax())].tolist()
        height, width = grey.shape
        left, top = columns.start + x, rows.start + y
        box = (left / width, top / height, (left + wide) / width, (top + tall) / height)
        return box, area / grey.size

    def _learn(self, grey: npt.NDArray[np.float32], boxes: F64, gap: float) -> None:
        free = np.ones(grey.shape, np.bool_)
        kept = np.array([visit.near for visit in self._visits.values()], np.float64).reshape(-1, 4)
        for part in np.concatenate([_around(boxes, 0.5), kept]):
            free[_slices(box_of(part), grey.shape)] = False
        fresh = free & ~self._known
        self._ground[fresh] = grey[fresh]
        share = 1 - float(np.exp(-max(gap, 0.0) / SETTLED_S))
        self._ground[free] += share * (grey[free] - self._ground[free])
        self._known |= free


def _around(boxes: F64, share: float) -> F64:
    """`(N, 4)` relative boxes, grown on each side by a share of themselves, within the picture."""
    sides = (boxes[:, 2:] - boxes[:, :2]) * share
    grown: F64 = np.clip(np.concatenate([boxes[:, :2] - sides, boxes[:, 2:] + sides], axis=1), 0, 1)
    return grown


def _touches(boxes: F64, part: Box) -> bool:
    low = np.maximum(boxes[:, :2], part[:2])
    high = np.minimum(boxes[:, 2:], part[2:])
    return bool((low < high).all(axis=1).any())


def _slices(part: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    height, width = shape[:2]
    top, left = int(part[1] * height), int(part[0] * width)
    return (
        slice(top, max(int(np.ceil(part[3] * height)), top + 1)),
        slice(left, max(int(np.ceil(part[2] * width)), left + 1)),
    )
