"""Rule `line-crossing`: somebody steps over a line."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import F64, Inertia, Ledger, Line, Mask, detections_of, ids_of, observe
from aihub.types import AnyResult, Findings, Frame, Predictor
from aihub.types.geometry import bottom_centre, side_of_line

MARGIN = 0.05
"""Who is nearer to the line than this, in longer sides of their box, is on neither side: boxes jitter."""
DEEP = 0.5
"""Who is this far beyond, in longer sides of their box, has crossed after two frames: fast things are soon out of sight."""
FORGET_S = 60.0


class LineCrossingParams(StageParams):
    """Which line, which way."""

    line: Line = Field(description="Start and end point, relative coordinates.")
    direction: Literal["any", "left-to-right", "right-to-left"] = Field(
        "any",
        description="Left and right of somebody who stands at the line's start and looks to its end. For a line drawn upwards"
        " that is left and right on the picture; for one drawn from left to right, left is above and right below.",
    )
    inertia: Inertia = Field(3, description="Consecutive analysed frames beyond the line.")


class LineCrossing(Stage[LineCrossingParams]):
    """An observation `track/ID/crossing-N` on the frame on which a crossing is certain, with its `direction`.

    Feet must pass between the line's two ends, and stay beyond for `inertia` frames; whoever wavers on the line has not
    crossed. The measures `left_to_right` and `right_to_left` count all crossings since the start, whatever `direction`.
    """

    name = "line-crossing"
    stateful = True

    def __init__(self, params: LineCrossingParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._counts = {"left-to-right": 0, "right-to-left": 0}
        self._tracks = Ledger(
            [
                ("seen", "f8"),
                ("anchor", "f8", 2),  # relative
                ("frames", "i8"),
                ("sign", "i1"),  # side of the last anchor, however near
                ("side", "i1"),  # side where it certainly was; 0 while unknown
                ("beyond", "i8"),  # frames since it left that side
                ("through", "?"),  # whether it did so between the ends of the line
                ("crossings", "i8"),
            ]
        )

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects = detections_of(found, self.name)
        if not len(objects) and not len(self._tracks.table):
            return Findings(objects, (), self._measures())
        ids = ids_of(objects)
        size = np.array([frame.width, frame.height], np.float64)
        start, end = np.array(self.params.line) * size
        anchors = bottom_centre(objects.xyxy).astype(np.float64)
        distance = side_of_line(anchors, start, end).astype(np.float64) / np.hypot(*(end - start))
        longer = np.maximum((objects.xyxy[:, 2:] - objects.xyxy[:, :2]).max(axis=1, initial=0), 1.0)
        rows, fresh = self._tracks.rows(ids)
        tracks = self._tracks.table
        sign = np.where(distance >= 0, 1, -1)
        flipped = ~fresh & (sign != tracks["sign"][rows])
        before = tracks["anchor"][rows] * size
        tracks["through"][rows[flipped]] = _between_ends(before[flipped], anchors[flipped], start, end)
        tracks["sign"][rows], tracks["anchor"][rows], tracks["seen"][rows] = (
            sign,
            anchors / size,
            frame.monotonic,
        )
        side = tracks["side"][rows]
        clear = np.abs(distance) > MARGIN * longer
        beyond = np.where((side != 0) & (sign != side), tracks["beyond"][rows] + 1, 0)
        enough = np.where(np.abs(distance) > DEEP * longer, min(2, self.params.inertia), self.params.inertia)
        tracks["frames"][rows] += 1
        over = clear & (beyond >= enough) & (beyond > 0) & (tracks["frames"][rows] >= self.params.inertia)
        crossed = over & tracks["through"][rows]
        tracks["side"][rows] = np.where(over | (clear & (side == 0)), sign, side)
        tracks["beyond"][rows] = np.where(over, 0, beyond)
        tracks["crossings"][rows] += crossed
        observations = []
        for k in np.flatnonzero(crossed).tolist():
            direction = "left-to-right" if sign[k] > 0 else "right-to-left"
            self._counts[direction] += 1
            if self.params.direction in ("any", direction):
                key = f"track/{ids[k]}/crossing-{tracks['crossings'][rows[k]]}"
                observations.append(observe(frame, objects, k, key, {"direction": direction}))
        self._tracks.keep(frame.monotonic - tracks["seen"] <= FORGET_S)
        return Findings(objects, tuple(observations), self._measures())

    def _measures(self) -> dict[str, float]:
        return {name.replace("-", "_"): float(count) for name, count in self._counts.items()}


def _between_ends(before: F64, after: F64, start: F64, end: F64) -> Mask:
    """Whether each straight way, which passes the endless line, passes it between its ends."""
    here, there = side_of_line(before, start, end), side_of_line(after, start, end)
    apart = here - there
    share = np.divide(here, apart, out=np.zeros(len(here)), where=apart != 0)
    meets = before + (after - before) * share[:, None]
    along = (meets - start) @ (end - start) / ((end - start) @ (end - start))
    between: Mask = (along >= 0) & (along <= 1)
    return between
