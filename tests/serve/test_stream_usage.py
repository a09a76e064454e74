"""What streams use is booked for the right tenant and algorithm, once, whatever changes meanwhile."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.serve.stream_usage import StreamUsage
from aihub.serve.usage import UsageBook
from aihub.types import StreamSpec, StreamTask


class FakePlan:
    """Costs that were put here, told of once."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()

    def costs(self) -> dict[str, float]:
        told, self.spent = dict(self.spent), Counter()
        return {task: float(seconds) for task, seconds in told.items()}


class Notebook(UsageBook):
    """Adds up what is booked."""

    def __init__(self) -> None:
        self.frames: Counter[tuple[str, str]] = Counter()
        self.seconds: Counter[tuple[str, str]] = Counter()

    def book(self, tenant: str, algorithm: str, **amounts: Any) -> None:
        assert "calls" not in amounts, "a stream's frames are no calls: quotas are not for them"
        self.frames[tenant, algorithm] += amounts["frames"]
        self.seconds[tenant, algorithm] += amounts["compute_s"]


def spec(stream: str = "gate", tenant: str = "fire", **tasks: str) -> StreamSpec:
    made = tuple(StreamTask(id=name, algorithm=algorithm) for name, algorithm in tasks.items())
    return StreamSpec(id=stream, url="rtsp://camera.example/1", tenant=tenant, tasks=made)


@pytest.fixture
def book() -> Notebook:
    return Notebook()


def test_frames_and_seconds_are_booked_by_algorithm_once(book: Notebook) -> None:
    usage, plan = StreamUsage(book), FakePlan()
    usage.bound(spec(t1="a", t2="b", t3="a"), plan)
    for _ in range(4):
        usage.analysed("gate", ["t1", "t3"])
    plan.spent.update({"t1": 1, "t2": 2, "t3": 4})
    for _ in range(2):
        usage.settle({"gate"})
    assert book.frames == {("fire", "a"): 8, ("fire", "b"): 0}
    assert book.seconds == {("fire", "a"): 5, ("fire", "b"): 2}


def test_the_last_of_a_task_that_went_and_of_a_stream_that_went_is_booked(book: Notebook) -> None:
    usage, plan = StreamUsage(book), FakePlan()
    usage.bound(spec(t1="a"), plan)
    plan.spent["t1"] = 1
    usage.bound(spec(t2="b"), plan)
    plan.spent["t2"] = 2
    usage.settle(())
    assert book.seconds == {("fire", "a"): 1, ("fire", "b"): 2}
    usage.analysed("gate", ["t2"])
    usage.settle({"gate"})
    assert book.frames["fire", "b"] == 0, "it is forgotten"


def test_what_a_task_cost_before_it_changed_its_algorithm_is_the_former_ones(book: Notebook) -> None:
    usage, plan = StreamUsage(book), FakePlan()
    usage.bound(spec(t1="a"), plan)
    plan.spent["t1"] = 3
    usage.bound(spec(t1="b"), plan)
    plan.spent["t1"] = 4
    usage.settle({"gate"})
    assert book.seconds == {("fire", "a"): 3, ("fire", "b"): 4}


def test_a_stream_that_comes_back_with_another_plan_loses_nothing(book: Notebook) -> None:
    usage, first, second = StreamUsage(book), FakePlan(), FakePlan()
    usage.bound(spec(t1="a"), first)
    first.spent["t1"] = 1
    usage.bound(spec(tenant="water", t1="a"), second)
    second.spent["t1"] = 2
    usage.settle({"gate"})
    assert book.seconds == {("fire", "a"): 1, ("water", "a"): 2}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), st.sampled_from(["s1", "s2"]), st.integers(1, 9)),
        st.tuples(st.just("bind"), st.sampled_from(["s1", "s2"]), st.sampled_from("ab")),
        st.tuples(st.just("settle"), st.sampled_from(["s1", "s2", "both"]), st.just(0)),
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_nothing_that_was_spent_is_lost_or_counted_twice(steps: list[tuple[str, str, Any]]) -> None:
    book = Notebook()
    usage, plans = StreamUsage(book), {"s1": FakePlan(), "s2": FakePlan()}
    spent: Counter[str] = Counter()
    bound: dict[str, str] = {}
    for what, stream, value in steps:
        if what == "bind":
            usage.bound(spec(stream, t1=value), plans[stream])
            bound[stream] = value
        elif what == "settle":
            usage.settle({"s1", "s2"} if stream == "both" else {stream})
            if stream != "both":
                bound = {stream: bound[stream]} if stream in bound else {}
        elif stream in bound:
            plans[stream].spent["t1"] += value
            spent[bound[stream]] += value
    usage.settle(())
    assert {name: book.seconds["fire", name] for name in "ab"} == {name: spent[name] for name in "ab"}
