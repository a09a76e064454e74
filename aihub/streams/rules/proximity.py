"""Rule `proximity`: somebody is too near to a machine, in metres by their own height."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import (  # fmt: skip
    F64,
    LAPSE_S,
    Inertia,
    Ledger,
    Region,
    Seconds,
    Zone,
    detections_of,
    ids_of,
    observe,
    reached,
    relative,
)
from aihub.types import AnyResult, Findings, Frame, Predictor

UNSEEN_S = 3.0
INSIDE = 0.7
"""Share of a person's box within a machine's, from which they may be its driver, when the feet are not on its ground."""
SEATED = 0.5
"""Height of a driver, of whom the machine hides the legs, over the machine's, at most."""


class ProximityParams(StageParams):
    """Who, to what, how near, for how long."""

    people: tuple[str, ...] = Field(("person",), min_length=1, description="Labels of those in danger.")
    machines: tuple[str, ...] = Field(min_length=1, description="Labels of what is dangerous.")
    distance: float = Field(3.0, gt=0, le=100, description="Metres below which it is an alarm.")
    height: float = Field(1.7, ge=0.5, le=2.5, description="Metres that a person is tall.")
    zone: Zone = Field((), description="Polygon where it counts, by the person's feet; none for everywhere.")
    dwell: Seconds = Field(0.0, description="Seconds for which somebody is that near.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames that near before it counts.")


class Proximity(Stage[ProximityParams]):
    """An observation `track/ID` for each who is nearer to a machine than `distance`; `metres` and `machine` in data.

    The gap lies on the ground, between the person's feet and the lower edge of the machine's box, and is measured by the person's
    height in the picture. Who sits in a machine, high above its ground, is not near it. Measures: `count` of people, `machines`,
    `nearest_m` where there are both.
    """

    name = "proximity"
    stateful = True

    def __init__(self, params: ProximityParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._people = Ledger([("since", "f8"), ("near", "f8"), ("seen", "f8"), ("frames", "i8")])

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        things, now = detections_of(found, self.name), frame.monotonic
        names = np.array(things.names(), dtype=object)
        who, what = (np.flatnonzero(np.isin(names, list(labels))) for labels in (self.params.people, self.params.machines))  # fmt: skip
        boxes = things.xyxy.astype(np.float64)
        gaps = gaps_in_metres(boxes[who], boxes[what], self.params.height)
        nearest = gaps.min(axis=1, initial=np.inf)
        near = (nearest <= self.params.distance) & self._region.holds(relative(frame, things.xyxy[who]))
        held, rows = self._held(ids_of(things)[who], near, now)
        alarming = near & (self._people.table["frames"][rows] >= self.params.inertia) & reached(held, self.params.dwell)  # fmt: skip
        observations = tuple(
            observe(frame, things, int(who[k]), f"track/{int(self._people.table['track'][rows[k]])}", {
                "metres": round(float(nearest[k]), 2), "machine": str(names[what[gaps[k].argmin()]]),
            })
            for k in np.flatnonzero(alarming).tolist()
        )  # fmt: skip
        measures = {"count": float(len(who)), "machines": float(len(what))}
        if gaps.size and np.isfinite(gaps).any():
            measures["nearest_m"] = float(gaps.min())
        return Findings(things, observations, measures)

    def _held(
        self, ids: npt.NDArray[np.int64], near: npt.NDArray[np.bool_], now: float
    ) -> tuple[F64, npt.NDArray[np.intp]]:
        self._people.keep(now - self._people.table["seen"] <= UNSEEN_S)
        rows, fresh = self._people.rows(ids)
        table = self._people.table
        table["since"][rows[near & (fresh | (table["frames"][rows] == 0))]] = now
        table["near"][rows[near]], table["seen"][rows] = now, now
        table["frames"][rows[near]] += 1
        table["frames"][rows[~near & (now - table["near"][rows] > LAPSE_S)]] = 0
        return now - table["since"][rows], rows


def gaps_in_metres(people: F64, machines: F64, height: float) -> F64:
    """`(N, 4)` and `(M, 4)` pixel boxes -> `(N, M)` metres along the ground; infinite for who sits in the machine.

    Across, the gap between the boxes; in depth, the gap between their lower edges, which perspective shortens: it counts double.
    """
    tall = np.maximum(people[:, 3] - people[:, 1], 1e-6)[:, None]
    left, right = (machines[None, :, 0] - people[:, None, 2]), (people[:, None, 0] - machines[None, :, 2])
    across = np.maximum(np.maximum(left, right), 0)
    depth = 2 * np.abs(machines[None, :, 3] - people[:, None, 3])
    top_left = np.maximum(people[:, None, :2], machines[None, :, :2])
    bottom_right = np.minimum(people[:, None, 2:], machines[None, :, 2:])
    common = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    size = np.maximum(np.prod(people[:, 2:] - people[:, :2], axis=1), 1e-6)[:, None]
    driving = (common >= INSIDE * size) & (machines[None, :, 3] - people[:, None, 3] > 0.3 * tall)
    driving &= tall <= SEATED * (machines[:, 3] - machines[:, 1])[None]
    gap: F64 = np.where(driving, np.inf, np.hypot(across, depth) / tall * height)
    return gap
