"""Rule `near-miss`: two that will be in the same place in a moment if both go on as they do (time to collision)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ground import Ground, Rectangle, Trails
from aihub.streams.ruling import F64, Inertia, Mask, detections_of, hull, ids_of, label_of, relative
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor

SHARE = 0.5
"""Radius of a thing as a share of its width on the ground."""
LARGEST_M = 3.0
"""Radius at most, metres: boxes that hold two things are not one large thing."""
MOST_PAIRS = 4096


class NearMissParams(StageParams):
    """Where, how soon, how fast."""

    road: Rectangle = Field(description="Four corners of a rectangle on the road, relative: its width first.")
    width_m: float = Field(gt=0, le=1000, description="Metres from the first corner to the second.")
    length_m: float = Field(gt=0, le=10_000, description="Metres from the second corner to the third.")
    ttc: float = Field(1.5, gt=0, le=10, description="Seconds to the collision from which it counts.")
    closing_kmh: float = Field(8.0, gt=0, le=200, description="Least speed at which the two come nearer.")
    window: float = Field(0.8, ge=0.2, le=10, description="Seconds over which motion is taken.")
    inertia: Inertia = Field(2, description="Consecutive analysed frames on which it holds.")


class NearMiss(Stage[NearMissParams]):
    """An observation `pair/ID-ID` while two tracks would touch within `ttc` seconds at their present velocities.

    On the ground each, if not cut off by the picture's edge, is a disc as wide as its box's lower edge is there. The time to collision is the first moment at which
    the discs touch; those that touch already (a rider and the bicycle) are no pair. Measures: `count`, `pairs` that hold,
    and `least_ttc_s`, the least of all pairs that come nearer at that speed, where there is one below ten seconds.
    """

    name = "near-miss"
    stateful = True

    def __init__(self, params: NearMissParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._ground = Ground(params.road, params.width_m, params.length_m)
        self._trails = Trails(params.window)
        self._pairs: dict[tuple[int, int], tuple[int, float]] = {}  # frames in a row, and when last

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        boxes = relative(frame, objects.xyxy)
        inside = self._ground.whole(boxes)
        here, boxes, ids = objects[inside], boxes[inside], ids_of(objects)[inside]
        places = self._ground.standing(boxes)
        rows = self._trails.update(ids, places, now)
        velocity, known = self._trails.velocity(rows, now, self.params.window)
        radius = np.minimum(self._ground.widths(boxes) * SHARE, LARGEST_M)
        ttc = self._ttc(places, velocity, radius)
        ttc[~(known[:, None] & known[None, :])] = np.inf
        measures = {"count": float(len(here)), "pairs": 0.0}
        if ttc.min(initial=np.inf) < 10:
            measures["least_ttc_s"] = float(ttc.min())
        observations = []
        first, second = np.nonzero(ttc <= self.params.ttc)
        for i, j in zip(first.tolist()[:MOST_PAIRS], second.tolist(), strict=False):
            one, other = sorted((int(ids[i]), int(ids[j])))
            frames = self._pairs.get((one, other), (0, 0.0))[0] + 1
            self._pairs[one, other] = (frames, now)
            if frames >= self.params.inertia:
                surest = i if here.confidence[i] >= here.confidence[j] else j
                data = {"ttc_s": round(float(ttc[i, j]), 2), "other": label_of(here, i + j - surest)}
                confidence = float(min(here.confidence[i], here.confidence[j]))
                key, label = f"pair/{one}-{other}", label_of(here, surest)
                observations.append(Observation(key, label, confidence, hull(boxes[[i, j]]), data))
        measures["pairs"] = float(len(observations))
        self._pairs = {pair: held for pair, held in self._pairs.items() if held[1] == now}
        return Findings(here, tuple(observations), measures)

    def _ttc(self, places: F64, velocity: F64, radius: F64) -> F64:
        """`(N, N)` seconds until each pair touches, infinite where it never does, is apart too slowly, or touches now."""
        apart, drift = places[None] - places[:, None], velocity[None] - velocity[:, None]
        touch = radius[None] + radius[:, None]
        along = (apart * drift).sum(axis=2)
        speed2, distance2 = (drift**2).sum(axis=2), (apart**2).sum(axis=2)
        left = along**2 - speed2 * (distance2 - touch**2)
        closing = -along / np.sqrt(np.maximum(distance2, 1e-9))
        meets: Mask = (left >= 0) & (distance2 > touch**2) & (closing * 3.6 >= self.params.closing_kmh)
        meets &= np.triu(np.ones_like(meets), 1)
        soon = np.full(meets.shape, np.inf)
        soon[meets] = (-along[meets] - np.sqrt(left[meets])) / speed2[meets]
        return soon
