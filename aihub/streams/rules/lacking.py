"""Rule `lacking`: somebody does not wear what must be worn."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import (
    LAPSE_S,
    Inertia,
    Ledger,
    Region,
    Zone,
    detections_of,
    ids_of,
    observe,
    relative,
)
from aihub.types import AnyResult, Findings, Frame, Predictor

UNSEEN_S = 3.0


class LackingParams(StageParams):
    """Where, and what."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    required: tuple[str, ...] = Field(min_length=1, description="Attributes that must not be `no`.")
    inertia: Inertia = Field(5, description="Analysed frames lacking something before it counts, without a second of having all.")  # fmt: skip


class Lacking(Stage[LackingParams]):
    """An observation `track/ID` for each in the zone of whom a required attribute is `no`; `lacks` and all attributes in data.

    What is not known lacks nothing. Measures: `count` in the zone, `complete` of whom all is known and worn, `lacking`.
    """

    name = "lacking"
    stateful = True

    def __init__(self, params: LackingParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._people = Ledger([("seen", "f8"), ("lacked", "f8"), ("frames", "i8")])

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        people, now = detections_of(found, self.name), frame.monotonic
        people = people[self._region.holds(relative(frame, people.xyxy))]
        known = people.attributes or ({},) * len(people)
        lacks = [[name for name in self.params.required if row.get(name) == "no"] for row in known]
        lacking = np.array([bool(names) for names in lacks], np.bool_)
        whole = sum(all(row.get(name) == "yes" for name in self.params.required) for row in known)
        self._people.keep(now - self._people.table["seen"] <= UNSEEN_S)
        rows, _ = self._people.rows(ids_of(people))
        table = self._people.table
        table["frames"][rows[now - table["lacked"][rows] > LAPSE_S]] = 0
        table["frames"][rows[lacking]] += 1
        table["lacked"][rows[lacking]], table["seen"][rows] = now, now
        alarming = lacking & (table["frames"][rows] >= self.params.inertia)
        observations = tuple(
            observe(frame, people, k, f"track/{int(table['track'][rows[k]])}", {**known[k], "lacks": lacks[k]})
            for k in np.flatnonzero(alarming).tolist()
        )  # fmt: skip
        measures = {"count": float(len(people)), "complete": float(whole), "lacking": float(lacking.sum())}
        return Findings(people, observations, measures)
