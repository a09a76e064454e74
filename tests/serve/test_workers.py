"""Laws of the threads behind requests: bounded, fair between tenants, early in refusing, and nothing is done for nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect

from aihub.errors import DeadlineError, InputError, QueueFullError
from aihub.serve.workers import Workers, _Job
from aihub.telemetry import REGISTRY


class Gate:
    """Work that waits until it is let go, and notes what was done."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun: list[str] = []

    def work(self, name: str) -> Callable[[], str]:
        def wait() -> str:
            self.begun.append(name)
            assert self.open.wait(10)
            return name

        return wait


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


def refused(reason: str) -> float:
    return REGISTRY.get_sample_value("aihub_http_inferences_refused_total", {"reason": reason}) or 0


def in_flight() -> float:
    return REGISTRY.get_sample_value("aihub_http_inferences") or 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens on other threads
            await asyncio.sleep(0.001)


async def block(workers: Workers, gate: Gate, tenant: str) -> list[asyncio.Task[str]]:
    """Keep every thread that the tenant may have at work."""
    tasks = [
        asyncio.create_task(workers.run(gate.work(f"block-{n}"), 10, tenant=tenant))
        for n in range(workers._share)
    ]
    await until(lambda: len(gate.begun) >= workers._share)
    return tasks


