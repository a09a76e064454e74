"""Anomalies, marks, dropouts and changes in series whose truth is known."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.numbers.anomaly import AnomalyParams, SeriesAnomaly
from aihub.algorithms.numbers.change import ChangeParams, ChangePoint, changes, noise_of
from aihub.algorithms.numbers.dropout import DropoutParams, SensorDropout
from aihub.algorithms.numbers.hysteresis import Hysteresis, HysteresisParams
from aihub.scenes import series as drawn
from aihub.testing import FakePredictor
from aihub.types import Points, Series

P = FakePredictor()


def anomalies(series: Series, **params: Any) -> Points:
    return SeriesAnomaly(AnomalyParams(**params), P).study(series, None)


def crossed(series: Series, **params: Any) -> Points:
    return Hysteresis(HysteresisParams(**params), P).study(series, None)


def dropouts(series: Series, **params: Any) -> Points:
    return SensorDropout(DropoutParams(**params), P).study(series, None)


def moved(series: Series, **params: Any) -> Points:
    return ChangePoint(ChangeParams(**params), P).study(series, None)


@pytest.mark.parametrize("seed", range(4))
def test_spikes_are_found_where_they_are(seed: int) -> None:
    series, where = drawn.spiked(seed)
    found = anomalies(series)
    places = np.round((found.at - series.at[0]) / 600).astype(int)
    assert set(where.tolist()) <= set(places.tolist())
    assert len(found) <= len(where) + 2
    assert ((found.value < found.low) | (found.value > found.high)).all()
    assert (found.score > 0.5).all()


def test_what_repeats_is_usual_and_counts_scatter_where_they_are_high() -> None:
    assert len(anomalies(drawn.temperature(3), threshold=6)) == 0
    assert len(anomalies(drawn.visitors(3), threshold=6)) == 0
    assert len(anomalies(Series.regular([3.0] * 100))) == 0


def test_one_value_off_a_constant_is_unusual() -> None:
    values = np.full(100, 3.0)
    values[40] = 9
    assert anomalies(Series.regular(values)).at.tolist() == [40]


def test_values_that_were_never_measured_are_no_anomalies() -> None:
    series, where = drawn.spiked(1)
    values = series.values.copy()
    values[where] = np.nan
    found = anomalies(Series(series.at, values))
    assert not set(np.round((found.at - series.at[0]) / 600).astype(int).tolist()) & set(where.tolist())


@pytest.mark.parametrize(
    ("values", "params", "labels", "at"),
    [
        ([0, 2, 0], {"mark": 1}, ["over", "back"], [1, 2]),
        ([0, 1, 0], {"mark": 1}, ["over", "back"], [1, 2]),
        ([0, 2, 0.8, 2, 0], {"mark": 1, "margin": 0.5}, ["over", "back"], [1, 4]),
        ([0, 2, 0.8, 2, 0], {"mark": 1}, ["over", "back", "over", "back"], [1, 2, 3, 4]),
        ([0, 2, 2], {"mark": 1}, ["over"], [1]),
        ([2, 0], {"mark": 1}, ["over", "back"], [0, 1]),
        ([0.8, 0.8], {"mark": 1, "margin": 0.5}, [], []),
        ([0, np.nan, 2, np.nan, 0], {"mark": 1}, ["over", "back"], [2, 4]),
        ([5, 1, 5], {"mark": 2, "side": "below"}, ["over", "back"], [1, 2]),
        ([0, 2, 0, 2, 2, 2, 0], {"mark": 1, "least": 2}, ["over", "back"], [3, 6]),
        ([], {"mark": 1}, [], []),
        ([np.nan], {"mark": 1}, [], []),
    ],
    ids=["over and back", "on the mark is over", "ripples are one", "without a margin they are two", "still over",
         "over from the start", "between the marks is not over", "holes", "below", "too short counts not",
         "empty", "nothing measured"],
)  # fmt: skip
def test_marks(values: list[float], params: dict[str, Any], labels: list[str], at: list[float]) -> None:
    found = crossed(Series.regular(values), **params)
    assert ([*found.label], found.at.tolist()) == (labels, at)
    assert found.measures["over"] == (labels[-1:] == ["over"])


@settings(max_examples=60)
@given(st.lists(st.floats(-3, 3), max_size=60), st.floats(0, 1), st.sampled_from(["above", "below"]))
def test_over_and_back_take_turns(values: list[float], margin: float, side: str) -> None:
    found = crossed(Series.regular(values), mark=0.5, margin=margin, side=side)
    assert all(a != b for a, b in pairwise(found.label))
    assert found.label[:1] in ((), ("over",))
    wider = crossed(Series.regular(values), mark=0.5, margin=margin + 1, side=side)
    assert wider.measures["stretches"] <= found.measures["stretches"]


@pytest.mark.parametrize("seed", range(4))
def test_a_gap_and_a_stuck_sensor(seed: int) -> None:
    series, lost, still = drawn.faulty_sensor(seed)
    found = dropouts(series)
    assert found.label == ("gap", "gap-end", "stuck", "stuck-end")
    assert found.at[:2].tolist() == [*lost]
    assert found.at[2:] == pytest.approx(still, abs=600), "its neighbour may have the same value"
    assert found.measures["longest_gap_s"] == lost[1] - lost[0]


@pytest.mark.parametrize(
    ("values", "params", "labels"),
    [
        ([1, np.nan, np.nan, np.nan, 2, 1, 2], {}, ["gap", "gap-end"]),
        ([1, np.nan, 2, 1, 2, 1], {}, []),
        ([5.0] * 100, {}, []),
        ([1, 2] * 5 + [7] * 12 + [1, 2] * 5, {"stuck": 10}, ["stuck", "stuck-end"]),
        ([1, 2, 999, 1, 2], {"most": 100}, ["impossible", "impossible-end"]),
        ([1, -40, -40, 1, 2], {"least": -20}, ["impossible", "impossible-end"]),
        ([], {}, []),
        ([1], {}, []),
    ],
    ids=["three are lost", "one lost is none", "what never moves", "stuck among changes", "too high", "too low",
         "empty", "one"],
)  # fmt: skip
def test_dropouts(values: list[float], params: dict[str, Any], labels: list[str]) -> None:
    assert [*dropouts(Series.regular(values, 60), **params).label] == labels


@pytest.mark.parametrize("seed", range(4))
def test_changes_of_level(seed: int) -> None:
    series, where = drawn.steps(seed)
    found = moved(series)
    places = np.round((found.at - series.at[0]) / 60)
    assert len(places) == len(where)
    assert np.abs(places - where).max() <= 6
    assert ((found.low < found.value) & (found.value < found.high)).all()
    assert len(moved(drawn.steps(seed, changes=0)[0])) == 0


def test_a_rhythm_is_taken_off_where_it_is_asked_for() -> None:
    series = drawn.temperature(2)
    values = series.values + np.where(np.arange(len(series)) > 1000, 8.0, 0.0)
    found = moved(Series(series.at, values), season=86400, penalty=10)
    assert np.abs((found.at - series.at[1000]) / 600).min() < 20


def test_no_change_in_what_is_constant_or_short() -> None:
    for values in ([3.0] * 100, [1.0, 9.0], []):
        assert len(moved(Series.regular(values))) == 0
    assert moved(Series.regular([1.0] * 50 + [5.0] * 50)).at.tolist() == [50]


def best_by_trying(values: Any, price: float, shortest: int) -> float:
    """The least cost of all ways to cut, by trying them all."""
    n = len(values)
    best = [-price] + [np.inf] * n
    for end in range(1, n + 1):
        for start in range(end - shortest + 1):
            part = values[start:end]
            best[end] = min(best[end], best[start] + ((part - part.mean()) ** 2).sum() + price)
    return float(best[n])


@settings(max_examples=60)
@given(st.lists(st.floats(-5, 5), min_size=6, max_size=24), st.floats(0.5, 8), st.integers(2, 4))
def test_the_best_set_of_changes_is_found(values: list[float], price: float, shortest: int) -> None:
    array = np.array(values)
    edges = [0, *changes(array, price, shortest), len(array)]
    assert all(b - a >= shortest for a, b in pairwise(edges))
    cost = sum(((array[a:b] - array[a:b].mean()) ** 2).sum() + price for a, b in pairwise(edges)) - price
    assert cost == pytest.approx(best_by_trying(array, price, shortest), abs=1e-6)


def test_noise_that_remembers_is_told_from_noise_that_does_not() -> None:
    rng = np.random.default_rng(1)
    white = noise_of(rng.normal(0, 2, 4000))
    assert white.size == pytest.approx(2, rel=0.1)
    assert white.inflation < 1.3
    keeps = np.zeros(4000)
    for index, step in enumerate(rng.normal(0, 1, 4000)):
        keeps[index] = 0.7 * keeps[index - 1] + step
    assert noise_of(keeps).inflation > 3
