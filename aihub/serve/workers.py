"""Threads that decode and infer for requests: fair between tenants, bounded, and refusing at once what cannot be done soon.

A request that finds a thread free begins at once. Otherwise it waits in its tenant's line, and free threads take from the
lines in turn. How many may wait follows from how fast work is done: no more than is over within `wait_s`, shared by the
tenants that wait. What nobody wants any more, because its caller has gone or its time is up, leaves its line at once.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from prometheus_client import Counter, Gauge, Histogram
from starlette.requests import ClientDisconnect

from aihub.errors import AihubError, DeadlineError, QueueFullError
from aihub.telemetry import REGISTRY, SECONDS

T = TypeVar("T")

IN_FLIGHT = Gauge("aihub_http_inferences", "Inference requests admitted and not done.", registry=REGISTRY)
REFUSED = Counter(
    "aihub_http_inferences_refused_total",
    "Inference requests refused or given up: `full` (too much waits), `tenant` (too much of that tenant waits), `deadline`, "
    "`gone` (the caller went away), `closing`.",
    ["reason"],
    registry=REGISTRY,
)
WAITED = Histogram(
    "aihub_http_wait_seconds",
    "Time between admission and begin of inference requests.",
    buckets=SECONDS,
    registry=REGISTRY,
)

_FOLLOW = 0.05
"""How much of a new reading goes into the measured time between two ends."""

_ENOUGH = 20
"""Readings after which that time is believed."""


Gone = Awaitable[object] | Callable[[], Awaitable[object]]


class _Job:
    __slots__ = ("admitted", "future", "given_up", "tenant", "timeout_s", "work")

    def __init__(self, work: Callable[[], Any], tenant: str, timeout_s: float) -> None:
        self.work, self.tenant, self.timeout_s = work, tenant, timeout_s
        self.admitted = time.monotonic()
        self.given_up = False
        self.future: Future[Any] = Future()

    def late(self) -> DeadlineError:
        return DeadlineError(f"not done within {self.timeout_s:g} s")

    def refuse(self, error: AihubError) -> None:
        """Answer a job that will not be begun, unless it was given up."""
        IN_FLIGHT.dec()
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Workers:
    """A pool of threads. Thread-safe; `run` may be awaited on several event loops.

    Args:
        threads: most work of one tenant at the same time; 0 takes two for each core: more would only fight with the event
            loop for the interpreter, and refusals would come late. As many threads as there are cores come on top, kept
            for other tenants, so that nobody waits for a thread because of one busy tenant.
        waiting: most requests that wait, whatever they are.
        wait_s: a request is admitted only when its tenant's line is done within about this. Lines of up to four requests
            for each thread are admitted however slow they are.
    """

    def __init__(self, threads: int = 0, waiting: int = 256, wait_s: float = 0.25) -> None:
        cores = len(os.sched_getaffinity(0))
        self._share = threads or 2 * cores
        self._threads = self._share + cores
        self._waiting, self._wait_s = waiting, wait_s
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="aihub-infer")
        self._lock = threading.Lock()
        self._closed = False
        # Tenants in the order in which their turns come.
        self._lines: dict[str, deque[_Job]] = {}
        self._size = 0
        self._running: dict[str, int] = {}
        self._busy = 0
        # Seconds between two ends while work waits: only then do they tell how fast work can be done.
        self._gap_s = 0.0
        self._gaps = 0
        self._ended: float | None = None

    async def run(
        self,
        work: Callable[[], T],
        timeout_s: float,
        *,
        tenant: str = "",
        gone: Gone | None = None,
    ) -> T:
        """Do the work in a thread.

        Args:
            work: called without arguments. Once begun it is not interrupted and keeps its place until it ends, so it should
                hand its deadline on to what it asks for.
            timeout_s: seconds until nobody waits for it any more.
            tenant: whose it is; lines take turns between tenants.
            gone: completes when the caller has gone away; a function that gives such an awaitable is called only when the
                work has to wait. Cancelled when the answer is there first.

        Raises:
            QueueFullError: too much is waiting already; at once, with the time until there is room.
            DeadlineError: it was not done in time.
            ClientDisconnect: `gone` completed first.
        """
        job = _Job(work, tenant, timeout_s)
        begun = self._admit(job)
        answer = asyncio.wrap_future(job.future)
        if gone is None or (callable(gone) and begun):
            return await self._in_time(job, answer, timeout_s)
        leaving = asyncio.ensure_future(gone() if callable(gone) else gone)
        leaving.add_done_callback(_heard)
        try:
            await asyncio.wait({answer, leaving}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and not answer.done():
                self._drop(job, "gone")
                raise ClientDisconnect
            return await self._in_time(job, answer, 0.0)
        except asyncio.CancelledError:
            self._drop(job, "gone")
            raise
        finally:
            leaving.cancel()
            answer.cancel()

    async def _in_time(self, job: _Job, answer: asyncio.Future[T], timeout_s: float) -> T:
        try:
            async with asyncio.timeout(None if answer.done() else timeout_s):
                return await answer
        except TimeoutError as error:
            if answer.done() and not answer.cancelled():
                return answer.result()  # done at the last moment; or the work ran into a time-out of its own
            self._drop(job, "deadline")
            raise job.late() from error
        except asyncio.CancelledError:
            self._drop(job, "gone")
            raise

    def _admit(self, job: _Job) -> bool:
        """Start a job or queue it; whether it was started."""
        with self._lock:
            if self._closed:
                REFUSED.labels("closing").inc()
                raise _closing()
            starts = self._may_start(job.tenant)
            if starts:
                self._start(job)
            else:
                self._queue(job)
        IN_FLIGHT.inc()
        return starts

    def _may_start(self, tenant: str) -> bool:
        return self._busy < self._threads and self._running.get(tenant, 0) < self._share

    def _start(self, job: _Job) -> None:
        """Give a job to a free thread. The lock is held."""
        self._busy += 1
        self._running[job.tenant] = self._running.get(job.tenant, 0) + 1
        self._pool.submit(self._work, job)

    def refuse_if_full(self, tenant: str) -> None:
        """Refuse work of a tenant that `run` would refuse now. For asking before anything has been done for it.

        Raises:
            QueueFullError: too much is waiting already.
        """
        with self._lock:
            if not self._closed and not self._may_start(tenant):
                self._check_room(tenant)

    def _queue(self, job: _Job) -> None:
        self._check_room(job.tenant)
        line = self._lines.get(job.tenant)
        if line is None:
            line = self._lines[job.tenant] = deque()
        line.append(job)
        self._size += 1

    def _check_room(self, tenant: str) -> None:
        line = self._lines.get(tenant)
        held = len(line) if line is not None else 0
        tenants = len(self._lines) + (line is None)
        full = self._size >= self._waiting
        if full or held >= max(1, self._bound() // tenants):
            reason = "full" if full else "tenant"
            REFUSED.labels(reason).inc()
            raise QueueFullError(
                "too many requests are waiting",
                retry_after_s=self._retry_after_s(held, tenants),
                hint="send fewer at once, or add replicas",
            )

    def _bound(self) -> int:
        """Most requests that may wait now."""
        least = 4 * self._share
        if self._gaps >= _ENOUGH:
            least = max(least, int(self._wait_s / max(self._gap_s, 1e-6)))
        return min(self._waiting, least)

    def _retry_after_s(self, held: int, tenants: int) -> float:
        """When half of a tenant's line is done, in [0.1, 30] s."""
        return min(30.0, max(0.1, self._gap_s * held * tenants / 2))

    def _work(self, job: _Job | None) -> None:
        """On a thread: do a job, then whatever waits."""
        while job is not None:
            if job.future.set_running_or_notify_cancel():
                WAITED.observe(time.monotonic() - job.admitted)
                try:
                    result = job.work()
                except BaseException as error:  # noqa: BLE001 - the edge of a thread: whoever waits gets it
                    job.future.set_exception(error)
                else:
                    job.future.set_result(result)
                    del result
            IN_FLIGHT.dec()
            job = self._next(job)

    def _next(self, done: _Job) -> _Job | None:
        """Count a job out and take the next, by turns of the tenants."""
        now = time.monotonic()
        late: list[_Job] = []
        with self._lock:
            left = self._running[done.tenant] - 1
            if left:
                self._running[done.tenant] = left
            else:
                del self._running[done.tenant]
            self._measure(now)
            job = self._take(now, late)
            if job is None:
                self._busy -= 1
            else:
                self._running[job.tenant] = self._running.get(job.tenant, 0) + 1
        for one in late:
            one.refuse(one.late())
        return job

    def _measure(self, now: float) -> None:
        if self._size and self._ended is not None:
            self._gaps += 1
            self._gap_s += max(_FOLLOW, 1 / self._gaps) * (now - self._ended - self._gap_s)
        self._ended = now if self._size else None

    def _take(self, now: float, late: list[_Job]) -> _Job | None:
        for tenant in list(self._lines):
            if self._running.get(tenant, 0) >= self._share:
                continue
            line = self._lines.pop(tenant)
            while line:
                job = line.popleft()
                self._size -= 1
                if job.admitted + job.timeout_s > now:
                    if line:
                        self._lines[tenant] = line  # behind all others
                    return job
                late.append(job)
        return None

    def _drop(self, job: _Job, reason: str) -> None:
        """Nobody waits for a job any more: take it out of its line, if it still stands there."""
        if job.given_up:
            return
        job.given_up = True
        REFUSED.labels(reason).inc()
        with self._lock:
            line = self._lines.get(job.tenant)
            waits = line is not None and job in line
            if line is not None and waits:
                line.remove(job)
                self._size -= 1
                if not line:
                    del self._lines[job.tenant]
        if waits:
            IN_FLIGHT.dec()
            job.future.cancel()

    def close(self) -> None:
        """Drop what waits; what runs ends by itself."""
        with self._lock:
            self._closed = True
            waiting = [job for line in self._lines.values() for job in line]
            self._lines.clear()
            self._size = 0
        for job in waiting:
            job.refuse(_closing())
        self._pool.shutdown(wait=False, cancel_futures=False)


def _closing() -> QueueFullError:
    return QueueFullError("the hub is shutting down", hint="try again: another replica answers")


def _heard(leaving: asyncio.Future[object]) -> None:
    """A watch that failed says as little as one that ended: either way nobody is there."""
    if not leaving.cancelled():
        leaving.exception()
