"""Admission: grants, rates, concurrency, quotas; and that what was used is booked, whatever happens."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.errors import (
    AlgorithmNotFoundError,
    DeadlineError,
    InputError,
    MemoryBudgetError,
    QueueFullError,
    RateLimitError,
    SessionError,
)
from aihub.serve.admission import MAX_TENANTS, Admission, Bucket
from aihub.serve.security import Caller
from aihub.serve.usage import UsageBook
from aihub.storage.records import Tenant, Usage
from aihub.telemetry import REGISTRY
from aihub.types import Bill


class Notebook(UsageBook):
    """A book that only notes what is booked."""

    def __init__(self) -> None:
        self.booked: list[Usage] = []
        self.today = 0

    def book(self, tenant: str, algorithm: str, **amounts: Any) -> None:
        row = Usage("", tenant, algorithm, **amounts)
        self.booked.append(row)
        self.today += row.calls

    def calls_today(self, tenant: str) -> int:
        return self.today

    def seconds_to_midnight(self) -> float:
        return 3600.0


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def refusals(reason: str) -> float:
    labels = {"tenant": "fire", "reason": reason}
    return REGISTRY.get_sample_value("aihub_admission_refused_total", labels) or 0.0


def caller(*scopes: str, **limits: Any) -> Caller:
    account = replace(Tenant("fire", algorithms=("a", "b", "c-*"), stream_groups=("yard",)), **limits)
    return Caller("k", "desk", "fire", frozenset(scopes or ("infer",)), account)


@pytest.fixture
def book() -> Notebook:
    return Notebook()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(book: Notebook, clock: Clock) -> Admission:
    return Admission(book, clock=clock)


def test_what_was_not_granted_is_not_there(admission: Admission, book: Notebook) -> None:
    for asked in (["d"], ["a", "d"], ["c"], [""]):
        with pytest.raises(AlgorithmNotFoundError), admission.enter(caller(), asked):
            pytest.fail("it was let in")
    assert book.booked == [], "what is not there was not called"
    with admission.enter(caller("admin"), ["d"]):
        pass
    with admission.enter(caller(), ["a", "c-9"]):
        pass
    assert [row.algorithm for row in book.booked] == ["d", "a", "c-9"]


def test_a_call_is_booked_with_its_share_of_the_bill(admission: Admission, book: Notebook) -> None:
    with admission.enter(caller(), ["a", "b"], frames=3) as bill:
        assert isinstance(bill, Bill)
        bill.add("coco", 0.75)
        bill.add("track", 0.25)
        assert book.booked == [], "not before it has ended"
    assert book.booked == [Usage("", "fire", name, 1, 0, 3, 0.5) for name in "ab"]


@pytest.mark.parametrize(
    "error",
    [InputError("wrong"), DeadlineError("late"), KeyError("bug"), KeyboardInterrupt(), GeneratorExit()],
)
def test_a_call_that_fails_is_booked_with_what_it_cost(
    admission: Admission, book: Notebook, error: BaseException
) -> None:
    def fail() -> None:
        with admission.enter(caller(concurrency=1), ["a"]) as bill:
            bill.add("coco", 0.5)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert book.booked == [Usage("", "fire", "a", 1, 1, 0, 0.5)]
    with admission.enter(caller(concurrency=1), ["a"]):
        pass  # its place is free again


@pytest.mark.parametrize("error", [QueueFullError("full"), MemoryBudgetError("does not fit")])
def test_what_is_refused_for_want_of_room_is_no_call(
    admission: Admission, book: Notebook, error: Exception
) -> None:
    def refuse(spent: float) -> None:
        with admission.enter(caller(calls_per_day=1, concurrency=1), ["a"], frames=3) as bill:
            if spent:
                bill.add("decode", spent)
            raise error

    before = refusals("capacity")
    with pytest.raises(type(error)):
        refuse(0.0)
    assert book.booked == [], "nothing was spent"
    with pytest.raises(type(error)):
        refuse(0.5)
    assert book.booked == [Usage("", "fire", "a", 0, 0, 0, 0.5)], "what was spent stays on the bill"
    assert refusals("capacity") == before + 2
    with admission.enter(caller(calls_per_day=1, concurrency=1), ["a"]):
        pass  # neither its place nor its quota is gone
    assert book.today == 1


WHYS = st.sampled_from(
    [None, QueueFullError("full"), MemoryBudgetError("full"), DeadlineError("late"), SessionError("broken")]
)


@given(
    calls=st.lists(st.tuples(st.sampled_from("ab"), WHYS, st.floats(0, 5)), min_size=1, max_size=6),
    error=WHYS,
    told=st.booleans(),
)
def test_each_algorithm_is_booked_once_or_refused_and_every_second_is_booked(
    calls: list[tuple[str, Exception | None, float]], error: Exception | None, told: bool
) -> None:
    book = Notebook()
    before = refusals("capacity")

    def ask() -> None:
        with Admission(book).enter(caller(), [name for name, _, _ in calls], frames=2) as tab:
            for name, _, seconds in calls:
                tab.add("coco", seconds)
                tab.owe(name, seconds)
            if told:
                tab.ended([why for _, why, _ in calls])
            if error is not None:
                raise error

    if error is None:
        ask()
    else:
        with pytest.raises(type(error)):
            ask()
    ends = [(name, (why if told else None) or error) for name, why, _ in calls]
    refused = [end for end in ends if isinstance(end[1], QueueFullError | MemoryBudgetError)]
    assert refusals("capacity") - before == len(refused)
    for asked in "ab":
        mine = [why for name, why in ends if name == asked and (name, why) not in refused]
        rows = [row for row in book.booked if row.algorithm == asked]
        good = mine.count(None)
        sums = (sum(r.calls for r in rows), sum(r.errors for r in rows), sum(r.frames for r in rows))
        assert sums == (len(mine), len(mine) - good, 2 * good)
    assert sum(row.compute_s for row in book.booked) == pytest.approx(sum(seconds for _, _, seconds in calls))


def test_no_more_requests_at_a_time_than_allowed(admission: Admission) -> None:
    limited = caller(concurrency=3)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(admission.enter(limited, ["a", "b"]))
        with pytest.raises(RateLimitError) as refused, admission.enter(limited, ["a"]):
            pytest.fail("a fourth was let in")
        assert refused.value.retry_after_s > 0
        other = replace(limited, tenant="water")
        with admission.enter(other, ["a"]):
            pass  # another tenant has places of its own
    with admission.enter(limited, ["a"]):
        pass


def test_threads_never_exceed_the_limit_and_none_is_lost(book: Notebook) -> None:
    admission = Admission(book)
    limited = caller(concurrency=4)
    lock, inside, most, refused = threading.Lock(), 0, 0, 0

    def call(_: int) -> None:
        nonlocal inside, most, refused
        try:
            with admission.enter(limited, ["a"]):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.001)
                with lock:
                    inside -= 1
        except RateLimitError:
            with lock:
                refused += 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(call, range(300)))
    assert 1 <= most <= 4
    assert len(book.booked) + refused == 300
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(admission.enter(limited, ["a"]))


def test_a_quota_counts_every_algorithm_and_what_is_at_work(admission: Admission, book: Notebook) -> None:
    limited = caller(calls_per_day=5)
    with admission.enter(limited, ["a", "b"]):
        with admission.enter(limited, ["a", "b"]):
            pass
        with pytest.raises(RateLimitError), admission.enter(limited, ["a", "b"]):
            pytest.fail("two booked, two at work and two make six")
        with admission.enter(limited, ["a"]):
            pass
    with pytest.raises(RateLimitError) as refused, admission.enter(limited, ["a"]):
        pytest.fail("five are booked")
    assert refused.value.retry_after_s == 3600.0, "until midnight"
    assert book.today == 5
    with pytest.raises(RateLimitError), admission.enter(caller(calls_per_day=0), ["a"]):
        pytest.fail("none means none")


def test_a_rate_holds_over_time_and_says_when_to_come_back(admission: Admission, clock: Clock) -> None:
    limited = caller(calls_per_second=2.0, burst=4)
    passed, waits = 0, list[float]()
    for _ in range(400):
        clock.now += 0.05
        try:
            with admission.enter(limited, ["a"]):
                passed += 1
        except RateLimitError as error:
            waits.append(error.retry_after_s)
            clock.now += error.retry_after_s + 1e-9
            with admission.enter(limited, ["a"]):
                passed += 1
    assert waits
    assert all(0 < wait <= 0.5 for wait in waits)
    assert passed <= 4 + (clock.now - 1000.0) * 2.0
    assert passed >= (clock.now - 1000.0) * 2.0 - 1


def test_a_request_for_more_than_the_burst_waits_for_a_full_bucket_and_pays(
    admission: Admission, clock: Clock
) -> None:
    limited = caller(calls_per_second=1.0, burst=2, algorithms=("*",))
    with admission.enter(limited, [f"x{n}" for n in range(10)]):
        pass
    for seconds in (1, 8):  # ten were taken, two were there: eight to pay, and one for the next
        with pytest.raises(RateLimitError), admission.enter(limited, ["a"]):
            pytest.fail("the debt is not paid")
        clock.now += seconds
    with admission.enter(limited, ["a"]):
        pass


@pytest.mark.parametrize(
    ("limits", "replicas", "each"),
    [
        ({"concurrency": 6}, 3, 2),
        ({"concurrency": 2}, 3, 1),  # one each at least, or a tenant could be locked out of a gateway
        ({"calls_per_second": 6.0}, 3, 2),
        ({"calls_per_second": 0.3}, 3, 1),
        ({"calls_per_second": 1.0, "burst": 30}, 3, 10),
    ],
)
def test_gateways_share_limits_evenly(
    book: Notebook, clock: Clock, limits: dict[str, Any], replicas: int, each: int
) -> None:
    admission = Admission(book, replicas=replicas, clock=clock)
    limited = caller(**limits)
    with ExitStack() as held:
        for _ in range(each):
            held.enter_context(admission.enter(limited, ["a"]))
        with pytest.raises(RateLimitError), admission.enter(limited, ["a"]):
            pytest.fail("more than its share")


def test_changed_limits_count_from_the_next_call_on(admission: Admission, clock: Clock) -> None:
    with admission.enter(caller(calls_per_second=1.0, burst=1), ["a"]):
        pass
    with pytest.raises(RateLimitError), admission.enter(caller(calls_per_second=1.0, burst=1), ["a"]):
        pytest.fail("too soon")
    clock.now += 0.1
    with (
        pytest.raises(RateLimitError) as refused,
        admission.enter(caller(calls_per_second=2.0, burst=5), ["a"]),
    ):
        pytest.fail("a greater burst is no gift")
    assert refused.value.retry_after_s == pytest.approx(0.45)
    with admission.enter(caller(), ["a"]):
        pass  # no limit any more


def test_the_table_of_tenants_is_bounded_and_forgets_nobody_at_work(book: Notebook, clock: Clock) -> None:
    admission = Admission(book, clock=clock)
    limited = caller(concurrency=1)
    with admission.enter(limited, ["a"]):
        for number in range(MAX_TENANTS + 50):
            with admission.enter(replace(limited, tenant=f"t{number}"), ["a"]):
                pass
        assert len(admission._accounts) <= MAX_TENANTS
        with pytest.raises(RateLimitError), admission.enter(limited, ["a"]):
            pytest.fail("it was forgotten")


@given(
    rate=st.floats(0.01, 1000),
    size=st.floats(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 20)), max_size=60),
)
def test_a_bucket_gives_no_more_than_its_size_and_what_came_since(
    rate: float, size: float, steps: list[tuple[float, int]]
) -> None:
    now, given_out, largest = 0.0, 0.0, 0.0
    bucket = Bucket(rate, size, now)
    for pause, tokens in steps:
        now += pause
        wait_s = bucket.wait_for(tokens, now)
        assert wait_s >= 0
        if wait_s == 0:
            bucket.take(tokens, now)
            given_out += tokens
            largest = max(largest, tokens - size)
        else:
            assert wait_s <= (min(tokens, size) + max(0.0, largest)) / rate + 1e-6
    assert given_out <= size + now * rate + max(0.0, largest) + 1e-6


def test_refusals_are_counted_by_reason(admission: Admission) -> None:
    before = {reason: refusals(reason) for reason in ("quota", "concurrency", "rate")}
    with pytest.raises(RateLimitError), admission.enter(caller(calls_per_day=0), ["a"]):
        pass
    assert refusals("quota") == before["quota"] + 1
    assert refusals("rate") == before["rate"]
