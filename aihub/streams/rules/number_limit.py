"""Rule `number-limit`: a number that is read from the picture goes over, or under, a limit; or is simply there."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field as Setting

from aihub.algorithms.base import Stage, StageParams
from aihub.errors import ConfigError
from aihub.streams.rules.field_alarm import box_of_field
from aihub.streams.ruling import Inertia, Seconds, Streak, kind_of
from aihub.types import AnyResult, Field, Fields, Findings, Frame, Observation, Predictor


class NumberLimitParams(StageParams):
    """Which number, and its limit."""

    field: str = Setting(min_length=1, max_length=64, description="Name of the field that has the number.")
    side: Literal["above", "below", "any"] = Setting(
        "above", description="Where it alarms: at the limit and above, at it and below, or wherever it is."
    )
    limit: float = Setting(0.0, ge=-1e9, le=1e9, description="In the number's own unit; `any` needs none.")
    dwell: Seconds = Setting(0.0, description="Seconds for which it must hold.")
    inertia: Inertia = Setting(2, description="Consecutive analysed frames with such a number.")


class NumberLimit(Stage[NumberLimitParams]):
    """One observation, `number/FIELD`, while the number is beyond its limit. The number is a measure of the field's name."""

    name = "number-limit"
    stateful = True

    def __init__(self, params: NumberLimitParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._streak = Streak(params.inertia)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the stage before gave no fields.
        """
        if not isinstance(found, Fields):
            raise ConfigError(f"rule {self.name!r} needs fields, but was given {kind_of(found)}")
        read = _number(found, self.params.field)
        holds = read is not None and self._beyond(read[1])
        lasting = self._streak.update(frame.monotonic, holds=holds)
        if read is None:
            return Findings(found)
        one, number = read
        measures = {one.name: number}
        if not lasting or not self._streak.held(frame.monotonic, self.params.dwell):
            return Findings(found, measures=measures)
        data = {"value": number} | ({} if self.params.side == "any" else {"limit": self.params.limit})
        seen = Observation(f"number/{one.name}", one.name, one.confidence, box_of_field(frame, one), data)
        return Findings(found, (seen,), measures)

    def _beyond(self, number: float) -> bool:
        if self.params.side == "any":
            return True
        return number >= self.params.limit if self.params.side == "above" else number <= self.params.limit


def _number(found: Fields, name: str) -> tuple[Field, float] | None:
    for one in found.fields:
        if one.name == name:
            try:
                number = float(one.value)
            except ValueError:
                continue
            if np.isfinite(number):
                return one, number
    return None
