"""Rule `queue`: how many wait in a zone, for how long they waited, and how long whoever joins now will wait."""

from __future__ import annotations

from collections import deque

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.heirs import HEIR_COLUMNS, rows_of
from aihub.streams.ruling import (
    F64,
    Inertia,
    Ledger,
    Region,
    Seconds,
    Streak,
    Zone,
    detections_of,
    ids_of,
    reached,
    relative,
)
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor

UNSEEN_S = 4.0
"""Seconds somebody may be hidden, or step out of the zone, and still be in the queue."""
MOST_WAITS = 2000
"""Waits that are remembered."""


class QueueParams(StageParams):
    """Where they wait, and what is too many or too long."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    min_stay: Seconds = Field(
        3.0, description="Seconds in the zone from which somebody waits; less is passing by."
    )
    threshold: int = Field(
        0, ge=0, le=10_000, description="People waiting from which it counts; 0: only measure."
    )
    max_wait: Seconds = Field(
        0.0, description="Wait from which it counts, as it is or as foretold; 0: only measure."
    )
    window: float = Field(900.0, ge=1, le=86400, description="Seconds whose waits make the figures.")
    inertia: Inertia = Field(3, description="Analysed frames in a row.")


class Queue(Stage[QueueParams]):
    """Observations `length` while at least `threshold` people wait, and `wait` while somebody waits for `max_wait` or will.

    Measures: `count` waiting now, `longest_s` of them; of those who left within `window`: `served`, `mean_s`, `p90_s`;
    `estimate_s` for whoever joins now: people before them times the mean time between two who left, or where nobody left
    yet, the longest wait there is. People who are already there in the first frame are timed from then.
    """

    name = "queue"
    stateful = True

    def __init__(self, params: QueueParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._people = Ledger([*HEIR_COLUMNS, ("since", "f8"), ("frames", "i8")])
        self._waits: deque[tuple[float, float]] = deque(maxlen=MOST_WAITS)
        self._long, self._slow = Streak(params.inertia), Streak(params.inertia)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        boxes = relative(frame, objects.xyxy)
        inside = self._region.holds(boxes)
        here, boxes = objects[inside], boxes[inside]
        self._let_go(now)
        rows = rows_of(self._people, here, ids_of(here), boxes, now, UNSEEN_S)
        people = self._people.table
        people["since"][rows[people["frames"][rows] == 0]] = now
        people["frames"][rows] += 1
        waited = people["seen"] - people["since"]  # who is out of sight may be gone
        waiting = reached(waited, self.params.min_stay)
        count, longest = int(waiting.sum()), float(waited[waiting].max(initial=0.0))
        measures = self._figures(count, longest)
        sure = float(here.confidence.mean()) if len(here) else 1.0
        observations = []
        many = 0 < self.params.threshold <= count
        if self._long.update(now, holds=many):
            data: dict[str, float] = {"count": count, "threshold": self.params.threshold}
            observations.append(Observation("length", "queue", sure, self._region.box, data))
        wait = max(longest, measures["estimate_s"])
        slow = bool(self.params.max_wait and count and reached(wait, self.params.max_wait))
        if self._slow.update(now, holds=slow):
            data = {
                "count": count,
                "longest_s": round(longest, 1),
                "estimate_s": round(measures["estimate_s"], 1),
            }
            observations.append(Observation("wait", "queue", sure, self._region.box, data))
        return Findings(here, tuple(observations), measures)

    def _let_go(self, now: float) -> None:
        """Write down the waits of those who are gone."""
        people = self._people.table
        gone = people[now - people["seen"] > UNSEEN_S]
        waits: F64 = gone["seen"] - gone["since"]
        stayed = reached(waits, self.params.min_stay)
        self._waits.extend(zip(gone["seen"][stayed].tolist(), waits[stayed].tolist(), strict=True))
        while self._waits and now - self._waits[0][0] > self.params.window:
            self._waits.popleft()

    def _figures(self, count: int, longest: float) -> dict[str, float]:
        left = np.array([when for when, _ in self._waits])
        waits = np.array([wait for _, wait in self._waits])
        measures = {"count": float(count), "longest_s": longest, "served": float(len(waits))}
        if len(waits):
            measures |= {"mean_s": float(waits.mean()), "p90_s": float(np.quantile(waits, 0.9))}
        if len(waits) >= 2 and np.ptp(left) > 0:
            estimate = count * float(np.ptp(left)) / (len(left) - 1)
        elif len(waits):
            estimate = float(waits.mean()) if count else 0.0
        else:
            estimate = longest
        return measures | {"estimate_s": estimate}
