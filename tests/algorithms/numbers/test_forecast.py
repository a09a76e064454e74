"""Forecasts: what they go on with, what their intervals hold, and what becomes of series that are too short or odd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.numbers.even import LONGEST, even
from aihub.algorithms.numbers.forecast import Forecast, ForecastParams
from aihub.algorithms.numbers.foretelling import Trial, coverage, naive_ahead, widths
from aihub.algorithms.numbers.seasons import season_lengths
from aihub.algorithms.numbers.smoothing import smoothed_ahead
from aihub.scenes import series as drawn
from aihub.testing import FakePredictor
from aihub.types import Points, Series

HOUR = 3600.0


def foretold(series: Series, **params: Any) -> Points:
    return Forecast(ForecastParams(**params), FakePredictor()).study(series, None)


def waves(days: int, noise: float = 0.0) -> Series:
    hours = np.arange(24 * days)
    rng = np.random.default_rng(3)
    return Series.regular(100 + 40 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, noise, len(hours)), HOUR)


def test_a_pure_rhythm_goes_on() -> None:
    found = foretold(waves(14), horizon=48)
    real = 100 + 40 * np.sin(2 * np.pi * np.arange(14 * 24, 16 * 24) / 24)
    assert np.abs(found.value - real).max() < 1
    assert found.measures["season_s"] == 86400
    assert found.at[0] == 14 * 24 * HOUR
    assert (np.diff(found.at) == HOUR).all()
    assert set(found.label) == {"forecast"}


def test_intervals_grow_and_hold_what_comes() -> None:
    found = foretold(waves(21, noise=5), horizon=24, level=0.9)
    width = found.high - found.low
    assert (np.diff(width) >= -1e-9).all(), "what is further ahead is not known better"
    assert 10 < width.mean() < 30, "3.3 deviations of 5, and a little more for what is not known"
    narrow = foretold(waves(21, noise=5), horizon=24, level=0.5)
    assert (narrow.high - narrow.low < width).all()


@pytest.mark.parametrize("make", [drawn.visitors, drawn.load_kw], ids=["visitors", "load"])
def test_drawn_series_are_held_on_the_whole(make: Any) -> None:
    inside = []
    for seed in range(3):
        whole = make(seed)
        found = foretold(Series(whole.at[:-24], whole.values[:-24]), horizon=24)
        real = whole.values[-24:]
        inside.append(((real >= found.low) & (real <= found.high)).mean())
    assert np.mean(inside) > 0.75


@pytest.mark.parametrize(
    ("values", "first"),
    [([5.0], 5.0), ([5.0, 6.0], 6.0), ([3.0] * 40, 3.0), ([np.nan, 4.0, np.nan], 4.0)],
    ids=["one", "two", "constant", "one among holes"],
)
def test_what_is_short_or_constant_is_repeated(values: list[float], first: float) -> None:
    found = foretold(Series.regular(values, 60), horizon=3)
    assert found.value.tolist() == [first] * 3
    assert found.measures["naive"] == 1
    if len(values) < 3:
        assert np.isnan(found.low).all(), "nothing is known of how far it may be off"


@pytest.mark.parametrize("steps", [3, 10, 336, 340, 400])
def test_there_is_an_interval_from_three_values_on(steps: int) -> None:
    hours = np.arange(steps)
    noise = np.random.default_rng(1).normal(0, 1, steps)
    weekly = Series.regular(100 + 50 * np.sin(2 * np.pi * hours / 168) + noise, HOUR)
    found = foretold(weekly, horizon=24)
    assert (found.low < found.high).all()
    assert found.low.max() < 151


def test_nothing_gives_nothing() -> None:
    for values in ([], [np.nan] * 5):
        assert len(foretold(Series.regular(values))) == 0


def test_growth_goes_on_as_a_share_where_it_is_asked_for() -> None:
    growing = Series.regular(10 * 1.05 ** np.arange(80), 86400)
    found = foretold(growing, horizon=7, scale="log")
    assert found.value[-1] == pytest.approx(10 * 1.05**86, rel=0.15)
    assert (found.low >= 0).all()


def test_what_cannot_be_below_zero_is_not_foretold_below() -> None:
    falling = Series.regular(np.maximum(100 - 2.0 * np.arange(60), 0), 60)
    assert (foretold(falling, horizon=30, nonnegative=True).low >= 0).all()
    assert (foretold(falling, horizon=30).low < 0).any()


def test_the_past_that_is_known_does_not_change_with_the_future() -> None:
    whole = drawn.visitors(5)
    found = [foretold(Series(whole.at[:400], whole.values[:400] + extra), horizon=5) for extra in (0.0, 0.0)]
    assert found[0].to_json() == found[1].to_json()


@settings(max_examples=4, deadline=None)
@given(st.floats(0.01, 100), st.floats(-1e5, 1e5))
def test_units_do_not_matter(scale: float, shift: float) -> None:
    """In other units the forecast is the same in those units."""
    base = waves(6, noise=4)
    plain = foretold(base, horizon=6)
    other = foretold(Series(base.at, base.values * scale + shift), horizon=6)
    for name in ("value", "low", "high"):
        mine, its = getattr(plain, name) * scale + shift, getattr(other, name)
        assert np.allclose(mine, its, rtol=1e-4, atol=scale)


# ---- what it stands on


def test_an_even_grid() -> None:
    at = np.array([0.0, 60, 121, 240, 300])
    grid = even(Series(at, np.array([1.0, 2, 3, 5, np.nan])))
    assert grid.values.tolist() == [1, 2, 3, 4, 5]
    assert grid.measured.tolist() == [True, True, True, False, True]
    assert grid.missing_share == pytest.approx(0.2)
    assert grid.at(2) == pytest.approx(120, abs=2), "a step is the median of the steps"


def test_a_grid_is_bounded_whatever_is_sent() -> None:
    apart = Series(np.array([0.0, 1.0, 2.0, 1e15]), np.arange(4.0))
    assert len(even(apart)) <= LONGEST
    long = even(Series.regular(np.arange(50_000.0)))
    assert len(long) == LONGEST
    assert long.values[-1] == 49_999


@pytest.mark.parametrize(
    ("series", "seconds"),
    [
        (waves(10, noise=5), [86400]),
        (drawn.visitors(2), [604_800]),
        (drawn.queue_minutes(2), [86400]),
        (Series.regular(np.random.default_rng(1).normal(0, 1, 500), HOUR), []),
        (Series.regular(np.sin(np.arange(300) * 2 * np.pi / 17), 1.0), [17]),
        (Series.regular(np.arange(300.0), HOUR), []),
        (waves(1, noise=5), []),
    ],
    ids=[
        "day",
        "week",
        "day of five minutes",
        "noise",
        "a rhythm of its own",
        "a straight line",
        "too short",
    ],
)
def test_rhythms(series: Series, seconds: list[float]) -> None:
    grid = even(series)
    found = [length * grid.step_s for length in season_lengths(grid)]
    assert found[-1:] == seconds


def test_a_rhythm_that_is_given_is_taken() -> None:
    assert season_lengths(even(waves(10)), 43200) == (12,)
    assert season_lengths(even(waves(1)), 604_800) == (), "it was not seen twice"


def test_the_season_before() -> None:
    assert naive_ahead(np.arange(10.0), 5, (3,)).tolist() == [7, 8, 9, 7, 8]
    assert naive_ahead(np.arange(10.0), 2, ()).tolist() == [9, 9]


def test_smoothing_follows_a_line_and_calms_noise() -> None:
    line = smoothed_ahead(np.arange(100.0), 3)
    assert (np.diff(line) > 0).all()
    assert line[0] == pytest.approx(100, abs=1.5)
    noise = np.random.default_rng(2).normal(50, 5, 300)
    assert smoothed_ahead(noise, 5)[-1] == pytest.approx(50, abs=2)


@settings(max_examples=30)
@given(st.integers(2, 12), st.integers(1, 20), st.floats(0.5, 0.95))
def test_widths_hold_the_errors_that_made_them(origins: int, horizon: int, level: float) -> None:
    errors = np.random.default_rng([origins, horizon]).normal(0, 1, (origins, horizon))
    trial = Trial({"way": errors}, 1.0, float(origins))
    half = widths(trial, "way", level)
    assert (np.diff(half) >= -1e-12).all()
    assert (np.abs(errors) <= half + 1e-9).mean() >= level - 1 / errors.size - 1e-9
    held = coverage(trial, "way", level)
    assert held is None if origins < 4 else 0 <= (held or 0.0) <= 1
