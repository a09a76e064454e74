"""`forecast`: what comes next in a series, always with an interval, and how well that would have gone on its own end."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.numbers.even import Even, even
from aihub.algorithms.numbers.foretelling import NAIVE, all_ahead, coverage, tried, widths
from aihub.algorithms.numbers.seasons import season_lengths
from aihub.algorithms.reading import SeriesStage
from aihub.types import AnyResult, Points, Series

F64 = npt.NDArray[np.float64]


SHORTEST, SEASONS = 500, 6
"""Steps, and seasons, at the end of a series that are learned from; older ones only cost time."""


class ForecastParams(StageParams):
    """Settings of `forecast`."""

    horizon: int = Field(24, ge=1, le=1000, description="Steps ahead.")
    level: float = Field(
        0.9, ge=0.5, le=0.99, description="Share of real values that the interval shall hold."
    )
    season: float = Field(0.0, ge=0, description="Length of the rhythm, seconds; 0 looks for it.")
    scale: Literal["plain", "log"] = Field(
        "plain", description="`log` for what grows by shares of itself: counts of the ill, say."
    )
    nonnegative: bool = Field(False, description="Whether values below 0 are impossible.")


class Forecast(SeriesStage[ForecastParams]):
    """STL takes the rhythms off, an autoregression and a smoothed level go on, and the one that did best on the end of the series is used."""

    name = "forecast"

    @classmethod
    def unavailable(cls) -> str:
        """That statsmodels is not installed."""
        if importlib.util.find_spec("statsmodels") is None:
            return "statsmodels is not installed: pip install 'aihub[forecast]'"
        return ""

    def study(self, series: Series, found: AnyResult | None) -> Points:  # noqa: ARG002 - a first stage
        """Points labelled `forecast`, one a step; their score is the level of the interval.

        Measures: `mase` (below 1: better than the season before) and `coverage` on the end of the series, `season_s` of the
        longest rhythm (0 for none), `history` in steps, `missing_share`, `naive` (1 where the last season is simply repeated).
        What is too short for a trial has bounds that are null, and the last season or value again.
        """
        grid = self._bent(even(series))
        if not len(grid):
            return Points.of([], {"history": 0.0})
        seasons = season_lengths(grid, self.params.season)
        recent = max(SHORTEST, SEASONS * max(seasons, default=0))
        values = grid.values[-recent:]
        trial = tried(values, self.params.horizon, seasons)
        way = trial.best()
        ways = all_ahead(values, self.params.horizon, seasons)
        way = way if way in ways else NAIVE
        half = np.full(self.params.horizon, np.nan)
        if way in trial.errors:
            half = widths(trial, way, self.params.level)
        middle = ways[way]
        measures = {
            "history": float(len(grid)),
            "missing_share": grid.missing_share,
            "season_s": max(seasons, default=0) * grid.step_s,
            "naive": float(way == NAIVE),
        }
        if (mase := trial.mase(way)) is not None:
            measures["mase"] = mase
        held = coverage(trial, way, self.params.level) if way in trial.errors else None
        if held is not None:
            measures["coverage"] = held
        return self._points(grid, middle, half, measures)

    def _points(self, grid: Even, middle: F64, half: F64, measures: dict[str, float]) -> Points:
        count = self.params.horizon
        at = grid.start + grid.step_s * np.arange(len(grid), len(grid) + count, dtype=np.float64)
        value, low, high = (self._straight(one) for one in (middle, middle - half, middle + half))
        score = np.full(count, self.params.level)
        return Points(at, value, low, high, ("forecast",) * count, score, measures)

    def _bent(self, grid: Even) -> Even:
        """On the scale that is worked on. With `log` what is below 0 counts as 0."""
        if self.params.scale == "plain":
            return grid
        return replace(grid, values=np.log1p(np.maximum(grid.values, 0.0)))

    def _straight(self, values: F64) -> F64:
        """Back on the scale of the series."""
        plain = np.expm1(np.minimum(values, 690.0)) if self.params.scale == "log" else values
        return np.maximum(plain, 0.0) if self.params.nonnegative or self.params.scale == "log" else plain
