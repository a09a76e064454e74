"""Rule `presence`: something was found anywhere in the picture."""

from __future__ import annotations

from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import Inertia, Streak, detections_of, observe
from aihub.types import AnyResult, Findings, Frame, Predictor


class PresenceParams(StageParams):
    """When something counts as present."""

    inertia: Inertia = Field(3, description="Consecutive analysed frames with something in them.")


class Presence(Stage[PresenceParams]):
    """One observation, `picture`, about the most confident object while any is there; `count` in its data."""

    name = "presence"
    stateful = True

    def __init__(self, params: PresenceParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._streak = Streak(params.inertia)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        seen = detections_of(found, self.name)
        measures = {"count": float(len(seen))}
        if not self._streak.update(frame.monotonic, holds=len(seen) > 0):
            return Findings(seen, measures=measures)
        surest = int(seen.confidence.argmax())
        return Findings(seen, (observe(frame, seen, surest, "picture", {"count": len(seen)}),), measures)
