"""Rule `count`: how many are in a zone, and whether that is too many."""

from __future__ import annotations

from collections import Counter, deque
from statistics import median_low

from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import OUTAGE_S, Inertia, Region, Zone, detections_of, relative
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor


class CountParams(StageParams):
    """Where, and from how many on."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    threshold: int = Field(0, ge=0, le=100_000, description="Objects from which it counts; 0: only measure.")
    inertia: Inertia = Field(3, description="Analysed frames whose median is the count.")


class Count(Stage[CountParams]):
    """Measures `count` (median of the last `inertia` frames) and `raw` (this frame).

    An observation `zone` while both are at the threshold or above.
    """

    name = "count"
    stateful = True

    def __init__(self, params: CountParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._window: deque[int] = deque(maxlen=params.inertia)
        self._last = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects = detections_of(found, self.name)
        here = objects[self._region.holds(relative(frame, objects.xyxy))]
        if frame.monotonic - self._last > OUTAGE_S:
            self._window.clear()
        self._last = frame.monotonic
        self._window.append(len(here))
        count = median_low(self._window)
        measures = {"count": float(count), "raw": float(len(here))}
        threshold = self.params.threshold
        if not threshold or len(self._window) < self.params.inertia or min(count, len(here)) < threshold:
            return Findings(here, measures=measures)
        label = Counter(here.names()).most_common(1)[0][0]
        confidence = float(here.confidence.mean())
        data = {"count": count, "threshold": threshold}
        return Findings(here, (Observation("zone", label, confidence, self._region.box, data),), measures)
