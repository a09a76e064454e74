"""Rule `quality-alarm`: a fault of the picture that lasts."""

from __future__ import annotations

from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.errors import ConfigError
from aihub.streams.ruling import Inertia, Seconds, Streak, kind_of
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor, Quality


class QualityAlarmParams(StageParams):
    """For how long."""

    dwell: Seconds = Field(3.0, description="Seconds for which the fault must hold.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames with the fault.")
    label: str = Field("fault", min_length=1, max_length=64, description="What the observation is called.")


class QualityAlarm(Stage[QualityAlarmParams]):
    """An observation `picture` while the fault is there and has been for `dwell` seconds; the score is its confidence."""

    name = "quality-alarm"
    stateful = True

    def __init__(self, params: QualityAlarmParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._fault = Streak(params.inertia)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the stage before gave no verdict on quality.
        """
        if not isinstance(found, Quality):
            raise ConfigError(
                f"rule {self.name!r} needs a verdict on quality, but was given {kind_of(found)}"
            )
        now = frame.monotonic
        lasting = self._fault.update(now, holds=found.fault) and self._fault.held(now, self.params.dwell)
        measures = {"score": float(found.score), **found.measures}
        if not lasting:
            return Findings(found, measures=measures)
        data = {"dwell_s": round(now - self._fault.since, 2), **found.measures}
        return Findings(
            found, (Observation("picture", self.params.label, float(found.score), None, data),), measures
        )
