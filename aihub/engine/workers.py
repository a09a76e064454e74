"""The threads that run models: one pool for all models of a process, so that cores are never oversubscribed.

A worker that is free takes the model whose work presses most and that still fits: each run holds as many of the pool's
cores as its session uses threads. Nobody polls; a worker without work sleeps until there is some.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from aihub.engine.batcher import FairQueue, Item, Taken
from aihub.errors import AihubError, CapacityError, DeadlineError, QueueFullError, SessionError
from aihub.telemetry import BATCH_SIZE, INFERENCE_REQUESTS, INFERENCE_SECONDS, QUEUE_SECONDS

logger = logging.getLogger(__name__)

P = TypeVar("P")

_IDLE_S = 5.0
"""A sleeping worker looks up this often even if nobody woke it."""


def settle(future: Future[Any], *, result: object = None, error: BaseException | None = None) -> bool:
    """Answer a future that someone else may have answered or cancelled already. Returns whether this answer counts."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except InvalidStateError:
        return False
    return True


Run = Callable[[list[Item[P]]], None]
"""Runs a batch and settles its futures; what it raises answers those that are left."""


def again(error: AihubError) -> AihubError:
    """A copy of an error for another caller: one that is raised over and over would collect all their tracebacks."""
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    return twin


class Lane(Generic[P]):
    """One model in the pool: its queue and how it is run.

    Args:
        name: of the model; label of its metrics.
        bound: most items that wait.
        per_source: most items of one source in a batch, 0 for no limit.
        claim: called with the pool's lock held before a batch is formed: keeps the session in memory and gives what
            runs a batch and settles its futures; None when the session is not there (the lane then closes until
            `Workers.open`). Must not block.
        release: gives back what `claim` took.
    """

    def __init__(
        self,
        name: str,
        *,
        bound: int,
        per_source: int,
        claim: Callable[[], Run[P] | None],
        release: Callable[[], None],
    ) -> None:
        self.name = name
        self.queue: FairQueue[P] = FairQueue(bound, per_source)
        self.claim, self.release = claim, release
        self.open = False
        self.running = 0
        self.parallel = self.cost = self.batch = 1
        self.item_s = 0.05
        self._outcomes = {
            outcome: INFERENCE_REQUESTS.labels(name, outcome)
            for outcome in ("ok", "error", "late", "cancelled", "refused")
        }
        self._prepare_seconds = INFERENCE_SECONDS.labels(name, "prepare")
        self._batch_size = BATCH_SIZE.labels(name)
        self._queue_seconds = QUEUE_SECONDS.labels(name)

    @property
    def retry_after_s(self) -> float:
        """When a refused caller may find room: the time that half the queue takes, in [0.1, 30] s."""
        return min(30.0, max(0.1, self.item_s * len(self.queue) / 2 / self.parallel))

    def count(self, outcome: str, items: int = 1) -> None:
        """Count requests by what became of them."""
        if items:
            self._outcomes[outcome].inc(items)

    def prepared(self, seconds: float) -> None:
        """Meter what the caller's thread did for an item."""
        self._prepare_seconds.observe(seconds)

    def started(self, batch: list[Item[P]], now: float) -> None:
        """Meter a batch that starts."""
        self._batch_size.observe(len(batch))
        for item in batch:
            self._queue_seconds.observe(now - item.submitted)

    def ended(self, items: int, seconds: float) -> None:
        """Meter a batch that ended; `item_s` follows slowly."""
        self.item_s += 0.1 * (seconds / items - self.item_s)


@dataclass(frozen=True, slots=True)
class _Running(Generic[P]):
    lane: Lane[P]
    cores: int
    started: float
    batch: list[Item[P]]


