"""How often forecasts' intervals hold what came, how far they miss, and what the other stages for series find; on drawn series.

    python -m benchmarks.forecasts [--series 60] [--seed 1000]

Seeds below 1000 were looked at while the stages were made; what measures begins at 1000. Every series is cut at a place drawn by
chance, so that forecasts begin at any time of the day.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.reading import read
from aihub.algorithms.registry import Registry
from aihub.scenes import series as drawn
from aihub.testing import FakePredictor
from aihub.types import Points, Series

Make = Callable[[int], Series]
FORECASTS: tuple[tuple[str, Make, int], ...] = (
    ("flow-forecast", drawn.visitors, 24),
    ("queue-time-forecast", drawn.queue_minutes, 12),
    ("energy-load-forecast", drawn.load_kw, 48),
    ("epidemic-curve-forecast", drawn.cases, 14),
)
NEAR = 6
"""Steps by which a change may be placed wrongly."""


def studied(algorithm: Algorithm, series: Series, params: dict[str, Any] | None = None) -> Points:
    """What an algorithm makes of one series."""
    (found,) = read(algorithm, [series], params or {}, FakePredictor())
    assert isinstance(found, Points)
    return found


def forecast_figures(algorithm: Algorithm, make: Make, horizon: int, seeds: range) -> dict[str, float]:
    """Share of values within intervals; error beside that of the season before (below 1 is better); width in the same unit."""
    inside, ours, seasonal, wide, own, spent = [], [], [], [], [], []
    for seed in seeds:
        whole = make(seed)
        cut = len(whole) - horizon - int(np.random.default_rng(seed).integers(0, len(whole) // 8))
        began = time.perf_counter()
        found = studied(algorithm, Series(whole.at[:cut], whole.values[:cut]), {"horizon": horizon})
        spent.append(time.perf_counter() - began)
        real = whole.values[cut : cut + horizon]
        inside.append(float(((real >= found.low - 1e-9) & (real <= found.high + 1e-9)).mean()))
        lag = int(found.measures["season_s"] / whole.step_s) or 1
        ours.append(float(np.abs(real - found.value).mean()))
        seasonal.append(float(np.abs(real - np.resize(whole.values[cut - lag : cut], horizon)).mean()))
        wide.append(float((found.high - found.low).mean()))
        own.append(found.measures.get("coverage", np.nan))
    return {
        "coverage": float(np.mean(inside)),
        "its own figure": float(np.nanmean(own)),
        "error / season before": float(np.sum(ours) / np.sum(seasonal)),
        "width / error": float(np.sum(wide) / np.sum(ours)),
        "seconds": float(np.median(spent)),
    }


def found_figures(registry: Registry, seeds: range) -> dict[str, str]:
    """What the stages that find things found, missed and made up."""
    anomaly, change, dropout, mark = (
        registry.get(name)
        for name in ("series-anomaly", "change-point", "sensor-dropout", "threshold-with-hysteresis")
    )
    spikes = np.zeros(3, int)
    moves = np.zeros(3, int)
    faults, floods, quiet = 0, 0, np.zeros(3, int)
    for seed in seeds:
        series, where = drawn.spiked(seed)
        places = set(
            np.round((studied(anomaly, series).at - series.at[0]) / series.step_s).astype(int).tolist()
        )
        truth = set(where.tolist())
        spikes += (len(places & truth), len(truth - places), len(places - truth))
        series, where = drawn.steps(seed)
        at = np.round((studied(change, series).at - series.at[0]) / series.step_s)
        hit = sum(bool((np.abs(at - one) <= NEAR).any()) for one in where)
        moves += (hit, len(where) - hit, len(at) - hit)
        series, _, _ = drawn.faulty_sensor(seed)
        faults += studied(dropout, series).label == ("gap", "gap-end", "stuck", "stuck-end")
        series, count = drawn.water_level(seed)
        floods += studied(mark, series).measures["stretches"] == count
        clean = drawn.temperature(seed)
        quiet += (
            len(studied(anomaly, clean)),
            len(studied(change, drawn.steps(seed, changes=0)[0])),
            len(studied(dropout, clean)),
        )
    said = "found {}, missed {}, made up {}; on {} series without any: {}"
    return {
        "series-anomaly": said.format(*spikes, len(seeds), quiet[0]),
        "change-point": said.format(*moves, len(seeds), quiet[1]),
        "sensor-dropout": f"both faults and nothing else on {faults} of {len(seeds)}; on as many without any: {quiet[2]}",
        "threshold-with-hysteresis": f"as many floods as there were on {floods} of {len(seeds)}",
    }


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1000)
    asked = parser.parse_args()
    seeds = range(asked.seed, asked.seed + asked.series)
    registry = Registry(FakePredictor())
    for name, make, horizon in FORECASTS:
        figures = forecast_figures(registry.get(name), make, horizon, seeds)
        print(f"{name:26}", *(f"{what} {value:.3f}" for what, value in figures.items()), sep="  ")
    for name, said in found_figures(registry, seeds).items():
        print(f"{name:26}  {said}")


if __name__ == "__main__":
    main()
