"""Rule `ground-speed`: how fast things move over the ground, in km/h, from four points whose distances are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ground import FRAMES, Ground, Rectangle, Trails, consecutive
from aihub.streams.ruling import Inertia, detections_of, ids_of, observe, relative
from aihub.types import AnyResult, Findings, Frame, Predictor

KMH = 3.6


class GroundSpeedParams(StageParams):
    """Where the known rectangle lies, and how fast is too fast."""

    road: Rectangle = Field(description="Four corners of a rectangle on the road, relative: its width first.")
    width_m: float = Field(gt=0, le=1000, description="Metres from the first corner to the second.")
    length_m: float = Field(gt=0, le=10_000, description="Metres from the second corner to the third.")
    limit_kmh: float = Field(0.0, ge=0, le=500, description="Speed above which it counts; 0: only measure.")
    window: float = Field(1.0, ge=0.2, le=10, description="Seconds over which the speed is taken.")
    inertia: Inertia = Field(2, description="Consecutive analysed frames above the limit.")


class GroundSpeed(Stage[GroundSpeedParams]):
    """Gives what moves in the rectangle the attribute `speed_kmh`; an observation `track/ID` for each above the limit.

    The speed is the slope of a straight line through the last second's places on the ground (least squares), where the
    middle of the box's lower edge stands for the vehicle. It does not depend on the view, on the rectangle that was chosen,
    or on the frame rate. `found` is what is whole: vehicles cut off by the picture's edge have no place. Measures: `count`, `mean_kmh` and `fastest_kmh` of those whose speed is known.
    """

    name = "ground-speed"
    stateful = True

    def __init__(self, params: GroundSpeedParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._ground = Ground(params.road, params.width_m, params.length_m)
        self._trails = Trails(params.window, FRAMES)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        boxes = relative(frame, objects.xyxy)
        inside = self._ground.whole(boxes)
        here, ids = objects[inside], ids_of(objects)[inside]
        rows = self._trails.update(ids, self._ground.standing(boxes[inside]), now)
        velocity, known = self._trails.velocity(rows, now, self.params.window)
        speed = np.hypot(*velocity.T) * KMH
        fast = known & (speed > self.params.limit_kmh) & (self.params.limit_kmh > 0)
        lasting = consecutive(self._trails, rows, fast, self.params.inertia)
        said = tuple(
            {"speed_kmh": round(float(v), 1)} if k else {} for v, k in zip(speed, known, strict=True)
        )
        observations = tuple(
            observe(frame, here, k, f"track/{ids[k]}", {**said[k], "limit_kmh": self.params.limit_kmh})
            for k in np.flatnonzero(lasting).tolist()
        )
        measures = {"count": float(len(here))}
        if known.any():
            measures["mean_kmh"], measures["fastest_kmh"] = (
                float(speed[known].mean()),
                float(speed[known].max()),
            )
        return Findings(replace(here, attributes=said), observations, measures)
