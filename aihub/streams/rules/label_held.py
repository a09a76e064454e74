"""Rule `label-held`: a picture has been called the same for some time (a signal that shows red for ever, or nothing)."""

from __future__ import annotations

from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.errors import ConfigError
from aihub.streams.ruling import Inertia, Seconds, Streak, kind_of
from aihub.types import AnyResult, Findings, Frame, Labels, Observation, Predictor


class LabelHeldParams(StageParams):
    """Which names, for how long."""

    labels: tuple[str, ...] = Field(min_length=1, max_length=100, description="Names that count.")
    confidence: float = Field(0.5, ge=0, le=1, description="Least confidence of the name.")
    dwell: Seconds = Field(0.0, description="Seconds for which it must be the surest name.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames with it.")


class LabelHeld(Stage[LabelHeldParams]):
    """An observation `label/NAME` while NAME is the surest label and has been for `dwell` seconds.

    Measures: those of the labels, `dwell_s` of the surest label where it is one that counts.
    """

    name = "label-held"
    stateful = True

    def __init__(self, params: LabelHeldParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._streaks = {label: Streak(params.inertia) for label in params.labels}

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the stage before gave no labels.
        """
        if not isinstance(found, Labels):
            raise ConfigError(f"rule {self.name!r} needs labels, but was given {kind_of(found)}")
        now, measures = frame.monotonic, dict(found.measures)
        surest = found.label[0] if len(found) and found.confidence[0] >= self.params.confidence else ""
        observations = []
        for label, streak in self._streaks.items():
            if streak.update(now, holds=label == surest):
                measures["dwell_s"] = now - streak.since
                if streak.held(now, self.params.dwell):
                    data = {"dwell_s": round(now - streak.since, 2)}
                    observations.append(Observation(f"label/{label}", label, found.confidence[0], None, data))
        return Findings(found, tuple(observations), measures)
