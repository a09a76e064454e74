"""Laws of the pool: every item is answered once, cores are never oversubscribed, and one model's fault stays its own."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.engine.batcher import Item
from aihub.engine.workers import Lane, Workers
from aihub.errors import CapacityError, DeadlineError, InputError, QueueFullError, SessionError
from aihub.telemetry import REGISTRY
from tests.engine.test_batcher import item


@dataclass
class Work:
    """A lane's session: notes what it runs, and can be made slow, absent or faulty."""

    batches: list[list[int]] = field(default_factory=list)
    here: bool = True
    gate: threading.Event = field(default_factory=threading.Event)
    slow: bool = False
    inside: int = 0
    most_inside: int = 0
    leases: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    error: Exception | None = None

    def claim(self) -> Callable[[list[Item[int]]], None] | None:
        if not self.here:
            return None
        with self.lock:
            self.leases += 1
        return self.run

    def release(self) -> None:
        with self.lock:
            self.leases -= 1

    def run(self, batch: list[Item[int]]) -> None:
        with self.lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            self.batches.append([one.payload for one in batch])
        if self.slow:
            self.gate.wait(10)
        with self.lock:
            self.inside -= 1
        if self.error is not None:
            raise self.error
        for one in batch:
            one.future.set_result(one.payload)

    def lane(self, name: str = "test-lane", bound: int = 100) -> Lane[int]:
        return Lane(name, bound=bound, per_source=0, claim=self.claim, release=self.release)


@contextmanager
def pool(threads: int) -> Iterator[Workers[int]]:
    workers: Workers[int] = Workers(threads)
    try:
        yield workers
    finally:
        workers.close(5)


def ask(workers: Workers[int], lane: Lane[int], one: Item[int]) -> Future[int]:
    workers.submit(lane, one)
    return one.future


def outcomes(model: str, outcome: str) -> float:
    labels = {"model": model, "outcome": outcome}
    return REGISTRY.get_sample_value("aihub_inference_requests_total", labels) or 0


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


@settings(deadline=None)
@given(
    sources=st.lists(st.sampled_from("abcd"), min_size=1, max_size=40),
    batch=st.integers(1, 6),
    threads=st.integers(1, 3),
)
def test_every_item_is_answered_once(sources: list[str], batch: int, threads: int) -> None:
    work = Work()
    lane = work.lane()
    with pool(threads) as workers:
        workers.open(lane, parallel=threads, cost=1, batch=batch)
        futures = [ask(workers, lane, item(number, source)) for number, source in enumerate(sources)]
        assert [future.result(5) for future in futures] == list(range(len(sources)))
    assert sorted(one for ran in work.batches for one in ran) == list(range(len(sources)))
    assert max(map(len, work.batches)) <= batch
    assert work.leases == 0


def test_a_batch_forms_while_the_worker_is_busy() -> None:
    work = Work(slow=True)
    lane = work.lane()
    with pool(1) as workers:
        workers.open(lane, parallel=1, cost=1, batch=4)
        first = ask(workers, lane, item(0))
        eventually(lambda: work.inside == 1)
        rest = [ask(workers, lane, item(number)) for number in range(1, 7)]
        work.gate.set()
        wait([first, *rest], 5)
    assert work.batches == [[0], [1, 2, 3, 4], [5, 6]]  # the first did not wait for company


def test_runs_hold_as_many_cores_as_they_use() -> None:
    wide, narrow = Work(slow=True), Work(slow=True)
    wide_lane, narrow_lane = wide.lane("wide"), narrow.lane("narrow")
    with pool(2) as workers:
        workers.open(wide_lane, parallel=2, cost=2, batch=1)
        workers.open(narrow_lane, parallel=2, cost=1, batch=1)
        futures = [ask(workers, wide_lane, item(number, submitted=number)) for number in range(2)]
        futures += [ask(workers, narrow_lane, item(number, submitted=10)) for number in range(2)]
        eventually(lambda: wide.inside == 1)
        assert narrow.inside == 0  # both cores are taken
        wide.gate.set()
        eventually(lambda: narrow.inside == 2)
        narrow.gate.set()
        wait(futures, 5)
    assert wide.most_inside == 1


def test_the_model_that_waits_longest_goes_first() -> None:
    block, old, new = Work(slow=True), Work(), Work()
    order: list[str] = []

    def noted(name: str, _: Future[int]) -> None:
        order.append(name)

    lanes = {"block": block.lane("block"), "old": old.lane("old"), "new": new.lane("new")}
    with pool(1) as workers:
        for lane in lanes.values():
            workers.open(lane, parallel=1, cost=1, batch=1)
        futures = [ask(workers, lanes["block"], item(0))]
        eventually(lambda: block.inside == 1)
        for name, submitted in (("new", 5.0), ("old", 1.0), ("new", 6.0)):
            one = item(0, submitted=submitted)
            one.future.add_done_callback(partial(noted, name))
            futures.append(ask(workers, lanes[name], one))
        block.gate.set()
        wait(futures, 5)
    assert order == ["old", "new", "new"]


def test_late_and_cancelled_work_is_not_run() -> None:
    work = Work(slow=True)
    lane = work.lane()
    with pool(1) as workers:
        workers.open(lane, parallel=1, cost=1, batch=1)
        first = ask(workers, lane, item(0))
        eventually(lambda: work.inside == 1)
        late = ask(workers, lane, item(1, deadline=time.monotonic() - 1))
        cancelled = ask(workers, lane, item(2))
        last = ask(workers, lane, item(3))
        assert cancelled.cancel()
        work.gate.set()
        assert last.result(5) == 3
        assert first.result(5) == 0
        with pytest.raises(DeadlineError):
            late.result(5)
    assert work.batches == [[0], [3]]


