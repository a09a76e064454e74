"""Rule `company`: a thing without a partner near it (a bag without an owner, a dog alone), or with one (a vendor at a table)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.heirs import HEIR_COLUMNS, key_of, rows_of
from aihub.streams.ruling import (
    F64,
    LAPSE_S,
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
from aihub.types import AnyResult, Findings, Frame, Predictor

UNSEEN_S = 5.0
"""Seconds a thing may be hidden and still be the same."""
UPPER_BODY = 0.55
"""Share of a body, from the top, where hands and head are."""
ARM = 0.2
"""Widths by which hands reach beyond a body's box."""
FAR = 1e6
"""Distance to nobody."""


class CompanyParams(StageParams):
    """Which things, whose company, for how long."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    things: tuple[str, ...] = Field(min_length=1, description="Labels of what is watched.")
    partners: tuple[str, ...] = Field(
        ("person",), min_length=1, description="Labels of whose company it has."
    )
    wanted: Literal["alone", "together"] = Field("alone", description="Which of the two is reported.")
    reach: Literal["beside", "upper-body"] = Field(
        "beside",
        description="Near is what stands beside the thing, or what a person who is the thing has at hands or head.",
    )
    distance: float = Field(
        1.0, ge=0, le=20, description="How far away a partner still is company, in heights of the partner."
    )
    dwell: Seconds = Field(10.0, description="Seconds for which it must last.")
    tolerance: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Sides of the thing by which it may drift and still stand; 0: it may move.",
    )
    inertia: Inertia = Field(3, description="Analysed frames for which it must hold.")


class Company(Stage[CompanyParams]):
    """An observation `track/ID` for every thing in the zone that has been alone (or together) for `dwell` seconds.

    `alone_s` (or `together_s`) in data. A partner who passes within less than a second does not set the clock back, and a
    thing that comes back under another track in the same place keeps it. Measures: `count` of things in the zone, `alone`.
    """

    name = "company"
    stateful = True

    def __init__(self, params: CompanyParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        own = [("since", "f8"), ("held", "f8"), ("frames", "i8"), ("place", "f8", 4)]
        self._things = Ledger([*HEIR_COLUMNS, *own])

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        things, partners = objects.select(self.params.things), objects.select(self.params.partners)
        boxes = relative(frame, things.xyxy)
        inside = self._region.holds(boxes)
        things, boxes = things[inside], boxes[inside]
        away = self._distances(things.xyxy.astype(np.float64), partners.xyxy.astype(np.float64))
        nearest = away.min(axis=1, initial=FAR)
        alone = nearest > self.params.distance
        holds = alone if self.params.wanted == "alone" else ~alone
        rows = rows_of(self._things, things, ids_of(things), boxes, now, UNSEEN_S)
        self._count(rows, boxes, holds, now)
        table = self._things.table
        lasted = now - table["since"][rows]
        alarming = holds & (table["frames"][rows] >= self.params.inertia) & reached(lasted, self.params.dwell)
        word = f"{self.params.wanted}_s"
        observations = tuple(
            observe(frame, things, k, key_of(table[rows[k]]), {word: round(float(lasted[k]), 2)})
            for k in np.flatnonzero(alarming).tolist()
        )
        return Findings(things, observations, {"count": float(len(things)), "alone": float(alone.sum())})

    def _distances(self, things: F64, partners: F64) -> F64:
        """`(N, 4)` and `(M, 4)` pixel boxes -> `(N, M)` how far apart, in heights of the partner."""
        if self.params.reach == "upper-body":
            return np.where(_at_hand(things, partners), 0.0, FAR)
        gap = np.maximum(
            things[:, None, :1] - partners[None, :, 2:3], partners[None, :, :1] - things[:, None, 2:3]
        )
        across = np.clip(gap[..., 0], 0, None)
        along = np.abs(things[:, None, 3] - partners[None, :, 3])
        tall = np.maximum(partners[:, 3] - partners[:, 1], 1.0)
        away: F64 = np.hypot(across, along) / tall[None, :]
        return away

    def _count(self, rows: Rows, boxes: F64, holds: Mask, now: float) -> None:
        """Since when each has been alone (or together), and in how many frames."""
        table = self._things.table
        moved = self._moved(table["place"][rows], boxes)
        table["place"][rows[moved]] = boxes[moved]
        table["frames"][rows[moved]] = 0
        frames = table["frames"][rows]
        frames[~holds & (now - table["held"][rows] >= LAPSE_S)] = 0
        table["since"][rows[holds & (frames == 0)]] = now
        table["held"][rows[holds]] = now
        table["frames"][rows] = frames + holds

    def _moved(self, places: F64, boxes: F64) -> Mask:
        if not self.params.tolerance:
            return np.zeros(len(boxes), np.bool_)
        drift = np.abs((places[:, :2] + places[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2)
        far = drift > self.params.tolerance * (boxes[:, 2:] - boxes[:, :2])
        return np.asarray(far.any(axis=1))


def _at_hand(bodies: F64, things: F64) -> Mask:
    """`(N, 4)` bodies, `(M, 4)` things -> `(N, M)` whether the middle of the thing is where hands and head are."""
    middle = (things[:, :2] + things[:, 2:]) / 2
    size = bodies[:, 2:] - bodies[:, :2]
    low = bodies[:, :2] - size * np.array([ARM, 0.0])
    high = np.stack([bodies[:, 2] + size[:, 0] * ARM, bodies[:, 1] + size[:, 1] * UPPER_BODY], axis=1)
    held: npt.NDArray[np.bool_] = ((middle >= low[:, None]) & (middle <= high[:, None])).all(axis=2)
    return held
