"""Rule `standing-queue`: how many vehicles stand before a stop line, and how far back they reach."""

from __future__ import annotations

from collections import Counter

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ground import Ground, Rectangle, Trails
from aihub.streams.ruling import F64, Inertia, Rows, Seconds, Streak, detections_of, hull, ids_of, relative
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor

KMH = 3.6


class StandingQueueParams(StageParams):
    """Which lane, what stands, how close is behind."""

    lane: Rectangle = Field(
        description="Four corners of the lane, relative: the stop line first, from end to end, then back along the lane."
    )
    length_m: float = Field(gt=0, le=10_000, description="Metres from the stop line to the lane's far end.")
    width_m: float = Field(
        3.5, gt=0, le=1000, description="Metres from one end of the stop line to the other."
    )
    gap_m: float = Field(
        10.0, gt=0, le=200, description="Metres between the middles of two neighbours in a queue."
    )
    slow_kmh: float = Field(5.0, gt=0, le=50, description="Speed below which a vehicle stands.")
    threshold: int = Field(0, ge=0, le=1000, description="Vehicles from which it counts; 0: only measure.")
    dwell: Seconds = Field(0.0, description="Seconds for which the queue must be that long.")
    window: float = Field(2.0, ge=0.2, le=30, description="Seconds over which speed is taken.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames with a queue of that length.")


class StandingQueue(Stage[StandingQueueParams]):
    """An observation `zone` while `threshold` vehicles or more have been standing in the queue for `dwell` seconds.

    The queue begins at the stop line and goes on from vehicle to vehicle while the next one stands at most `gap_m` behind.
    `found` is the vehicles of the queue. Measures: `queue` vehicles, `queue_m` metres from the line to the last one's
    place, `count` of all in the lane. A track that is not known for long enough yet stands.
    """

    name = "standing-queue"
    stateful = True

    def __init__(self, params: StandingQueueParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._ground = Ground(params.lane, params.width_m, params.length_m)
        self._trails = Trails(params.window)
        self._streak = Streak(params.inertia)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now, params = detections_of(found, self.name), frame.monotonic, self.params
        boxes = relative(frame, objects.xyxy)
        inside = self._ground.region.holds(boxes)
        here = objects[inside]
        places = self._ground.standing(boxes[inside])
        rows = self._trails.update(ids_of(objects)[inside], places, now)
        velocity, known = self._trails.velocity(rows, now, params.window)
        stands = ~known | (np.hypot(*velocity.T) * KMH < params.slow_kmh)
        queue = self._chain(places[:, 1], np.flatnonzero(stands))
        measures = {
            "count": float(len(here)),
            "queue": float(len(queue)),
            "queue_m": float(places[queue, 1].max(initial=0.0)),
        }
        waiting = here[queue]
        long = self._streak.update(now, holds=len(queue) >= max(params.threshold, 1))
        if not params.threshold or not long or not self._streak.held(now, params.dwell):
            return Findings(waiting, measures=measures)
        label = Counter(waiting.names()).most_common(1)[0][0]
        data = {"queue": len(queue), "queue_m": round(measures["queue_m"], 1),
                "dwell_s": round(now - self._streak.since, 2)}  # fmt: skip
        box = hull(boxes[inside][queue])
        return Findings(
            waiting, (Observation("zone", label, float(waiting.confidence.mean()), box, data),), measures
        )

    def _chain(self, behind: F64, standing: Rows) -> Rows:
        """Rows of the queue, foremost first: those that stand, up to the first gap that is too wide."""
        order = standing[np.argsort(behind[standing], kind="stable")]
        gaps = np.diff(behind[order], prepend=0.0)
        wide = np.flatnonzero(gaps > self.params.gap_m)
        return order[: wide[0]] if len(wide) else order
