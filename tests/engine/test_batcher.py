"""Laws of the queue: nothing lost, nothing twice, never too much, nobody starves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from aihub.engine.batcher import UNDATED_S, FairQueue, Item
from aihub.errors import QueueFullError


def item(
    payload: int = 0,
    source: str = "a",
    *,
    group: str | None = "g",
    deadline: float | None = None,
    submitted: float = 0,
) -> Item[int]:
    return Item(payload, source, group, deadline, submitted)


class QueueLaws(RuleBasedStateMachine):
    """Whatever is put, cancelled and taken in whatever order: every item has exactly one end."""

    items = Bundle("items")
    BOUND, PER_SOURCE = 6, 2

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[int] = FairQueue(self.BOUND, self.PER_SOURCE)
        self.now = 0.0
        self.waiting: dict[int, Item[int]] = {}
        self.ended: Counter[int] = Counter()
        self.count = 0

    def end(self, done: Item[int]) -> None:
        assert self.waiting.pop(done.payload) is done
        self.ended[done.payload] += 1

    @rule(
        target=items,
        source=st.sampled_from("abc"),
        group=st.sampled_from(["g", "h", None]),
        time_left=st.none() | st.floats(0, 3),
    )
    def put(self, source: str, group: str | None, time_left: float | None) -> Item[int]:
        self.count += 1
        deadline = None if time_left is None else self.now + time_left
        new = item(self.count, source, group=group, deadline=deadline, submitted=self.now)
        held = Counter(one.source for one in self.waiting.values())
        try:
            displaced = self.queue.put(new)
        except QueueFullError:
            assert len(self.waiting) == self.BOUND
            assert max(held.values()) < held[source] + 2  # it has its share
            return new
        self.waiting[new.payload] = new
        if displaced is not None:
            assert held[displaced.source] == max(held.values()) >= held[source] + 2
            self.end(displaced)
        return new

    @rule(one=items)
    def cancel(self, one: Item[int]) -> None:
        one.future.cancel()

    @rule(seconds=st.floats(0, 2))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(limit=st.integers(1, 5))
    def take(self, limit: int) -> None:
        taken = self.queue.take(self.now, limit)
        assert len(taken.batch) <= limit
        assert all(count <= self.PER_SOURCE for count in Counter(one.source for one in taken.batch).values())
        groups = {one.group for one in taken.batch}
        assert len(groups) <= 1
        assert None not in groups or len(taken.batch) == 1
        for one in taken.batch:
            assert one.deadline is None or one.deadline >= self.now
            assert one.future.running()
            self.end(one)
        for one in taken.late:
            assert one.deadline is not None
            assert one.deadline < self.now
            self.end(one)
        gone = [one for one in self.waiting.values() if one.future.cancelled()]
        before = len(self.waiting) - taken.cancelled
        assert taken.cancelled <= len(gone)
        assert len(self.queue) == before
        left = {one.payload for line in self.queue._waiting.values() for _, _, one in line}
        for one in gone:
            if one.payload not in left:
                self.end(one)
        assert left == set(self.waiting)
        assert taken.batch or not self.waiting  # it never comes back with nothing while something waits

    @invariant()
    def bounded_and_counted(self) -> None:
        assert len(self.queue) == len(self.waiting) <= self.BOUND
        assert all(count == 1 for count in self.ended.values())
        assert (self.queue.urgency == float("inf")) == (not self.waiting)


TestQueueLaws = QueueLaws.TestCase


@settings(deadline=None)
@given(flood=st.integers(5, 60), limit=st.integers(1, 8), others=st.integers(1, 5))
def test_a_flood_delays_others_by_its_turns_only(flood: int, limit: int, others: int) -> None:
    queue: FairQueue[int] = FairQueue(100)
    for number in range(flood):
        queue.put(item(number, "flood"))
    for other in range(others):
        queue.put(item(other, f"quiet-{other}", submitted=1.0))
    order: list[str] = []
    while len(queue):
        order.extend(one.source for one in queue.take(2.0, limit).batch)
    assert all(order.index(f"quiet-{other}") <= 2 * (others + 1) for other in range(others))


def test_new_names_cannot_keep_an_old_one_waiting() -> None:
    queue: FairQueue[int] = FairQueue(100)
    queue.put(item(0, "camera"))
    queue.put(item(1, "camera"))
    served: list[str] = []
    for number in range(10):  # every request is a source of its own, and there is always one more
        queue.put(item(number, f"request-{number}"))
        queue.put(item(number, f"request-{number}-b"))
        served.extend(one.source for one in queue.take(1.0, 1).batch)
    assert served.count("camera") == 2


@pytest.mark.parametrize(
    ("deadlines", "order"),
    [
        ([None, None, None], [0, 1, 2]),  # without deadlines: first come, first served
        ([3.0, 2.0, 1.0], [2, 1, 0]),  # the earliest first
        ([None, 5.0], [1, 0]),  # dated before undated ...
        ([None, UNDATED_S + 5], [0, 1]),  # ... but not for ever
    ],
)
def test_within_a_source_the_most_urgent_goes_first(deadlines: list[float | None], order: list[int]) -> None:
    queue: FairQueue[int] = FairQueue(9)
    for number, deadline in enumerate(deadlines):
        queue.put(item(number, deadline=deadline))
    assert [one.payload for one in queue.take(0.0, 9).batch] == order


def test_a_full_queue_lets_a_quiet_source_in_at_the_flood_s_cost() -> None:
    queue: FairQueue[int] = FairQueue(4)
    for number in range(4):
        assert queue.put(item(number, "flood")) is None
    displaced = queue.put(item(9, "quiet"))
    assert displaced is not None
    assert displaced.payload == 3  # the flood's last
    with pytest.raises(QueueFullError):
        queue.put(item(5, "flood"))
