"""Laws of the queue: nothing lost, nothing twice, never too much, nobody starves."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from aihub.engine.batcher import UNDATED_S, FairQueue, Item, tenant_of
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
        source=st.sampled_from(["a/1", "a/2", "b/1", "c"]),
        group=st.sampled_from(["g", "h", None]),
        time_left=st.none() | st.floats(0, 3),
    )
    def put(self, source: str, group: str | None, time_left: float | None) -> Item[int]:
        self.count += 1
        deadline = None if time_left is None else self.now + time_left
        new = item(self.count, source, group=group, deadline=deadline, submitted=self.now)
        held = Counter(one.source for one in self.waiting.values())
        tenants = Counter(tenant_of(one.source) for one in self.waiting.values())
        mine = tenant_of(source)
        full = len(self.waiting) == self.BOUND
        siblings = max((count for name, count in held.items() if tenant_of(name) == mine), default=0)
        try:
            displaced = self.queue.put(new)
        except QueueFullError:
            has_half = self.BOUND // 2 <= tenants[mine] < len(self.waiting)
            assert full or has_half
            assert not full or max(tenants.values()) < tenants[mine] + 2  # the tenant has its share
            assert siblings < held[source] + 2  # and the source has its share of that
            return new
        self.waiting[new.payload] = new
        if displaced is not None:
            loser = tenant_of(displaced.source)
            if loser == mine:
                assert held[displaced.source] == siblings >= held[source] + 2
            else:
                assert full
                assert tenants[loser] == max(tenants.values()) >= tenants[mine] + 2
            self.end(displaced)
        else:
            assert not full
        return new

    @rule(one=items)
    def cancel(self, one: Item[int]) -> None:
        one.future.cancel()

    @rule(one=items)
    def remove(self, one: Item[int]) -> None:
        waits = self.waiting.get(one.payload) is one
        assert self.queue.remove(one) == waits
        if waits:
            self.end(one)

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
        left = {one.payload for one in self.queue.waiting()}
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

TENANTS = st.dictionaries(
    st.sampled_from(["north", "south", "east"]),
    st.lists(st.integers(1, 30), min_size=1, max_size=4),  # items of each source
    min_size=2,
)


def served(queue: FairQueue[int], limit: int) -> list[str]:
    order: list[str] = []
    while len(queue):
        order.extend(one.source for one in queue.take(0.0, limit).batch)
    return order


@settings(deadline=None)
@given(tenants=TENANTS, limit=st.integers(1, 8), seed=st.randoms(use_true_random=False))
def test_between_two_of_a_tenant_every_other_has_at_most_two(
    tenants: dict[str, list[int]], limit: int, seed: random.Random
) -> None:
    queue: FairQueue[int] = FairQueue(1000)
    asked = [
        f"{name}/{who}"
        for name, sources in tenants.items()
        for who, n in enumerate(sources)
        for _ in range(n)
    ]
    seed.shuffle(asked)
    for number, source in enumerate(asked):
        queue.put(item(number, source))
    order = served(queue, limit)
    assert Counter(order) == Counter(asked)
    for level in (
        tenant_of,
        str,
    ):  # between tenants, whatever names they use, and between the sources of each
        for name in {level(source) for source in asked}:
            turns = [at for at, source in enumerate(order) if level(source) == name]
            rivals = [tenant_of(source) if level is tenant_of else source for source in order]
            mine = tenant_of(name)
            for begin, end in itertools.pairwise([-1, *turns]):
                between = Counter(
                    rival
                    for rival in rivals[begin + 1 : end]
                    if level is tenant_of or tenant_of(rival) == mine
                )
                assert all(count <= 2 for count in between.values())


@settings(deadline=None)
@given(
    flood=st.lists(st.integers(0, 5), min_size=10, max_size=80),
    quiet=st.integers(1, 10),
    limit=st.integers(1, 4),
)
def test_many_names_buy_a_tenant_nothing(flood: list[int], quiet: int, limit: int) -> None:
    queue: FairQueue[int] = FairQueue(1000)
    for number, name in enumerate(flood):
        queue.put(item(number, f"flood/{name}"))
    for number in range(quiet):
        queue.put(item(number, "quiet/one"))
    order = [tenant_of(source) for source in served(queue, limit)]
    last = max(at for at, name in enumerate(order) if name == "quiet")
    assert last <= 2 * quiet


@settings(deadline=None)
@given(sources=st.lists(st.sampled_from(["a/1", "a/2", "b/1"]), max_size=60), limit=st.integers(1, 8))
def test_a_source_is_served_in_its_order(sources: list[str], limit: int) -> None:
    queue: FairQueue[int] = FairQueue(1000)
    for number, source in enumerate(sources):
        queue.put(item(number, source, submitted=float(number)))
    order: list[Item[int]] = []
    while len(queue):
        order.extend(queue.take(100.0, limit).batch)
    for name in set(sources):
        numbers = [one.payload for one in order if one.source == name]
        assert numbers == sorted(numbers)


def test_while_others_wait_a_tenant_has_half_of_the_room() -> None:
    queue: FairQueue[int] = FairQueue(8)
    for number in range(3):
        queue.put(item(number, f"flood/{number}"))
    queue.put(item(9, "quiet/1"))
    queue.put(item(3, "flood/3"))
    with pytest.raises(QueueFullError, match="4 of them yours"):
        queue.put(item(4, "flood/4"))
    assert [queue.put(item(number, "quiet/1")) for number in range(3)] == [None] * 3  # there is room for them
    queue.take(0.0, 8)
    for number in range(8):  # alone, all of it
        queue.put(item(number, "flood/0"))
    with pytest.raises(QueueFullError):
        queue.put(item(8, "flood/0"))


def test_a_tenant_at_its_half_shares_it_between_its_sources() -> None:
    queue: FairQueue[int] = FairQueue(8)
    queue.put(item(0, "other"))
    for number in range(4):
        queue.put(item(number, "a/greedy"))
    displaced = queue.put(item(5, "a/modest"))
    assert displaced is not None
    assert (displaced.source, displaced.payload) == ("a/greedy", 3)


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
