"""`series-anomaly`: values far from what is usual at that time of the day or week."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.numbers.even import even
from aihub.algorithms.numbers.seasons import robust_expectation, season_lengths, spread
from aihub.algorithms.reading import SeriesStage
from aihub.types import AnyResult, Points, Series

F64 = npt.NDArray[np.float64]

_BINS, _A_BIN = 6, 40
"""Heights at which scatter is told apart, and values that each needs."""

_LEAST = 8
"""Values below which nothing is called unusual."""


class AnomalyParams(StageParams):
    """Settings of `series-anomaly`."""

    threshold: float = Field(5.0, ge=2, le=50, description="Deviations from usual that are unusual.")
    season: float = Field(0.0, ge=0, description="Length of the rhythm, seconds; 0 looks for it.")
    resolution: float = Field(
        0.0, ge=0, description="Smallest step of the values: less than this is never unusual."
    )


class SeriesAnomaly(SeriesStage[AnomalyParams]):
    """What is usual is a running median and the median by phase; how much it scatters is the median deviation from it."""

    name = "series-anomaly"

    def study(self, series: Series, found: AnyResult | None) -> Points:  # noqa: ARG002 - a first stage
        """Points labelled `anomaly`, with the bounds of what is usual. Their score grows from 0.5 with the distance.

        Values that were never measured are none. Measures: `anomalies`, `scatter` (standard deviation without outliers),
        `season_s` (0 for none), `largest` in deviations.
        """
        grid = even(series)
        if len(grid) < _LEAST:
            return Points.of([], {"anomalies": 0.0})
        seasons = season_lengths(grid, self.params.season)
        length = max(seasons, default=0)
        usual = robust_expectation(grid.values, length)
        left = grid.values - usual
        scatter = np.maximum(_scatter(left, usual, grid.measured), self.params.resolution / 2)
        far = np.abs(left) / np.maximum(scatter, 1e-300)
        far[~grid.measured | (left == 0)] = 0.0
        far = np.minimum(far, 1e9)
        hits = np.flatnonzero(far > self.params.threshold)
        room = self.params.threshold * scatter[hits]
        score = np.clip(1 - 0.5 * self.params.threshold / np.maximum(far[hits], 1e-12), 0, 1)
        measures = {
            "anomalies": float(len(hits)),
            "scatter": float(np.median(scatter)),
            "season_s": length * grid.step_s,
            "largest": float(far.max()),
        }
        at = grid.start + grid.step_s * hits.astype(np.float64)
        expected = usual[hits]
        return Points(
            at, grid.values[hits], expected - room, expected + room, ("anomaly",) * len(hits), score, measures
        )


def _scatter(left: F64, usual: F64, measured: npt.NDArray[np.bool_]) -> F64:
    """How much values scatter around what is usual, `(n,)`: counts scatter more where they are high, so by the height of what is usual."""
    known, height = left[measured], usual[measured]
    overall = spread(known) or float(np.abs(known).mean())
    bins = min(_BINS, len(known) // _A_BIN)
    if bins < 2:
        return np.full(len(left), overall)
    parts = np.array_split(np.argsort(height, kind="stable"), bins)
    middles = np.array([np.median(height[part]) for part in parts])
    sizes = np.array([spread(known[part]) for part in parts])
    # Where values hardly ever differ from usual, the smallest difference is not yet unusual.
    scatter: F64 = np.maximum(np.interp(usual, middles, sizes), 0.2 * overall)
    return scatter
