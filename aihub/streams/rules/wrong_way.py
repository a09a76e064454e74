"""Rule `wrong-way`: something drives against the direction that a line allows."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ground import FRAMES, Trails, consecutive
from aihub.streams.ruling import Inertia, Line, Region, Zone, detections_of, ids_of, observe, relative
from aihub.types import AnyResult, Findings, Frame, Predictor
from aihub.types.geometry import bottom_centre


class WrongWayParams(StageParams):
    """Where, and which way is right."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    line: Line = Field(
        description="The allowed direction, from start to end; where the line lies does not matter."
    )
    angle: float = Field(120.0, ge=30, le=180, description="Degrees away from it from which a way is wrong.")
    travel: float = Field(
        0.4, ge=0.05, le=10, description="How far it must move within the window, in longer sides of its box."
    )
    window: float = Field(1.0, ge=0.2, le=10, description="Seconds over which the motion is taken.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames against the direction.")


class WrongWay(Stage[WrongWayParams]):
    """An observation `track/ID` for everything in the zone that moves the wrong way, with its `angle` in degrees.

    What stands, or shakes, moves no way. Measures: `with`, `against` and `still` of those in the zone on this frame.
    """

    name = "wrong-way"
    stateful = True

    def __init__(self, params: WrongWayParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._trails = Trails(params.window, FRAMES)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        size = np.array([frame.width, frame.height], np.float64)
        inside = self._region.holds(relative(frame, objects.xyxy))
        ids = ids_of(objects)
        # in heights of the picture, so that a change of the camera's resolution is no motion
        rows = self._trails.update(ids, bottom_centre(objects.xyxy) / size[1], now)
        velocity, known = self._trails.velocity(rows, now, self.params.window)
        longer = (objects.xyxy[:, 2:] - objects.xyxy[:, :2]).max(axis=1, initial=0) / size[1]
        pace = np.hypot(*velocity.T)
        moves = known & (pace * self.params.window >= self.params.travel * longer) & (pace > 0)
        start, end = np.array(self.params.line) * size
        right = (end - start) / np.hypot(*(end - start))
        cosine = np.divide(velocity @ right, pace, out=np.ones(len(pace)), where=pace > 0)
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        against = moves & inside & (angle >= self.params.angle)
        lasting = consecutive(self._trails, rows, against, self.params.inertia)
        place = np.cumsum(inside) - 1
        here = objects[inside]
        observations = tuple(
            observe(frame, here, int(place[k]), f"track/{ids[k]}", {"angle": round(float(angle[k]), 1)})
            for k in np.flatnonzero(lasting).tolist()
        )
        measures = {
            "with": float((moves & inside & (angle < self.params.angle)).sum()),
            "against": float(against.sum()),
            "still": float((inside & known & ~moves).sum()),
        }
        return Findings(here, observations, measures)
