"""Ways to foretell a series, and how wrong each was on the end of the series itself.

Cleveland and others, "STL: A Seasonal-Trend Decomposition Procedure Based on Loess" (1990); Hyndman and Koehler, "Another look
at measures of forecast accuracy" (2006) for MASE. Intervals are those of what was really missed, horizon by horizon, as in split
conformal prediction: no distribution is believed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from aihub.algorithms.numbers.smoothing import smoothed_ahead

F64 = npt.NDArray[np.float64]
Ahead = dict[str, F64]

NAIVE, AR, SMOOTH, MEAN = "naive", "ar", "smooth", "mean"
ORIGINS = 10
"""Places in the series from which it is foretold to see how well that goes."""

_LAGS = 3
_AR_LONGEST = 1000
_ROOM = 1.0
"""How far a foretold level may leave the range of the last values, in sizes of that range."""


def naive_ahead(values: F64, horizon: int, seasons: Sequence[int]) -> F64:
    """The last season again; the last value again where there is none."""
    length = max([length for length in seasons if length <= len(values)], default=1)
    return np.resize(values[-length:], horizon)


def all_ahead(values: F64, horizon: int, seasons: Sequence[int]) -> Ahead:
    """What every way foretells, `(horizon,)` each; only the naive one for what is too short.

    Args:
        values: `(n,)` without holes, at least 1.
        horizon: steps ahead.
        seasons: lengths of the rhythms in steps, short before long.
    """
    ways = {NAIVE: naive_ahead(values, horizon, seasons)}
    if len(values) < max(8, 2 * max(seasons, default=0)) or np.ptp(values) == 0:
        return ways
    level, rhythm = without_seasons(values, seasons, horizon)
    recent = level[-max(50, 2 * max(seasons, default=0)) :]
    room = _ROOM * float(np.ptp(recent))
    low, high = float(recent.min()) - room, float(recent.max()) + room
    ways[AR] = np.clip(_ar_ahead(level, horizon), low, high) + rhythm
    ways[SMOOTH] = np.clip(smoothed_ahead(level, horizon), low, high) + rhythm
    ways[MEAN] = (ways[AR] + ways[SMOOTH]) / 2
    return ways


def without_seasons(values: F64, seasons: Sequence[int], horizon: int) -> tuple[F64, F64]:
    """The series without its rhythms, `(n,)`, and the rhythms to come, `(horizon,)`."""
    level, rhythm = values, np.zeros(horizon)
    for length in seasons:
        if length > len(values) // 2:
            continue
        seasonal = _seasonal(level, length)
        level = level - seasonal
        rhythm = rhythm + np.resize(seasonal[-length:], horizon)
    return level, rhythm


def _seasonal(values: F64, length: int) -> F64:
    # Imported here: it takes a second, and cards are listed without it.
    decompose: Any = import_module("statsmodels.tsa.seasonal").STL

    jump = max(1, length // 10)
    made = decompose(
        values, period=length, seasonal=13, robust=False, seasonal_jump=jump, trend_jump=jump,
        low_pass_jump=jump,
    ).fit()  # fmt: skip
    return np.asarray(made.seasonal, np.float64)


def _ar_ahead(values: F64, horizon: int) -> F64:
    """By an autoregression of the last values on those before, with a mean that it returns to; least squares."""
    recent = values[-_AR_LONGEST:]
    mean, size = float(recent.mean()), float(recent.std())
    if size == 0:
        return np.full(horizon, mean)
    scaled = (recent - mean) / size
    rows = np.lib.stride_tricks.sliding_window_view(scaled, _LAGS + 1)
    weights = np.linalg.lstsq(rows[:, :-1], rows[:, -1], rcond=None)[0]
    past = scaled[-_LAGS:].tolist()
    for _ in range(horizon):
        past.append(float(np.clip(np.dot(weights, past[-_LAGS:]), -50, 50)))
    return mean + size * np.array(past[_LAGS:])


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """How the ways did when the end of the series was foretold from several places before it.

    Attributes:
        errors: of each way, `(origins, horizon)` float64, NaN beyond the end.
        independent: horizons that fit between the first and the last place.
        steps: mean absolute change from one season to the next, what MASE measures against; 0 where nothing changes.
    """

    errors: Mapping[str, F64]
    steps: float
    independent: float = 1.0

    def best(self) -> str:
        """The way that missed least."""
        if not self.errors:
            return NAIVE
        return min(self.errors, key=lambda way: float(np.nanmean(np.abs(self.errors[way]))))

    def mase(self, way: str) -> float | None:
        """Mean absolute scaled error; below 1 is better than the season before. None where it has no meaning."""
        if way not in self.errors or not self.steps > 0:
            return None
        return float(np.nanmean(np.abs(self.errors[way]))) / self.steps


def tried(values: F64, horizon: int, seasons: Sequence[int]) -> Trial:
    """Foretell the end of a series from places before it. Ways that cannot be used everywhere are left out."""
    n, longest = len(values), max(seasons, default=1)
    reach = min(horizon, max(1, n // 4))
    first = max(2 * longest, n // 3, 4)
    last = n - 1
    if n - first < reach:  # too short for every way; the season before needs only one season
        first = max(longest, 2)
    if first > last:
        return Trial({}, 0.0)
    # The last origin sees at least part of the horizon; the first leaves enough to learn from.
    latest = max(first, n - max(1, reach // 2))
    origins = np.unique(np.linspace(first, min(latest, last), ORIGINS).astype(int)).tolist()
    found: list[Ahead] = []
    for origin in origins:
        real = values[origin : origin + reach]
        ways = all_ahead(values[:origin], len(real), seasons)
        found.append({way: _padded(real - ahead, horizon) for way, ahead in ways.items()})
    common = set.intersection(*(set(one) for one in found))
    errors = {way: np.stack([one[way] for one in found]) for way in sorted(common)}
    lag = longest if longest < n else 1
    changes = float(np.abs(values[lag:] - values[:-lag]).mean())
    return Trial(errors, changes, max(1.0, (n - first) / reach))


def _padded(errors: F64, horizon: int) -> F64:
    whole = np.full(horizon, np.nan)
    whole[: len(errors)] = errors
    return whole


def widths(trial: Trial, way: str, level: float, rows: slice = slice(None)) -> F64:
    """Half widths of intervals that hold a share `level` of such errors, `(horizon,)`, never falling; NaN without errors.

    The share is counted over all errors in units of their usual size at that horizon. Errors from places that are close to
    each other are much the same, so there are fewer of them than it seems: what they say of the rare ones is stretched as
    Student's t stretches a normal one.

    Args:
        trial: how it went.
        way: which one.
        level: in (0, 1).
        rows: places that count.
    """
    from scipy.special import ndtri, stdtrit  # here: it is slow to import

    errors = trial.errors[way][rows]
    seen = np.isfinite(errors)
    if not seen.any():
        return np.full(errors.shape[1], np.nan)
    size = _sizes(errors, seen)
    if not size.max() > 0:
        return np.zeros(len(size))
    size = np.maximum(size, size.max() * 1e-9)
    units = np.abs(errors / size)[seen]
    free = max(2.0, 1.5 * trial.independent * len(errors) / len(trial.errors[way]))
    stretch = float(stdtrit(free, (1 + level) / 2) / ndtri((1 + level) / 2))
    half: F64 = size * float(np.quantile(units, level)) * stretch
    return half


def _sizes(errors: F64, seen: npt.NDArray[np.bool_]) -> F64:
    """Root mean square of the errors at each horizon, never falling; beyond what was seen it grows as the root of the horizon."""
    from scipy.optimize import isotonic_regression  # here: it is slow to import

    counts = seen.sum(axis=0)
    have = np.flatnonzero(counts)
    squares = (np.where(seen, errors, 0.0) ** 2).sum(axis=0)[have] / counts[have]
    rising = isotonic_regression(squares, weights=counts[have].astype(np.float64)).x
    steps = np.arange(errors.shape[1], dtype=np.float64)
    beyond = np.maximum((steps + 1) / (have[-1] + 1), 1.0)
    size: F64 = np.sqrt(np.interp(steps, have, rising) * beyond)
    return size


def coverage(trial: Trial, way: str, level: float) -> float | None:
    """Share of errors within intervals made of the errors from all places before; None with less than four places."""
    errors = trial.errors[way]
    inside: list[npt.NDArray[np.bool_]] = []
    for row in range(3, len(errors)):
        seen = np.isfinite(errors[row])
        inside.append(np.abs(errors[row])[seen] <= widths(trial, way, level, slice(row))[seen] * (1 + 1e-9))
    return float(np.concatenate(inside).mean()) if inside else None
