"""`hysteresis`: when a value goes over a mark, and when it is safely back. Ripples around the mark are one crossing."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.reading import SeriesStage
from aihub.types import AnyResult, Points, Series


class HysteresisParams(StageParams):
    """Settings of `hysteresis`."""

    mark: float = Field(description="Value at which it is over.")
    margin: float = Field(0.0, ge=0, description="How far it must come back from the mark to be back.")
    side: Literal["above", "below"] = Field("above", description="On which side of the mark is over.")
    least: float = Field(0.0, ge=0, description="Seconds that it must be over to count.")


class Hysteresis(SeriesStage[HysteresisParams]):
    """A Schmitt trigger over measured values."""

    name = "hysteresis"

    def study(self, series: Series, found: AnyResult | None) -> Points:  # noqa: ARG002 - a first stage
        """Two points a stretch: `over` where it begins, with the most extreme value of the stretch, and `back` where it ends.

        A stretch that lasts to the end of the series has no `back`. `low` and `high` are the two marks. Measures: `stretches`,
        `over_s`, `longest_s`, and `over` (1 while the last stretch lasts).
        """
        known = np.isfinite(series.values)
        at, values = series.at[known], series.values[known]
        sign = 1.0 if self.params.side == "above" else -1.0
        height = sign * (values - self.params.mark)
        decided = np.where(height >= 0, 1, np.where(height < -self.params.margin, 0, -1))
        if self.params.margin == 0:
            decided = (height >= 0).astype(np.int64)
        last = np.maximum.accumulate(np.where(decided >= 0, np.arange(len(values)), -1))
        over = np.where(last >= 0, decided[last], 0) == 1
        edges = np.flatnonzero(np.diff(np.concatenate([[False], over, [False]]).astype(np.int8)))
        low, high = sorted((self.params.mark, self.params.mark - sign * self.params.margin))
        rows: list[tuple[float, float, float, float, str, float]] = []
        lasts: list[float] = []
        live = False
        for first, after in edges.reshape(-1, 2).tolist():
            ended = after < len(values)
            until = float(at[after] if ended else at[-1])
            if until - at[first] < self.params.least:
                continue
            peak = float(values[first + int(np.argmax(height[first:after]))])
            rows.append((float(at[first]), peak, low, high, "over", 1.0))
            if ended:
                rows.append((until, float(values[after]), low, high, "back", 1.0))
            lasts.append(until - float(at[first]))
            live = not ended
        return Points.of(
            rows,
            {
                "stretches": float(len(lasts)),
                "over_s": sum(lasts),
                "longest_s": max(lasts, default=0.0),
                "over": float(live),
            },
        )