class Workers(Generic[P]):
    """The pool. Thread-safe.

    Args:
        threads: workers, and cores that runs may hold at once; at least 1.
    """

    def __init__(self, threads: int) -> None:
        self.cores = threads
        self._free = threads
        self._closed = False
        self._busy: dict[int, _Running[P]] = {}
        self._active: set[Lane[P]] = set()
        self._lock = threading.Lock()
        self._sleeping: list[threading.Lock] = []
        self._threads = [
            threading.Thread(target=self._loop, args=(index,), name=f"aihub-engine-{index}", daemon=True)
            for index in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, lane: Lane[P], item: Item[P]) -> None:
        """Queue an item. Every answer comes through its future: a full queue answers at once with `QueueFullError`."""
        refused: AihubError | None = None
        displaced: Item[P] | None = None
        with self._lock:
            if self._closed:
                refused = CapacityError("the engine is closed")
            else:
                try:
                    displaced = lane.queue.put(item, lane.retry_after_s)
                except QueueFullError as error:
                    refused = error
                else:
                    if lane.open:
                        self._active.add(lane)
                        self._wake()
        if refused is not None:
            lane.count("refused")
            settle(item.future, error=refused)
        else:
            # Not the item itself: future and item would hold each other, and with them the picture, until a collection.
            item.future.add_done_callback(partial(self._given_up, lane, weakref.ref(item)))
        if displaced is not None:
            self._refuse(lane, displaced)

    def _given_up(self, lane: Lane[P], asked: weakref.ref[Item[P]], future: Future[Any]) -> None:
        """A cancelled item leaves its queue at once and makes room. Never called with the lock held."""
        if not future.cancelled() or (item := asked()) is None:
            return
        with self._lock:
            removed = lane.queue.remove(item)
            if not len(lane.queue):
                self._active.discard(lane)
        if removed:
            item.future.set_running_or_notify_cancel()  # wakes those who `wait` for it
            lane.count("cancelled")

    def _refuse(self, lane: Lane[P], item: Item[P]) -> None:
        lane.count("refused")
        error = QueueFullError(
            f"the queue of {lane.name} is full and {item.source!r} holds most of it",
            retry_after_s=lane.retry_after_s,
        )
        settle(item.future, error=error)

    def open(self, lane: Lane[P], *, parallel: int, cost: int, batch: int) -> None:
        """The session is there: let the lane run `parallel` batches of at most `batch` items, each on `cost` cores."""
        with self._lock:
            lane.parallel, lane.batch = max(1, parallel), max(1, batch)
            lane.cost = min(max(1, cost), self.cores)
            lane.open = True
            if len(lane.queue):
                self._active.add(lane)
                self._wake_all()

    def fail(self, lane: Lane[P], error: AihubError) -> None:
        """The session cannot be had: answer everything that waits with `error`."""
        with self._lock:
            lane.open = False
            self._active.discard(lane)
            waiting = lane.queue.drain()
        lane.count("error", len(waiting))
        for item in waiting:
            settle(item.future, error=again(error))

    def _wake(self) -> None:
        """Wake the worker that fell asleep last: its core and caches are the warmest. The lock is held."""
        if self._sleeping:
            self._sleeping.pop().release()

    def _wake_all(self) -> None:
        while self._sleeping:
            self._wake()

    def _loop(self, index: int) -> None:
        bell = threading.Lock()  # held while awake or asleep; released by whoever wakes this worker
        bell.acquire()
        while True:
            with self._lock:
                job = self._pick(index)
                if job is None:
                    if self._closed:
                        return
                    self._sleeping.append(bell)
            if job is None:
                if not bell.acquire(timeout=_IDLE_S):
                    self._overslept(bell)
                continue
            lane, run, taken = job
            for item in taken.late:
                settle(
                    item.future, error=DeadlineError(f"{lane.name} had no time for it before its deadline")
                )
            lane.count("late", len(taken.late))
            lane.count("cancelled", taken.cancelled)
            if taken.batch:
                self._run(index, lane, run, taken.batch)

    def _overslept(self, bell: threading.Lock) -> None:
        with self._lock:
            if bell in self._sleeping:
                self._sleeping.remove(bell)
                return
        bell.acquire()  # someone rang just now

    def _pick(self, index: int) -> tuple[Lane[P], Run[P], Taken[P]] | None:
        """The next batch, with its cores and its session held; None when there is nothing to do now."""
        while not self._closed:
            able = [lane for lane in self._active if lane.running < lane.parallel]
            lane = min(able, key=lambda lane: lane.queue.urgency, default=None)
            # The most pressing model waits for its cores rather than be overtaken by smaller ones for ever.
            if lane is None or lane.cost > self._free:
                return None
            run = lane.claim()
            if run is None:
                lane.open = False
                self._active.discard(lane)
                continue
            now = time.monotonic()
            taken = lane.queue.take(now, lane.batch)
            if not len(lane.queue):
                self._active.discard(lane)
            if taken.batch:
                lane.running += 1
                self._free -= lane.cost
                self._busy[index] = _Running(lane, lane.cost, now, taken.batch)
            else:
                lane.release()
            return lane, run, taken
        return None

    def _run(self, index: int, lane: Lane[P], run: Run[P], batch: list[Item[P]]) -> None:
        started = time.monotonic()
        lane.started(batch, started)
        failure: Exception | None = None
        try:
            run(batch)
        except AihubError as error:
            failure = error
        except Exception as error:
            # The edge of a thread: decoders are drop-ins, and a fault in one must not end the worker.
            logger.exception("%s failed", lane.name)
            failure = SessionError(f"{lane.name} failed: {type(error).__name__}: {error}")
            failure.__cause__ = error
        finally:
            lane.release()
            with self._lock:
                lane.running -= 1
                self._free += self._busy.pop(index).cores
                if self._active:
                    self._wake()
        lane.ended(len(batch), time.monotonic() - started)
        for item in batch:
            if not item.future.done():
                settle(item.future, error=failure or SessionError(f"{lane.name} gave no answer"))
        failed = sum(item.future.exception(timeout=0) is not None for item in batch)
        lane.count("error", failed)
        lane.count("ok", len(batch) - failed)

    def stalled(self, after_s: float) -> str | None:
        """Why the pool is not well: a run that has not come back for `after_s` seconds. None when it is well."""
        now = time.monotonic()
        with self._lock:
            for run in self._busy.values():
                if now - run.started > after_s:
                    return f"a run of {run.lane.name} has not come back for {now - run.started:.0f} s"
        return None

    def close(self, timeout_s: float) -> None:
        """Answer what waits with an error, let runs end, and answer those that do not end in time with an error too."""
        with self._lock:
            self._closed = True
            waiting = [item for lane in self._active for item in lane.queue.drain()]
            self._active.clear()
            self._wake_all()
        for item in waiting:
            settle(item.future, error=CapacityError("the engine is closed"))
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        with self._lock:
            stuck = [(run.lane, item) for run in self._busy.values() for item in run.batch]
        for lane, item in stuck:
            settle(item.future, error=SessionError(f"the run of {lane.name} did not end"))
