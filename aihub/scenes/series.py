"""Series that the project draws, with known truth: visitors, queues, load, the ill, and sensors with their faults.

Every function takes a seed, so that benchmarks can draw many of one kind; the registered ones are fixed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from aihub.scenes.waves import series
from aihub.types import Series

F64 = npt.NDArray[np.float64]

MONDAY = 1_767_571_200.0
"""2026-01-05T00:00:00Z, a Monday."""
HOUR_S, DAY_S = 3600.0, 86400.0


def _rng(seed: int, kind: int) -> np.random.Generator:
    return np.random.default_rng([seed, kind])


def _wander(rng: np.random.Generator, n: int, keep: float, size: float) -> F64:
    """Noise that remembers: each value keeps a share of the one before."""
    noise = rng.normal(0, size, n)
    made = np.zeros(n)
    last = 0.0
    for index, value in enumerate(noise.tolist()):
        last = keep * last + value
        made[index] = last
    return made


def visitors(seed: int = 0, days: int = 28) -> Series:
    """People through a gate, by hour: two peaks a day, fewer at weekends, counts by chance."""
    rng = _rng(seed, 1)
    hours = np.arange(days * 24)
    of_day, day = hours % 24, hours // 24
    peaks = 60 * np.exp(-(((of_day - 9) / 2.0) ** 2)) + 80 * np.exp(-(((of_day - 18) / 2.5) ** 2)) + 5
    weekend = np.where(day % 7 >= 5, rng.uniform(0.4, 0.8), 1.0)
    drift = np.exp(_wander(rng, len(hours), 0.98, 0.02))
    mean = rng.uniform(0.5, 5) * peaks * weekend * drift
    return Series.regular(rng.poisson(mean).astype(np.float64), HOUR_S, MONDAY)


def queue_minutes(seed: int = 0, days: int = 10) -> Series:
    """Minutes that people wait at a counter, every five minutes from eight to eight, nothing at night."""
    rng = _rng(seed, 2)
    steps = np.arange(days * 288)
    of_day = steps % 288 / 12
    busy = np.exp(-(((of_day - 10.5) / 1.5) ** 2)) + 0.7 * np.exp(-(((of_day - 15) / 1.8) ** 2))
    wait = rng.uniform(10, 30) * busy * np.exp(_wander(rng, len(steps), 0.95, 0.08))
    return Series.regular(np.maximum(np.round(wait + rng.normal(0, 0.5, len(steps)), 1), 0), 300.0, MONDAY)


def load_kw(seed: int = 0, days: int = 35) -> Series:
    """Electric load of a building in kW, by hour: day, week, weather that wanders, a slow trend."""
    rng = _rng(seed, 3)
    hours = np.arange(days * 24)
    of_day, day = hours % 24, hours // 24
    work = np.where(day % 7 < 5, 1.0, 0.35) * np.clip(np.sin(np.pi * (of_day - 6) / 13), 0, None)
    base = rng.uniform(80, 300)
    made = base * (1 + rng.uniform(0.5, 1.2) * work) + rng.uniform(-0.02, 0.05) * hours
    made += _wander(rng, len(hours), 0.97, base * 0.01) + rng.normal(0, base * 0.015, len(hours))
    return Series.regular(np.maximum(made, 0), HOUR_S, MONDAY)


def cases(seed: int = 0, days: int = 84) -> Series:
    """New cases of an illness by day: growth that bends, fewer at weekends, counts that scatter more than chance."""
    rng = _rng(seed, 4)
    day = np.arange(days)
    rate = 0.06 * np.cos(2 * np.pi * day / rng.uniform(90, 200) + rng.uniform(0, 1)) + _wander(
        rng, days, 0.9, 0.006
    )
    week = np.where(day % 7 >= 5, 0.65, 1.14)
    mean = np.exp(np.log(rng.uniform(20, 80)) + np.cumsum(rate)) * week
    return Series.regular(rng.poisson(rng.gamma(30, mean / 30)).astype(np.float64), DAY_S, MONDAY)


def temperature(seed: int = 0, days: int = 14) -> Series:
    """A sensor's temperature every ten minutes, to a tenth of a degree, without any fault."""
    rng = _rng(seed, 5)
    steps = np.arange(days * 144)
    made = 20 + 6 * np.sin(2 * np.pi * (steps - 54) / 144) + _wander(rng, len(steps), 0.99, 0.08)
    return Series.regular(np.round(made + rng.normal(0, 0.15, len(steps)), 1), 600.0, MONDAY)


