"""A series on an even grid of times: what almost every method for series stands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aihub.types import Series

F64 = npt.NDArray[np.float64]

LONGEST = 4096
"""Steps that are looked at, counted from the end: bounds time and memory whatever is sent."""


@dataclass(frozen=True, slots=True, eq=False)
class Even:
    """Values that follow each other evenly.

    Attributes:
        start: time of the first step, seconds since the epoch.
        step_s: seconds between two steps, > 0.
        values: `(n,)` float64 without holes.
        measured: `(n,)` bool; False where nothing was measured and the value is drawn between its neighbours.
    """

    start: float
    step_s: float
    values: F64
    measured: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)

    def at(self, index: int) -> float:
        """Time of a step; those before and after the series too."""
        return self.start + self.step_s * index

    @property
    def missing_share(self) -> float:
        """Share of steps where nothing was measured, in [0, 1]."""
        return float(1 - self.measured.mean()) if len(self) else 0.0


def even(series: Series, longest: int = LONGEST) -> Even:
    """The last `longest` steps of a series, evenly: several values in one step are averaged, holes are filled in a straight line.

    Empty where nothing was measured.
    """
    known = np.isfinite(series.values)
    at, values = series.at[known], series.values[known]
    step = series.step_s
    if not len(at) or step <= 0:
        return Even(0.0, 1.0, np.zeros(0), np.zeros(0, np.bool_))
    back = np.round((at[-1] - at) / step)
    recent = back < longest
    place = back[recent].max() - back[recent]
    index = place.astype(np.int64)
    size = int(index[-1]) + 1
    counts = np.bincount(index, minlength=size)
    sums = np.bincount(index, weights=values[recent], minlength=size)
    measured = counts > 0
    steps = np.arange(size)
    filled = np.interp(steps, steps[measured], sums[measured] / counts[measured])
    return Even(float(at[-1] - step * (size - 1)), float(step), filled, measured)
