"""How long the rhythms of a series are, and what is left of it without them. NumPy and SciPy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aihub.algorithms.numbers.even import Even

F64 = npt.NDArray[np.float64]

CALENDAR_S = (3600.0, 86400.0, 604_800.0, 31_557_600.0)
"""Hour, day, week and year: rhythms that people and weather have."""

STRONG = 0.15
"""Share of the variance that a rhythm must explain, after allowing for its degrees of freedom."""

ALIKE = 0.05
"""Difference of such shares that says nothing."""

REPEATS = 2
"""Times that a rhythm must have been seen whole."""

ECHOES = 4
"""The same for a rhythm that no calendar knows."""


def season_lengths(series: Even, given_s: float = 0.0) -> tuple[int, ...]:
    """Lengths of the rhythms in steps, short before long; none, one or two.

    Args:
        series: see `even`.
        given_s: seconds of the rhythm where it is known; 0 looks for it among hour, day, week, year and the strongest echo.
    """
    steps, n = series.step_s, len(series)
    if given_s > 0:
        length = round(given_s / steps)
        return (length,) if 2 <= length <= n // REPEATS else ()
    around = series.values - _trend(series.values, max(3, n // 6))
    candidates = {round(s / steps) for s in CALENDAR_S if abs(s / steps - round(s / steps)) < 0.02}
    echo = _echo(around)
    if all(abs(echo - known) > 0.04 * known for known in candidates):
        candidates.add(echo)
    possible = sorted(length for length in candidates if 2 <= length <= n // REPEATS)
    chosen: list[int] = []
    for _ in range(2):
        strengths = {length: explained(around, length) for length in possible if length not in chosen}
        most = max(strengths.values(), default=0.0)
        if most < STRONG:
            break
        # Twice a rhythm explains as much as the rhythm.
        best = min(length for length, strength in strengths.items() if strength >= most - ALIKE)
        chosen.append(best)
        around = around - profile(around, best)[np.arange(n) % best]
    return tuple(sorted(chosen))


def _echo(around: F64) -> int:
    """Lag of the highest hump of the autocorrelation; 0 where there is none."""
    n = len(around)
    if n < 8:
        return 0
    centred = around - around.mean()
    power = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    echo = np.fft.irfft(power)[: n // ECHOES + 1]
    if not echo[0] > 0:
        return 0
    echo = echo / echo[0]
    below = np.flatnonzero(echo <= 0)
    if not len(below):
        return 0
    first = int(below[0])
    if first >= len(echo):
        return 0
    lag = first + int(np.argmax(echo[first:]))
    return lag if echo[lag] > 0.2 else 0


def _trend(values: F64, window: int) -> F64:
    """Means of `window` values in a row, the ends repeated."""
    before = window // 2
    padded = np.concatenate([np.full(before, values[0]), values, np.full(window - 1 - before, values[-1])])
    sums = np.cumsum(np.concatenate([[0.0], padded - values[0]]))
    trend: F64 = (sums[window:] - sums[:-window]) / window + values[0]
    return trend


def profile(around: F64, length: int) -> F64:
    """Mean by phase, `(length,)`, phases counted from the first value; sums to about 0 for a series around 0."""
    phase = np.arange(len(around)) % length
    sums = np.bincount(phase, weights=around, minlength=length)
    means: F64 = sums / np.maximum(np.bincount(phase, minlength=length), 1)
    return means


def explained(around: F64, length: int) -> float:
    """Share of the variance that a rhythm of that length explains beyond what chance would, at most 1."""
    n = len(around)
    total = float(((around - around.mean()) ** 2).sum()) / max(n - 1, 1)
    left = around - profile(around, length)[np.arange(n) % length]
    rest = float((left**2).sum()) / max(n - length, 1)
    return 1 - rest / total if total > 0 else 0.0


def robust_expectation(values: F64, length: int) -> F64:
    """What is usual at every step: a running median, and the median by phase around it. Outliers hardly move it.

    Args:
        values: `(n,)` without holes.
        length: of the rhythm in steps; 0 or 1 for none.
    """
    from scipy.ndimage import median_filter  # here: it takes half a second, and cards are listed without it

    n = len(values)
    window = min(max(length, 15) | 1, max(n // 2, 1) | 1)
    trend: F64 = median_filter(values, window, mode="nearest")
    if length < 2:
        return trend
    around = values - trend
    padded = np.full(-(-n // length) * length, np.nan)
    padded[:n] = around
    usual = np.nanmedian(padded.reshape(-1, length), axis=0)
    phase = np.arange(n) % length
    # The median of a whole rhythm is flat; once the rhythm is gone a shorter one follows the level better.
    level: F64 = median_filter(values - usual[phase], window, mode="nearest")
    expected: F64 = level + usual[phase]
    return expected


def spread(left: F64) -> float:
    """Standard deviation of what is left, from the median of its size: outliers count little. 0 for less than two."""
    if len(left) < 2:
        return 0.0
    return float(1.4826 * np.median(np.abs(left - np.median(left))))
