"""`/v1/events/live`: server-sent events on a real socket, and the feed behind them."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from aihub.errors import StorageError
from aihub.serve.live import Listener, LiveFeed
from aihub.storage.records import Transition
from aihub.telemetry import REGISTRY
from aihub.types import Event, EventState, Severity
from tests.serve.hub import TestHub, bearer, event


class Log:
    """Stored transitions; counts reads, and fails on demand."""

    def __init__(self) -> None:
        self.steps: list[Transition] = []
        self.reads = 0
        self.failures = 0

    def add(self, count: int = 1) -> None:
        for _ in range(count):
            number = len(self.steps) + 1
            self.steps.append(Transition(number, event(number), 0.0))

    def after(self, seq: int, limit: int) -> Sequence[Transition]:
        self.reads += 1
        if self.failures:
            self.failures -= 1
            raise StorageError("locked")
        return self.steps[seq : seq + limit]

    def last(self) -> int:
        return len(self.steps)


def everything(_: Event) -> bool:
    return True


async def take(listener: Listener, count: int) -> list[int]:
    async with asyncio.timeout(5):
        found = []
        for _ in range(count):
            message = await listener.get()
            assert message is not None
            found.append(message.seq)
        return found


async def test_one_reader_serves_all_listeners_and_rests_when_none_is_there() -> None:
    log = Log()
    log.add(3)
    feed = LiveFeed(log.after, log.last, poll_s=0.01)
    async with feed.listen(everything) as (first, since), feed.listen(everything) as (second, again):
        assert (since, again) == (3, 3)
        log.add(5)
        assert await take(first, 5) == await take(second, 5) == [4, 5, 6, 7, 8]
    before = log.reads
    await asyncio.sleep(0.1)
    assert log.reads <= before + 1
    log.add(2)
    async with feed.listen(everything) as (third, later):
        assert later == 10
        log.add()
        assert await take(third, 1) == [11]


async def test_nothing_is_missed_between_what_was_and_what_comes() -> None:
    log = Log()
    log.add(1200)
    feed = LiveFeed(log.after, log.last, poll_s=0.001)
    async with feed.listen(everything) as (listener, since):
        log.add(30)
        old = [message.seq async for message in feed.replay(everything, 100, since)]
        assert old + await take(listener, 30) == list(range(101, 1231))


async def test_a_slow_listener_is_cut_off_and_the_others_are_not() -> None:
    log = Log()
    feed = LiveFeed(log.after, log.last, poll_s=0.01, queue=10)
    dropped = REGISTRY.get_sample_value("aihub_live_dropped_total") or 0
    async with feed.listen(everything) as (slow, _), feed.listen(lambda e: e.label == "none") as (quiet, _):
        log.add(11)
        async with asyncio.timeout(5):
            assert await slow.get() is None or await slow.get() is None
        assert slow.cut
        assert not quiet.cut
    assert REGISTRY.get_sample_value("aihub_live_dropped_total") == dropped + 1


async def test_a_locked_database_only_delays() -> None:
    log = Log()
    feed = LiveFeed(log.after, log.last, poll_s=0.005)
    async with feed.listen(everything) as (listener, _):
        log.failures = 3
        log.add(2)
        assert await take(listener, 2) == [1, 2]


async def test_listeners_are_ended_when_the_reader_dies_and_may_come_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log()
    feed = LiveFeed(log.after, log.last, poll_s=0.005)
    async with feed.listen(everything) as (listener, _):
        log.steps = None  # type: ignore[assignment]
        async with asyncio.timeout(5):
            assert await listener.get() is None
    log.steps = []
    async with feed.listen(everything) as (listener, _):
        log.add()
        assert await take(listener, 1) == [1]


async def test_closing_ends_everybody() -> None:
    log = Log()
    feed = LiveFeed(log.after, log.last, poll_s=0.005)
    async with feed.listen(everything) as (listener, _):
        feed.close()
        assert await listener.get() is None


@contextmanager
def listening(url: str, key: str, query: str = "", **headers: str) -> Iterator[Iterator[str]]:
    """Lines of a live connection, after it has begun to listen."""
    with (
        httpx2.Client(base_url=url, headers=bearer(key) | headers, timeout=10) as client,
        client.stream("GET", f"/v1/events/live?{query}") as response,
    ):
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert next(lines).startswith(": listening")
        yield lines


def messages(lines: Iterator[str], count: int) -> list[tuple[int, dict[str, Any]]]:
    """The next messages: id and data."""
    found: list[tuple[int, dict[str, Any]]] = []
    seq = 0
    for line in lines:
        if line.startswith("id: "):
            seq = int(line[4:])
        if line.startswith("data: "):
            found.append((seq, json.loads(line[6:])))
            if len(found) == count:
                return found
    raise AssertionError(f"the connection ended after {len(found)} messages")


def store(hub: TestHub, *numbers: int, **changes: object) -> None:
    hub.repository.save_transitions([event(number, **changes) for number in numbers])


def test_events_arrive_as_they_are_stored(hub: TestHub, url: str) -> None:
    store(hub, 1)
    with listening(url, hub.key("events")) as lines:
        started = time.monotonic()
        store(hub, 2)
        ((seq, body),) = messages(lines, 1)
        assert time.monotonic() - started < 2
        assert (seq, body["id"], body["state"]) == (2, event(2).id, "opened")
        hub.repository.set_event_state(event(2).id, EventState.ACKNOWLEDGED, actor="x")
        ((_, body),) = messages(lines, 1)
        assert (body["state"], body["revision"]) == ("acknowledged", 2)


def test_a_listener_resumes_after_what_it_has_seen(hub: TestHub, url: str) -> None:
    store(hub, *range(1, 8))
    key = hub.key("events")
    with listening(url, key, **{"Last-Event-ID": "3"}) as lines:
        assert [seq for seq, _ in messages(lines, 4)] == [4, 5, 6, 7]
        store(hub, 8)
        assert [seq for seq, _ in messages(lines, 1)] == [8]
    with listening(url, key, "after=6") as lines:
        assert [seq for seq, _ in messages(lines, 2)] == [7, 8]
    with listening(url, key, **{"Last-Event-ID": "9"}) as lines:
        store(hub, 9, 10)
        assert [seq for seq, _ in messages(lines, 1)] == [10]


@pytest.mark.parametrize(
    "query", ["stream=yard", "algorithm=other", "severity=critical", "stream=yard&severity=critical"]
)
def test_listeners_hear_what_they_asked_for(hub: TestHub, url: str, query: str) -> None:
    wanted = {"stream_id": "yard", "algorithm": "other", "severity": Severity.CRITICAL}
    store(hub, 1)
    with listening(url, hub.key("events"), f"after=0&{query}") as lines:
        store(hub, 2)
        store(hub, 3, **wanted)
        assert [seq for seq, _ in messages(lines, 1)] == [3]


def test_tenants_do_not_hear_each_other(hub: TestHub, url: str) -> None:
    store(hub, 1)
    with listening(url, hub.key("events", tenant="other"), "after=0") as lines:
        store(hub, 2)
        store(hub, 3, tenant="other")
        assert [seq for seq, _ in messages(lines, 1)] == [3]
    with listening(url, hub.key("admin"), "after=0") as lines:
        assert [seq for seq, _ in messages(lines, 3)] == [1, 2, 3]


def test_silence_is_filled_with_heartbeats(hub: TestHub, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aihub.serve.routers.events.HEARTBEAT_S", 0.1)
    with listening(url, hub.key("events")) as lines:
        assert any(line.startswith(": ping") for line in (next(lines) for _ in range(20)))


@pytest.mark.parametrize(
    ("headers", "query", "field"),
    [
        ({"Last-Event-ID": "x"}, "", "Last-Event-ID"),
        ({"Last-Event-ID": "-1"}, "", "Last-Event-ID"),
        ({}, "after=-1", "after"),
    ],
)
def test_bad_positions_are_named(
    hub: TestHub, url: str, headers: dict[str, str], query: str, field: str
) -> None:
    answer = httpx2.get(f"{url}/v1/events/live?{query}", headers=bearer(hub.key("events")) | headers)
    assert answer.status_code == 422
    assert answer.json()["field"] == field


def test_many_listeners_come_and_go_and_leave_nothing_behind(hub: TestHub, url: str) -> None:
    key = hub.key("events")
    heard: list[int] = []

    def listen() -> None:
        with listening(url, key) as lines:
            ready.wait(10)
            heard.append(messages(lines, 1)[0][0])

    ready = threading.Barrier(13)
    threads = [threading.Thread(target=listen) for _ in range(12)]
    for thread in threads:
        thread.start()
    ready.wait(10)
    store(hub, 1)
    for thread in threads:
        thread.join(10)
    assert heard == [1] * 12
    feed: LiveFeed = hub.app.state.parts.live
    wait_for(lambda: not feed._listeners)
    assert feed._task is None


def test_too_many_listeners_are_refused(hub: TestHub, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aihub.serve.live.MAX_LISTENERS", 1)
    key = hub.key("events")
    with listening(url, key):
        assert httpx2.get(f"{url}/v1/events/live", headers=bearer(key)).status_code == 429


def wait_for(holds: Callable[[], bool], timeout_s: float = 5) -> None:
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
