"""Turns and intervals: laws."""

from __future__ import annotations

import statistics

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aihub.bench.results import histogram
from aihub.bench.turns import interval, quotient_interval, take_turns

samples = st.lists(st.floats(0.1, 100), min_size=3, max_size=30)


@given(samples)
def test_an_interval_holds_the_median_and_lies_within_the_samples(values: list[float]) -> None:
    low, high = interval(values) or (1.0, 0.0)
    assert min(values) <= low <= statistics.median(values) <= high <= max(values)


@given(samples, st.floats(0.1, 10))
def test_a_quotient_of_scaled_samples_holds_the_scale(values: list[float], scale: float) -> None:
    low, high = quotient_interval([value * scale for value in values], values) or (1.0, 0.0)
    assert low * 0.999 <= scale <= high * 1.001


def test_few_samples_have_no_interval() -> None:
    assert interval([1.0, 2.0]) is None
    assert quotient_interval([1.0, 2.0, 3.0], [1.0]) is None


def test_an_interval_of_many_turns_is_narrower_and_covers() -> None:
    """Of 200 samples of a known law, nineteen in twenty intervals hold its median: 95 % means that."""
    random = np.random.default_rng(0)
    held = [
        low <= 0.0 <= high
        for low, high in (interval(random.normal(size=15).tolist()) or (1, 0) for _ in range(200))
    ]
    assert np.mean(held) > 0.88  # the bootstrap of a median is known to be a little short with so few


def test_turns_cancel_drift() -> None:
    """A machine that becomes twice as slow while it measures gives the same ratio."""
    slowing = iter(np.linspace(1, 2, 200).tolist())
    taken = take_turns({"a": lambda: 3 * next(slowing), "b": lambda: 2 * next(slowing)}, 20)
    assert abs(taken.ratio("a", "b") - 1.5) < 0.03
    assert len(taken.costs["a"]) == 20


def test_the_order_turns_round_and_warm_ups_do_not_count() -> None:
    called: list[str] = []

    def variant(name: str, cost: float) -> float:
        called.append(name)
        return cost

    told: list[str] = []
    taken = take_turns({"a": lambda: variant("a", 1.0), "b": lambda: variant("b", 2.0)}, 2, step=told.append)
    assert called == told == ["a", "b", "b", "a", "a", "b"]
    assert taken.costs == {"a": [1.0, 1.0], "b": [2.0, 2.0]}


@given(st.lists(st.floats(0.001, 1e5), min_size=1, max_size=200))
def test_a_histogram_loses_nothing(values: list[float]) -> None:
    drawn = histogram("h", "t", {"a": values})
    assert sum(drawn.counts["a"]) == len(values)
    assert list(drawn.edges) == sorted(drawn.edges)
    assert len(drawn.edges) == len(drawn.counts["a"]) + 1
