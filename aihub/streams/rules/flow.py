"""Rules `flow` and `tailgating`: who goes in and out over a line, and who slips through behind somebody else."""

from __future__ import annotations

from collections import deque
from typing import Literal

from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.rules.line_crossing import LineCrossing, LineCrossingParams
from aihub.streams.ruling import WHOLE, Inertia, Line
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor

Way = Literal["left-to-right", "right-to-left"]
OTHER: dict[Way, Way] = {"left-to-right": "right-to-left", "right-to-left": "left-to-right"}
MOST_PASSAGES = 20_000
"""Passages that are remembered for the rate."""


class FlowParams(StageParams):
    """Which line, which way is in."""

    line: Line = Field(description="Start and end point, relative coordinates.")
    inward: Way = Field("left-to-right", description="Which way over the line is in.")
    window: float = Field(60.0, ge=1, le=86400, description="Seconds of which the rates tell.")
    capacity: int = Field(
        0, ge=0, le=1_000_000, description="People inside from which it counts; 0: only measure."
    )
    inertia: Inertia = Field(2, description="Analysed frames in a row beyond the line.")


class Flow(Stage[FlowParams]):
    """Measures `in` and `out` since the start, `inside` (their difference, never below 0), `in_per_min` and `out_per_min`.

    An observation `line` while `inside` is at the capacity or above. Nobody is known who was inside before the start.
    """

    name = "flow"
    stateful = True

    def __init__(self, params: FlowParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        crossing = LineCrossingParams(line=params.line, direction="any", inertia=params.inertia)
        self._crossing = LineCrossing(crossing, predictor)
        self._passages: deque[tuple[float, bool]] = deque(maxlen=MOST_PASSAGES)
        self._inside = 0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        over, now = self._crossing.process(frame, found), frame.monotonic
        for one in over.observations:
            inward = one.data["direction"] == self.params.inward
            self._passages.append((now, inward))
            self._inside = max(self._inside + (1 if inward else -1), 0)
        while self._passages and now - self._passages[0][0] > self.params.window:
            self._passages.popleft()
        recent = sum(inward for _, inward in self._passages)
        a_minute = 60 / self.params.window
        inward_count = over.measures[self.params.inward.replace("-", "_")]
        measures = {
            "in": inward_count,
            "out": over.measures[OTHER[self.params.inward].replace("-", "_")],
            "inside": float(self._inside),
            "in_per_min": recent * a_minute,
            "out_per_min": (len(self._passages) - recent) * a_minute,
        }
        if not self.params.capacity or self._inside < self.params.capacity:
            return Findings(over.found, measures=measures)
        data = {"inside": self._inside, "capacity": self.params.capacity}
        return Findings(over.found, (Observation("line", "inside", 1.0, WHOLE, data),), measures)


class TailgatingParams(StageParams):
    """Which line, which way, how close behind."""

    line: Line = Field(description="Start and end point, relative coordinates.")
    direction: Literal["any", "left-to-right", "right-to-left"] = Field(
        "any", description="Which way counts."
    )
    within: float = Field(2.0, gt=0, le=600, description="Seconds behind the one before, or less.")
    inertia: Inertia = Field(2, description="Analysed frames in a row beyond the line.")


class Tailgating(Stage[TailgatingParams]):
    """An observation `track/ID/crossing-N` for whoever goes over the line within `within` seconds of the one before, the same way.

    `gap_s` in data. Measures: `passages` the way that counts, `followers` among them.
    """

    name = "tailgating"
    stateful = True

    def __init__(self, params: TailgatingParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        crossing = LineCrossingParams(line=params.line, direction=params.direction, inertia=params.inertia)
        self._crossing = LineCrossing(crossing, predictor)
        self._before: dict[str, float] = {}
        self._passages = self._followers = 0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        over, now = self._crossing.process(frame, found), frame.monotonic
        followers = []
        for one in over.observations:
            self._passages += 1
            before, self._before[one.data["direction"]] = self._before.get(one.data["direction"]), now
            if before is not None and 0 <= now - before <= self.params.within:
                self._followers += 1
                data = {**one.data, "gap_s": round(now - before, 2)}
                followers.append(Observation(one.key, one.label, one.confidence, one.box, data))
        measures = {"passages": float(self._passages), "followers": float(self._followers)}
        return Findings(over.found, tuple(followers), measures)