def using(scene: Callable[[Workers], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """Play a scene with workers, and see that nothing is left over."""
    before = in_flight()
    workers = Workers(**settings)
    try:
        asyncio.run(scene(workers))
        waited = time.monotonic() + 5
        while in_flight() != before or workers._busy:
            assert time.monotonic() < waited
            time.sleep(0.001)
        assert workers._size == 0
        assert not workers._lines
        assert not workers._running
    finally:
        workers.close()


@pytest.mark.parametrize("wrong", [None, InputError("wrong"), TimeoutError("its own")])
def test_what_is_done_in_the_moment_in_which_time_is_up_counts(wrong: Exception | None) -> None:
    async def scene(workers: Workers) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[int] = loop.create_future()
        # Both fall into one turn of the loop: first the answer comes, then the time-out finds nothing to stop.
        loop.call_soon(answer.set_exception, wrong) if wrong else loop.call_soon(answer.set_result, 5)
        waiting = workers._in_time(_Job(lambda: 5, "a", 0.0), answer, 0.0)
        if wrong is None:
            assert await waiting == 5
            return
        with pytest.raises(type(wrong), match=str(wrong)):
            await waiting

    using(scene)


def test_work_is_done_and_its_errors_come_back() -> None:
    async def scene(workers: Workers) -> None:
        assert await workers.run(lambda: 5, 5) == 5
        with pytest.raises(InputError):
            await workers.run(failing, 5, tenant="a")
        with pytest.raises(TimeoutError, match="its own"):  # of the work, not of ours
            await workers.run(timing_out, 5)

    def failing() -> None:
        raise InputError("wrong")

    def timing_out() -> None:
        raise TimeoutError("its own")

    using(scene, threads=1)


@settings(deadline=None, max_examples=30)
@given(asked=st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_everything_admitted_is_done_once_and_the_rest_refused_at_once(asked: list[str]) -> None:
    gate = Gate()

    async def scene(workers: Workers) -> None:
        tasks = [
            asyncio.create_task(workers.run(gate.work(f"{tenant}{n}"), 10, tenant=tenant))
            for n, tenant in enumerate(asked)
        ]
        await asyncio.sleep(0)
        full = [task for task in tasks if task.done()]  # refused before anything was done
        assert workers._size <= 6
        gate.open.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        answers = [answer for answer in done if isinstance(answer, str)]
        assert len(full) + len(answers) == len(asked)
        assert Counter(gate.begun) == Counter(answers)
        assert all(isinstance(task.exception(), QueueFullError) for task in full)

    using(scene, threads=1, waiting=6)


def test_tenants_take_turns(gate: Gate) -> None:
    async def scene(workers: Workers) -> None:
        blocked = await block(workers, gate, "flood") + await block_rest(workers)
        names = ["flood-0", "flood-1", "quiet-0", "third-0"]
        gate.begun.clear()
        waiting = [
            asyncio.create_task(workers.run(gate.work(name), 10, tenant=name.partition("-")[0]))
            for name in names
        ]
        await until(lambda: workers._size == 4)
        one_at_a_time.set()
        gate.open.set()
        await asyncio.gather(*blocked, *waiting)
        # Whoever is taken first, nobody of the others waits for two of the flood.
        assert set(gate.begun[:3]) == {"flood-0", "quiet-0", "third-0"}

    one_at_a_time = threading.Event()

    async def block_rest(workers: Workers) -> list[asyncio.Task[bool]]:
        rest = workers._threads - workers._share
        tasks = [
            asyncio.create_task(workers.run(lambda: one_at_a_time.wait(10), 10, tenant=f"x{n}"))
            for n in range(rest)
        ]
        await until(lambda: workers._busy == workers._threads)
        return tasks

    using(scene, threads=1)


def test_a_busy_tenant_leaves_threads_for_others(gate: Gate) -> None:
    async def scene(workers: Workers) -> None:
        blocked = await block(workers, gate, "flood")
        waiting = asyncio.create_task(workers.run(gate.work("more"), 10, tenant="flood"))
        await asyncio.sleep(0)
        assert await workers.run(lambda: "at once", 5, tenant="quiet") == "at once"
        assert "more" not in gate.begun
        gate.open.set()
        await asyncio.gather(*blocked, waiting)

    using(scene, threads=2)


def test_a_full_line_refuses_its_tenant_and_no_other(gate: Gate) -> None:
    async def scene(workers: Workers) -> None:
        blocked = await block(workers, gate, "flood")
        waiting = [asyncio.create_task(workers.run(gate.work("flood"), 10, tenant="flood")) for _ in range(4)]
        await until(lambda: workers._size == 4)
        before = refused("tenant")
        with pytest.raises(QueueFullError) as caught:
            await workers.run(gate.work("never"), 10, tenant="flood")
        assert refused("tenant") == before + 1
        assert 0.1 <= caught.value.retry_after_s <= 30
        assert await workers.run(lambda: 1, 5, tenant="quiet") == 1
        gate.open.set()
        await asyncio.gather(*blocked, *waiting)
        assert "never" not in gate.begun

    using(scene, threads=1)


def test_the_room_follows_the_measured_speed() -> None:
    async def scene(workers: Workers) -> None:
        least = workers._bound()
        assert least == 4
        for _ in range(25):  # 10 ms each, one at a time: 25 are done in a quarter of a second
            await asyncio.gather(*(workers.run(partial(time.sleep, 0.01), 10, tenant="a") for _ in range(3)))
        quick = workers._bound()
        assert least < quick <= 25
        for _ in range(20):
            await asyncio.gather(*(workers.run(partial(time.sleep, 0.05), 10, tenant="a") for _ in range(3)))
        assert workers._bound() < quick

    using(scene, threads=1)


def test_queued_work_of_a_caller_who_went_is_dropped(gate: Gate) -> None:
    async def scene(workers: Workers) -> None:
        blocked = await block(workers, gate, "a")
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(workers.run(gate.work("dropped"), 10, tenant="a", gone=lambda: gone))
        await until(lambda: workers._size == 1)
        before = refused("gone")
        gone.set_result(None)
        with pytest.raises(ClientDisconnect):
            await waiting
        assert workers._size == 0
        assert refused("gone") == before + 1
        gate.open.set()
        await asyncio.gather(*blocked)
        assert "dropped" not in gate.begun

    using(scene, threads=1)


def test_begun_work_is_not_interrupted_but_nobody_waits_for_it(gate: Gate) -> None:
    async def scene(workers: Workers) -> None:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        watched: asyncio.Task[str] = asyncio.create_task(workers.run(gate.work("begun"), 10, gone=gone))
        await until(lambda: gate.begun == ["begun"])
        gone.set_result(None)
        with pytest.raises(ClientDisconnect):
            await watched
        assert workers._busy == 1
        gate.open.set()

    using(scene, threads=1)


def test_a_caller_who_stays_is_answered_and_no_longer_watched(gate: Gate) -> None:
    async def scene(workers: Workers) -> None:
        watches: list[asyncio.Future[None]] = []

        def watch() -> asyncio.Future[None]:
            watches.append(asyncio.get_running_loop().create_future())
            return watches[-1]

        assert await workers.run(lambda: 1, 5, gone=watch) == 1
        assert not watches  # it began at once: there is nothing that could be dropped
        blocked = await block(workers, gate, "a")
        waiting = asyncio.create_task(workers.run(lambda: 2, 5, tenant="a", gone=watch))
        await until(lambda: workers._size == 1)
        gate.open.set()
        assert await waiting == 2
        assert watches[0].cancelled()
        await asyncio.gather(*blocked)

    using(scene, threads=1)


@pytest.mark.parametrize("watched", [False, True])
def test_what_is_not_begun_in_time_is_never_begun(gate: Gate, watched: bool) -> None:
    async def scene(workers: Workers) -> None:
        blocked = await block(workers, gate, "a")
        before = refused("deadline")
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with pytest.raises(DeadlineError, match=r"0\.05 s"):
            await workers.run(gate.work("late"), 0.05, tenant="a", gone=never if watched else None)
        assert refused("deadline") == before + 1
        assert workers._size == 0
        gate.open.set()
        await asyncio.gather(*blocked)
        assert "late" not in gate.begun

    using(scene, threads=1)


def test_a_handler_that_is_cancelled_takes_its_work_along(gate: Gate) -> None:
    async def scene(workers: Workers) -> None:
        blocked = await block(workers, gate, "a")
        waiting = asyncio.create_task(workers.run(gate.work("dropped"), 10, tenant="a"))
        await until(lambda: workers._size == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert workers._size == 0
        gate.open.set()
        await asyncio.gather(*blocked)
        assert "dropped" not in gate.begun

    using(scene, threads=1)


def test_closing_answers_those_who_wait(gate: Gate) -> None:
    async def scene(workers: Workers) -> None:
        blocked = await block(workers, gate, "a")
        waiting = asyncio.create_task(workers.run(gate.work("late"), 10, tenant="a"))
        await until(lambda: workers._size == 1)
        workers.close()
        with pytest.raises(QueueFullError, match="shutting down"):
            await waiting
        with pytest.raises(QueueFullError, match="shutting down"):
            await workers.run(lambda: 1, 5)
        gate.open.set()
        await asyncio.gather(*blocked)

    using(scene, threads=1)
