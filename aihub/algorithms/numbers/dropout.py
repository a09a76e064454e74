"""`sensor-dropout`: stretches in which a sensor sent nothing, the same value all the time, or what cannot be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.reading import SeriesStage
from aihub.types import AnyResult, Points, Series

Row = tuple[float, float, float, float, str, float]


class DropoutParams(StageParams):
    """Settings of `sensor-dropout`."""

    gap: float = Field(3.0, ge=1.5, le=1e6, description="Steps without a value that are a gap.")
    stuck: float = Field(20.0, ge=2, le=1e6, description="Steps with one and the same value that are stuck.")
    least: float = Field(-1e9, description="Values below cannot be.")
    most: float = Field(1e9, description="Values above cannot be.")


class SensorDropout(SeriesStage[DropoutParams]):
    """Looks at times and at repetitions. A sensor that never changes is not stuck, as far as anybody can tell from its values."""

    name = "sensor-dropout"

    def study(self, series: Series, found: AnyResult | None) -> Points:  # noqa: ARG002 - a first stage
        """Two points a stretch: `gap` and `gap-end`, `stuck` and `stuck-end`, `impossible` and `impossible-end`.

        Measures: how many `gaps`, `stuck` and `impossible` stretches, `longest_gap_s`, `longest_stuck_s`, and `missing_share`: of
        the steps that should have had a value.
        """
        known = np.isfinite(series.values)
        at, values = series.at[known], series.values[known]
        if len(values) < 2:
            return Points.of([], {"gaps": 0.0, "stuck": 0.0, "impossible": 0.0})
        step = series.step_s
        apart = np.diff(at)
        lost = np.flatnonzero(apart > (self.params.gap + 1e-6) * step)
        rows: list[Row] = []
        for index in lost.tolist():
            rows.append(self._row(at[index] + step, np.nan, "gap"))
            rows.append(self._row(at[index + 1], values[index + 1], "gap-end"))
        still = self._stuck(at, values, step)
        wrong = _runs((values < self.params.least) | (values > self.params.most))
        for name, runs in (("stuck", still), ("impossible", wrong)):
            for first, last in runs:
                rows.append(self._row(at[first], values[first], name))
                rows.append(self._row(at[last], values[last], f"{name}-end"))
        expected = round((at[-1] - at[0]) / step) + 1 if step > 0 else len(values)
        return Points.of(
            rows,
            {
                "gaps": float(len(lost)),
                "stuck": float(len(still)),
                "impossible": float(len(wrong)),
                "longest_gap_s": float(apart[lost].max() - step) if len(lost) else 0.0,
                "longest_stuck_s": max((float(at[last] - at[first]) for first, last in still), default=0.0),
                "missing_share": max(0.0, 1 - len(values) / expected),
            },
        )

    def _row(self, at: float, value: float, name: str) -> Row:
        return float(at), float(value), np.nan, np.nan, name, 1.0

    def _stuck(
        self, at: npt.NDArray[np.float64], values: npt.NDArray[np.float64], step: float
    ) -> list[tuple[int, int]]:
        same = np.diff(values) == 0
        if same.mean() > 0.9:  # a state or a counter: standing still is what it does
            return []
        return [
            (first, last + 1)
            for first, last in _runs(same)
            if at[last + 1] - at[first] >= self.params.stuck * step * (1 - 1e-9)
        ]


def _runs(hits: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each row of hits."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hits, [False]]).astype(np.int8)))
    return [(first, after - 1) for first, after in edges.reshape(-1, 2).tolist()]
