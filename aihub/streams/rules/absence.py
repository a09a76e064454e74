"""Rule `absence`: nobody is where somebody should be."""

from __future__ import annotations

from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import (
    OUTAGE_S,
    Inertia,
    Region,
    Seconds,
    Streak,
    Zone,
    detections_of,
    reached,
    relative,
)
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor


class AbsenceParams(StageParams):
    """Where, and for how long."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    dwell: Seconds = Field(60.0, description="Seconds without anybody in the zone.")
    inertia: Inertia = Field(
        3, description="Consecutive analysed frames with somebody in it that end the absence."
    )
    label: str = Field("absence", min_length=1, max_length=64, description="What the observation is called.")


class Absence(Stage[AbsenceParams]):
    """An observation `zone` while nobody is in the zone and nobody was for `dwell` seconds; `absent_s` in data and measures.

    The clock starts with the first frame. A false detection of less than `inertia` frames does not set it back, but no
    absence is reported on a frame that shows somebody.
    """

    name = "absence"
    stateful = True

    def __init__(self, params: AbsenceParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._somebody = Streak(params.inertia)
        self._since: float | None = None
        self._last = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        here = objects[self._region.holds(relative(frame, objects.xyxy))]
        if self._since is None or now - self._last > OUTAGE_S:
            self._since = now
        self._last = now
        if self._somebody.update(now, holds=len(here) > 0):
            self._since = now
        absent = now - self._since
        measures = {"count": float(len(here)), "absent_s": absent}
        if len(here) or not reached(absent, self.params.dwell):
            return Findings(here, measures=measures)
        data = {"absent_s": round(absent, 2)}
        return Findings(
            here, (Observation("zone", self.params.label, 1.0, self._region.box, data),), measures
        )
