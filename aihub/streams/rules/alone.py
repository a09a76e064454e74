"""Rule `alone`: one person, and nobody else, where two should be."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import Inertia, Region, Seconds, Streak, Zone, detections_of, observe, relative
from aihub.types import AnyResult, Findings, Frame, Predictor


class AloneParams(StageParams):
    """Where, and for how long."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    dwell: Seconds = Field(60.0, description="Seconds for which somebody is alone.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames with one person before the clock starts.")  # fmt: skip


class Alone(Stage[AloneParams]):
    """An observation `zone` about the only person in the zone, after `dwell` seconds; `alone_s` in data and measures.

    A second person stops the clock only when seen for `inertia` frames in a row, and so does an empty zone.
    """

    name = "alone"
    stateful = True

    def __init__(self, params: AloneParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._alone = Streak(params.inertia)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        people, now = detections_of(found, self.name), frame.monotonic
        inside = np.flatnonzero(self._region.holds(relative(frame, people.xyxy)))
        holds = self._alone.update(now, holds=len(inside) == 1)
        alone = now - self._alone.since if holds else 0.0
        measures = {"count": float(len(inside)), "alone_s": alone}
        if not holds or not self._alone.held(now, self.params.dwell):
            return Findings(people[inside], measures=measures)
        one = observe(frame, people, int(inside[0]), "zone", {"alone_s": round(alone, 2)})
        return Findings(people[inside], (one,), measures)
