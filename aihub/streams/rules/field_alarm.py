"""Rule `field-alarm`: something was read out of the picture by name: a number, a date that is over, a level."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field as Setting

from aihub.algorithms.base import Stage, StageParams
from aihub.errors import ConfigError
from aihub.streams.rules.content import key_of
from aihub.streams.ruling import Box, Inertia, Streak, hull, kind_of, relative
from aihub.types import AnyResult, Field, Fields, Findings, Frame, Observation, Predictor

MOST = 100
"""Fields that one frame may raise something about."""


class FieldAlarmParams(StageParams):
    """Which fields count."""

    names: tuple[str, ...] = Setting((), max_length=100, description="Names of fields; none takes all.")
    only: Literal["all", "valid", "invalid"] = Setting(
        "all", description="All; those whose check does not fail; or those whose check fails."
    )
    inertia: Inertia = Setting(2, description="Consecutive analysed frames with the same value.")


class FieldAlarm(Stage[FieldAlarmParams]):
    """An observation `field/NAME/VALUE` each. `found` is all that was read; `count` is how many fields count."""

    name = "field-alarm"
    stateful = True

    def __init__(self, params: FieldAlarmParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._streaks: dict[str, Streak] = {}

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the stage before gave no fields.
        """
        if not isinstance(found, Fields):
            raise ConfigError(f"rule {self.name!r} needs fields, but was given {kind_of(found)}")
        seen = {key_of("field/", f"{one.name}/{one.value}"): one for one in found.fields if self._counts(one)}
        held = dict(list(seen.items())[:MOST])
        observations = []
        for key in [*held, *(key for key in self._streaks if key not in held)]:
            streak = self._streaks.setdefault(key, Streak(self.params.inertia))
            if streak.update(frame.monotonic, holds=key in held):
                observations.append(_observation(frame, key, held[key]))
            if streak.idle:
                del self._streaks[key]
        return Findings(found, tuple(observations), {"count": float(len(seen))})

    def _counts(self, one: Field) -> bool:
        if self.params.names and one.name not in self.params.names:
            return False
        return self.params.only == "all" or (one.valid is not False) == (self.params.only == "valid")


def _observation(frame: Frame, key: str, one: Field) -> Observation:
    data = {"name": one.name, "value": one.value[:512], "valid": one.valid}
    return Observation(key, one.name, one.confidence, box_of_field(frame, one), data)


def box_of_field(frame: Frame, one: Field) -> Box | None:
    """Where a field stands, relative to the picture; None where nobody said."""
    if one.quad is None:
        return None
    corners = np.array(one.quad, np.float64)
    around = np.concatenate([corners.min(axis=0), corners.max(axis=0)])[None]
    return hull(relative(frame, around))