def spiked(seed: int = 0, spikes: int = 5) -> tuple[Series, npt.NDArray[np.int64]]:
    """The sensor with some values that are far from usual though not far from others at noon; and where they are."""
    clean = temperature(seed)
    rng = _rng(seed, 6)
    where = np.sort(rng.choice(np.arange(200, len(clean) - 10), spikes, replace=False))
    values = clean.values.copy()
    values[where] += rng.choice([-1, 1], spikes) * rng.uniform(4, 7, spikes)
    return Series(clean.at, values), where


def faulty_sensor(seed: int = 0) -> tuple[Series, tuple[float, float], tuple[float, float]]:
    """The sensor with a stretch that was never sent and one where it is stuck; and from when to when each lasts."""
    clean = temperature(seed)
    rng = _rng(seed, 7)
    values = clean.values.copy()
    gap, stuck = int(rng.integers(300, 700)), int(rng.integers(1000, 1500))
    lasts = int(rng.integers(30, 60))
    values[stuck : stuck + 72] = values[stuck]
    keep = np.ones(len(clean), bool)
    keep[gap : gap + lasts] = False
    lost = (float(clean.at[gap]), float(clean.at[gap + lasts]))
    still = (float(clean.at[stuck]), float(clean.at[stuck + 71]))
    return Series(clean.at[keep], values[keep]), lost, still


def steps(seed: int = 0, changes: int = 2, n: int = 600) -> tuple[Series, npt.NDArray[np.int64]]:
    """A pump's flow every minute whose level changes at some moments under noise that remembers; and where."""
    rng = _rng(seed, 8)
    values = 50 + _wander(rng, n, 0.5, 1.0)
    edges = np.linspace(0, n, changes + 2)[1:-1] + rng.uniform(-0.12, 0.12, changes) * n / (changes + 1)
    where = edges.astype(np.int64)
    for index in where.tolist():
        values[index:] += rng.choice([-1, 1]) * rng.uniform(5, 9)
    return Series.regular(values, 60.0, MONDAY), where


def water_level(seed: int = 0) -> tuple[Series, int]:
    """A river's level in metres every quarter of an hour: two floods above 3 m, with ripples that cross the mark; and how many."""
    rng = _rng(seed, 9)
    hours = np.arange(96 * 5) / 4
    level = 1.5 + 2.2 * np.exp(-(((hours - 30) / 8) ** 2)) + 2.0 * np.exp(-(((hours - 85) / 10) ** 2))
    return Series.regular(level + rng.normal(0, 0.06, len(hours)), 900.0, MONDAY), 2


def _registered(name: str, make: Callable[[], Series]) -> None:
    series(name)(make)


_registered("visitors-by-hour", lambda: visitors(1))
_registered("visitors-short", lambda: visitors(1, days=1))
_registered("queue-minutes", lambda: queue_minutes(1, days=5))
_registered("building-load", lambda: load_kw(1))
_registered("cases-by-day", lambda: cases(3))
_registered("sensor-fine", lambda: temperature(1))
_registered("sensor-spikes", lambda: spiked(1)[0])
_registered("sensor-gap-and-stuck", lambda: faulty_sensor(1)[0])
_registered("level-steps", lambda: steps(1)[0])
_registered("level-steady", lambda: steps(2, changes=0)[0])
_registered("river-floods", lambda: water_level(1)[0])
