"""`change-point`: moments at which the level of a series changes for good.

PELT of Killick, Fearnhead and Eckley (2012) with the cost of a changed mean, which finds the best set of changes exactly. The
penalty for one more is that of the Bayesian information criterion, times what noise that remembers makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.numbers.even import Even, even
from aihub.algorithms.numbers.seasons import profile, season_lengths
from aihub.algorithms.reading import SeriesStage
from aihub.types import AnyResult, Points, Series

F64 = npt.NDArray[np.float64]

_LEAST = 8


class ChangeParams(StageParams):
    """Settings of `change-point`."""

    penalty: float = Field(
        3.0, ge=0.5, le=100, description="Price of one more change, in log n variances of the noise."
    )
    shortest: int = Field(5, ge=2, le=1000, description="Steps between two changes, at least.")
    season: float = Field(-1.0, ge=-1, description="Rhythm to take off first, seconds; 0 looks for it, -1 takes none.")  # fmt: skip


class ChangePoint(SeriesStage[ChangeParams]):
    """Finds all changes of the mean at once, not one after the other."""

    name = "change-point"

    def study(self, series: Series, found: AnyResult | None) -> Points:  # noqa: ARG002 - a first stage
        """Points labelled `change`: the first moment of a new level, the level as value, within two standard errors.

        Their score is 1 - 1/2^k for a gain of k prices. Measures: `changes`, `largest_shift`, `noise` (standard deviation).
        """
        grid = even(series)
        if len(grid) < max(_LEAST, 2 * self.params.shortest):
            return Points.of([], {"changes": 0.0})
        values = self._without_rhythm(grid)
        noise = noise_of(values)
        size = noise.size
        if size == 0:
            size = float(values.std())
        if size == 0:
            return Points.of([], {"changes": 0.0, "noise": 0.0})
        scaled = (values - values.mean()) / size
        price = self.params.penalty * float(np.log(len(scaled))) * noise.inflation
        edges = [0, *changes(scaled, price, self.params.shortest), len(scaled)]
        levels = [float(values[a:b].mean()) for a, b in pairwise(edges)]
        rows = []
        for index in range(1, len(edges) - 1):
            left, here, right = edges[index - 1 : index + 2]
            error = 2 * size * (noise.inflation / (right - here)) ** 0.5
            gain = _cost(scaled[left:right]) - _cost(scaled[left:here]) - _cost(scaled[here:right])
            score = 1 - 0.5 ** max(gain / price, 0.0)
            level = levels[index]
            rows.append((grid.at(here), level, level - error, level + error, "change", score))
        shifts = np.abs(np.diff(levels))
        largest = float(shifts.max()) if len(shifts) else 0.0
        return Points.of(
            rows, {"changes": float(len(rows)), "largest_shift": largest, "noise": float(noise.size)}
        )

    def _without_rhythm(self, grid: Even) -> F64:
        values = grid.values
        if self.params.season < 0:
            return values
        for length in season_lengths(grid, self.params.season):
            values = values - profile(values - values.mean(), length)[np.arange(len(values)) % length]
        return values


@dataclass(frozen=True, slots=True)
class Noise:
    """What a series does besides changing its level.

    Attributes:
        size: standard deviation.
        inflation: how much more the mean of noise that remembers scatters than that of noise that does not, >= 1.
    """

    size: float
    inflation: float


def noise_of(values: F64) -> Noise:
    """From differences, which a few changes of level hardly touch: those of neighbours, and those of next but one.

    For noise that keeps a share r of itself the second have 1 + r times the variance of the first.
    """
    one, two = (_variance(values[lag:] - values[:-lag]) / 2 for lag in (1, 2))
    if one == 0:
        return Noise(0.0, 1.0)
    keep = float(np.clip(two / one - 1, 0.0, 0.9))
    return Noise(float((one / (1 - keep)) ** 0.5), (1 + keep) / (1 - keep))


def _variance(differences: F64) -> float:
    return float((1.4826 * np.median(np.abs(differences))) ** 2) if len(differences) else 0.0


def _cost(values: F64) -> float:
    return float(((values - values.mean()) ** 2).sum())


def changes(values: F64, price: float, shortest: int) -> list[int]:
    """Where new levels begin, so that squared distances from the levels plus a price a change are least.

    Args:
        values: `(n,)`, noise of about 1.
        price: of one more change, > 0.
        shortest: steps that a level lasts at least.
    """
    n = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    squares = np.concatenate([[0.0], np.cumsum(values**2)])
    best = np.full(n + 1, np.inf)
    best[0] = -price
    before = np.zeros(n + 1, np.int64)
    starts = np.zeros(0, np.int64)
    for end in range(shortest, n + 1):
        fresh = end - shortest
        if fresh == 0 or fresh >= shortest:
            starts = np.append(starts, fresh)
        totals = sums[end] - sums[starts]
        fit = best[starts] + squares[end] - squares[starts] - totals**2 / (end - starts)
        choice = int(np.argmin(fit))
        best[end] = fit[choice] + price
        before[end] = starts[choice]
        # What cannot win now with the price added never will.
        starts = starts[fit <= best[end]]
    found: list[int] = []
    end = n
    while before[end] > 0:
        end = int(before[end])
        found.append(end)
    return found[::-1]
