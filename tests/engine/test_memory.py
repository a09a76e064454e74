"""The budget holds, what is in use stays, what was used least goes, and a model is loaded once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aihub.engine.memory import ModelMemory
from aihub.errors import CapacityError, MemoryBudgetError, SessionError


@dataclass(eq=False)
class Thing:
    """Something of a size that knows whether it was closed."""

    bytes: int
    closed: bool = False

    def close(self) -> None:
        assert not self.closed
        self.closed = True


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def memory(budget: int = 100, clock: Clock | None = None, **options: float) -> ModelMemory[Thing]:
    settings = {"patience_s": 0.0, "fresh_s": 0.0} | options
    return ModelMemory(budget, clock=clock or time.monotonic, **settings)


def keep(held: ModelMemory[Thing], name: str, size: int = 40) -> Thing:
    thing = Thing(size)
    held.load(name, lambda: thing, estimate=size)
    return thing


def names(held: ModelMemory[Thing]) -> set[str]:
    return {one.name for one in held.held()}


class MemoryLaws(RuleBasedStateMachine):
    """Loads, leases, pins and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.memory = memory(100, self.clock, grace_s=50)
        self.things: dict[str, Thing] = {}
        self.leases: Counter[str] = Counter()
        self.pins: Counter[str] = Counter()

    @rule(name=st.sampled_from("abcde"), size=st.integers(1, 60), wrong=st.integers(-20, 20))
    def load(self, name: str, size: int, wrong: int) -> None:
        new = Thing(size)
        before = names(self.memory)
        try:
            self.memory.load(name, lambda: new, estimate=max(1, size + wrong))
        except MemoryBudgetError:
            assert name not in before
            assert name not in names(self.memory)
            return
        if name not in before:
            self.things[name] = new

    @rule(name=st.sampled_from("abcde"))
    def lease(self, name: str) -> None:
        here = name in names(self.memory)
        thing = self.memory.lease(name)
        assert (thing is not None) == here
        if thing is not None:
            assert thing is self.things[name]
            self.leases[name] += 1

    @precondition(lambda self: +self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(+self.leases)))
        self.leases[name] -= 1
        self.memory.release(name)

    @rule(name=st.sampled_from("abcde"))
    def pin(self, name: str) -> None:
        self.memory.pin(name)
        self.pins[name] += 1

    @rule(name=st.sampled_from("abcde"))
    def unpin(self, name: str) -> None:
        self.memory.unpin(name)
        self.pins[name] = max(0, self.pins[name] - 1)

    @rule(seconds=st.floats(0, 60))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        for gone in self.memory.sweep():
            assert not self.leases[gone]
            assert not self.pins[gone]

    @invariant()
    def within_budget_and_nobody_hurt(self) -> None:
        held = {one.name: one for one in self.memory.held()}
        assert sum(one.value.bytes for one in held.values()) == self.memory.used_bytes <= 100
        for name, thing in self.things.items():
            assert thing.closed == (name not in held or held[name].value is not thing)
        for name in +self.leases:
            assert held[name].leases == self.leases[name]
        for name, one in held.items():
            assert one.pinned == (self.pins[name] > 0)


TestMemoryLaws = MemoryLaws.TestCase


def test_the_least_recently_used_goes() -> None:
    clock = Clock()
    held = memory(100, clock)
    for name in "ab":
        keep(held, name)
        clock.now += 1
    assert held.lease("a")
    clock.now += 1
    held.release("a")
    keep(held, "c")
    assert names(held) == {"a", "c"}


def test_what_is_measured_counts_not_what_was_guessed() -> None:
    held = memory(100)
    keep(held, "a", 40)
    big = Thing(80)
    held.load("big", lambda: big, estimate=10)
    assert names(held) == {"big"}
    huge = Thing(120)
    with pytest.raises(MemoryBudgetError, match="more than the whole budget"):
        held.load("huge", lambda: huge, estimate=10)
    assert huge.closed
    assert held.used_bytes == 80


@pytest.mark.parametrize("by", ["lease", "pin"])
def test_nothing_can_be_evicted(by: str) -> None:
    held = memory(100)
    for name in "ab":
        keep(held, name)
        if by == "lease":
            assert held.lease(name)
        else:
            held.pin(name)
    with pytest.raises(MemoryBudgetError) as caught:
        keep(held, "c")
    assert caught.value.retry_after_s > 0
    assert names(held) == {"a", "b"}


def test_a_load_waits_for_a_run_to_end() -> None:
    held = memory(100, patience_s=5.0)
    keep(held, "a", 80)
    assert held.lease("a")
    threading.Timer(0.05, held.release, args=("a",)).start()
    keep(held, "b", 80)
    assert names(held) == {"b"}


def test_models_that_do_not_fit_together_take_turns() -> None:
    held = memory(100, patience_s=5.0, fresh_s=5.0)
    keep(held, "a", 80)
    turn: list[float] = []

    def use() -> None:
        time.sleep(0.05)
        assert held.lease("a")  # still here although another load wants the room
        turn.append(time.monotonic())
        held.release("a")

    user = threading.Thread(target=use)
    user.start()
    keep(held, "b", 80)
    assert turn
    user.join(5)


def test_an_unused_model_goes_after_its_grace() -> None:
    clock = Clock()
    held = memory(100, clock, grace_s=10)
    for name in "ab":
        keep(held, name)
    held.pin("b")
    clock.now = 9.0
    assert held.sweep() == []
    clock.now = 10.0
    assert held.sweep() == ["a"]
    held.unpin("b")
    assert held.sweep() == []  # the grace starts when the last pin goes
    clock.now = 20.0
    assert held.sweep() == ["b"]


def test_of_many_who_ask_at_once_one_loads() -> None:
    held = memory(100)
    made: list[Thing] = []
    inside = threading.Event()

    def make() -> Thing:
        inside.wait(5)
        made.append(Thing(10))
        return made[-1]

    threads = [
        threading.Thread(target=held.load, args=("a", make), kwargs={"estimate": 10}) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    inside.set()
    for thread in threads:
        thread.join(5)
    assert len(made) == 1
    assert names(held) == {"a"}


def test_a_failed_load_tells_all_who_wait_and_can_be_tried_again() -> None:
    held = memory(100)
    inside, told = threading.Event(), []

    def fail() -> Thing:
        inside.set()
        time.sleep(0.05)
        raise SessionError("refused")

    def ask() -> None:
        try:
            held.load("a", fail, estimate=10)
        except SessionError as error:
            told.append(error)

    first = threading.Thread(target=ask)
    first.start()
    assert inside.wait(5)
    second = threading.Thread(target=ask)
    second.start()
    first.join(5)
    second.join(5)
    assert len(told) == 2
    assert held.used_bytes == 0
    keep(held, "a")


def test_waiting_for_a_load_has_an_end() -> None:
    held = memory(100)
    inside, stop = threading.Event(), threading.Event()

    def slow() -> Thing:
        inside.set()
        stop.wait(10)
        return Thing(10)

    loading = threading.Thread(target=held.load, args=("a", slow), kwargs={"estimate": 10})
    loading.start()
    assert inside.wait(5)
    with pytest.raises(CapacityError, match="still being loaded"):
        held.load("a", slow, estimate=10, timeout_s=0.02)
    stop.set()
    loading.join(5)


def test_dropping_waits_for_runs_and_gives_up_in_time() -> None:
    held = memory(100)
    thing = keep(held, "a")
    held.pin("a")
    assert held.lease("a")
    assert not held.drop("a", timeout_s=0.02)
    held.release("a")
    assert held.drop("a")
    assert thing.closed
    assert held.drop("a")  # it is gone already
