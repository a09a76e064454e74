"""Rule `hands-up`: somebody holds their hands above the head."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.joints import hands_up, joints_of
from aihub.streams.ruling import (  # fmt: skip
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


class HandsUpParams(StageParams):
    """Where, how many hands, for how long."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    hands: int = Field(2, ge=1, le=2, description="Hands that must be above the head.")
    dwell: Seconds = Field(1.0, description="Seconds for which they are held up.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames with the hands up before it counts.")


class HandsUp(Stage[HandsUpParams]):
    """An observation `track/ID` for each who has held the hands above the head for `dwell` seconds; `held_s` in data."""

    name = "hands-up"
    stateful = True

    def __init__(self, params: HandsUpParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._people = Ledger([("since", "f8"), ("up", "f8"), ("seen", "f8"), ("frames", "i8")])

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the stages before gave no poses.
        """
        people, now = detections_of(found, self.name), frame.monotonic
        up = hands_up(joints_of(people, self.name)) >= self.params.hands
        up &= self._region.holds(relative(frame, people.xyxy))
        self._people.keep(now - self._people.table["seen"] <= UNSEEN_S)
        rows, fresh = self._people.rows(ids_of(people))
        table = self._people.table
        anew = up & (fresh | (table["frames"][rows] == 0))
        table["since"][rows[anew]], table["up"][rows[up]], table["seen"][rows] = now, now, now
        table["frames"][rows[up]] += 1
        table["frames"][rows[~up & (now - table["up"][rows] > LAPSE_S)]] = 0
        held = now - table["since"][rows]
        alarming = up & (table["frames"][rows] >= self.params.inertia) & reached(held, self.params.dwell)
        observations = tuple(
            observe(frame, people, row, f"track/{int(table['track'][rows[row]])}", {"held_s": round(float(held[row]), 2)})
            for row in np.flatnonzero(alarming).tolist()
        )  # fmt: skip
        return Findings(people, observations, {"count": float(len(people)), "hands_up": float(up.sum())})