def test_cancelled_work_makes_room_at_once() -> None:
    work = Work(here=False)
    lane = work.lane(bound=2)
    with pool(1) as workers:
        waiting = [ask(workers, lane, item(number)) for number in range(2)]
        assert ask(workers, lane, item(2)).done()  # full
        before = outcomes("test-lane", "cancelled")
        assert waiting[0].cancel()
        assert outcomes("test-lane", "cancelled") == before + 1
        later = ask(workers, lane, item(3))
        work.here = True
        workers.open(lane, parallel=1, cost=1, batch=1)
        assert later.result(5) == 3
        assert waiting[1].result(5) == 1
    assert work.batches == [[1], [3]]
    assert outcomes("test-lane", "cancelled") == before + 1  # not counted again when met


def test_answered_work_lets_go_of_its_picture() -> None:
    work = Work()
    lane = work.lane()
    with pool(1) as workers:
        workers.open(lane, parallel=1, cost=1, batch=1)
        one = item(1)
        gone = weakref.ref(one)
        future = ask(workers, lane, one)
        assert future.result(5) == 1
        del one
        gc.disable()  # reference counting alone has to do: pictures are large
        try:
            work.batches.clear()
            assert ask(workers, lane, item(2)).result(5) == 2  # the worker's own variables move on
            eventually(lambda: gone() is None)
        finally:
            gc.enable()


@settings(deadline=None)
@given(
    asked=st.lists(st.tuples(st.sampled_from(["a/1", "a/2", "b/1"]), st.booleans()), min_size=1, max_size=40),
    batch=st.integers(1, 4),
)
def test_whatever_is_cancelled_meanwhile_has_one_end(asked: list[tuple[str, bool]], batch: int) -> None:
    work = Work()
    lane = work.lane()
    with pool(2) as workers:
        workers.open(lane, parallel=2, cost=1, batch=batch)
        futures = []
        for number, (source, cancelled) in enumerate(asked):
            futures.append(ask(workers, lane, item(number, source)))
            if cancelled:
                futures[-1].cancel()
        assert not wait(futures, 5).not_done
    ran = sorted(one for ran in work.batches for one in ran)
    assert ran == [number for number, future in enumerate(futures) if not future.cancelled()]
    assert len(lane.queue) == 0
    assert work.leases == 0


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (InputError("wrong input"), InputError),  # an error of ours goes through as it is
        (IndexError("a bug"), SessionError),  # anything else is wrapped: callers know only ours
        (None, SessionError),  # and silence is an error too
    ],
)
def test_a_run_that_fails_answers_and_spares_the_worker(
    raised: Exception | None, told: type[Exception]
) -> None:
    bad, good = Work(error=raised), Work()
    if raised is None:
        bad.run = lambda batch: None  # type: ignore[method-assign]
    lane, other = bad.lane("bad"), good.lane("good")
    with pool(1) as workers:
        workers.open(lane, parallel=1, cost=1, batch=1)
        workers.open(other, parallel=1, cost=1, batch=1)
        with pytest.raises(told):
            ask(workers, lane, item(0)).result(5)
        assert ask(workers, other, item(7)).result(5) == 7
    assert bad.leases == 0


def test_a_full_queue_answers_at_once() -> None:
    work = Work(here=False)
    lane = work.lane(bound=2)
    with pool(1) as workers:
        kept = [ask(workers, lane, item(number)) for number in range(2)]
        refused = ask(workers, lane, item(2))
        assert refused.done()
        with pytest.raises(QueueFullError) as caught:
            refused.result(0)
        assert 0.1 <= caught.value.retry_after_s <= 30
        assert not any(future.done() for future in kept)


def test_work_waits_for_its_session() -> None:
    work = Work(here=False)
    lane = work.lane()
    with pool(1) as workers:
        workers.open(lane, parallel=1, cost=1, batch=1)
        future = ask(workers, lane, item(5))
        eventually(lambda: not lane.open)  # the worker found it gone and closed the lane
        assert not future.done()
        work.here = True
        workers.open(lane, parallel=1, cost=1, batch=1)
        assert future.result(5) == 5


def test_a_session_that_cannot_be_had_answers_all_who_wait() -> None:
    lane = Work(here=False).lane()
    with pool(1) as workers:
        futures = [ask(workers, lane, item(number)) for number in range(3)]
        workers.fail(lane, SessionError("no such thing"))
        for future in futures:
            with pytest.raises(SessionError):
                future.result(1)


def test_a_stuck_run_is_reported_and_closing_answers_it() -> None:
    work = Work(slow=True)
    lane = work.lane("stuck-model")
    workers: Workers[int] = Workers(1)
    workers.open(lane, parallel=1, cost=1, batch=1)
    stuck = ask(workers, lane, item(0))
    waiting = ask(workers, lane, item(1))
    eventually(lambda: work.inside == 1)
    assert workers.stalled(60) is None
    time.sleep(0.01)
    assert "stuck-model" in (workers.stalled(0.005) or "")
    workers.close(0.05)
    with pytest.raises(CapacityError):
        waiting.result(0)
    with pytest.raises(SessionError, match="did not end"):
        stuck.result(0)
    refused = ask(workers, lane, item(2))
    with pytest.raises(CapacityError):
        refused.result(0)
    work.gate.set()
    eventually(lambda: work.leases == 0)  # the run came back after all, and nothing broke
