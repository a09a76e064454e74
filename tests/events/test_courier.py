"""The courier over a real outbox and a real receiver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aihub.errors import DeliveryError
from aihub.events import courier as module
from aihub.events.courier import Courier
from aihub.events.delivery import Sink, SinkParams, Surroundings
from aihub.events.writer import EventWriter
from aihub.storage.records import SinkSpec
from aihub.storage.repository import Repository
from aihub.types import Event, EventState, uuid7
from aihub.types.addresses import AddressGuard
from tests.events.receiver import Receiver
from tests.events.test_writer import until
from tests.storage.databases import an_event, next_step

SECRET = "a-secret-of-sixteen-or-more"


class Script(Sink[SinkParams]):
    """Does what the test says; keeps what arrived."""

    kind = "script-in-a-test"
    act: Callable[[Event], None] = staticmethod(lambda event: None)
    arrived: list[str] = []  # noqa: RUF012 - replaced by each test

    def deliver(self, event: Event) -> None:
        type(self).act(event)
        type(self).arrived.append(event.delivery_id)


@pytest.fixture
def script() -> type[Script]:
    Script.act, Script.arrived = staticmethod(lambda event: None), []
    return Script


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Repository]:
    made = Repository.open(sqlite_url)
    yield made
    made.close()


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path / "out", AddressGuard(["127.0.0.0/8"]), timeout_s=5.0)


@pytest.fixture
def courier(store: Repository, around: Surroundings) -> Iterator[Courier]:
    made = Courier(store, around, name="c1", poll_s=0.05)
    made.start()
    yield made
    made.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off in hundredths of what it is."""
    slow = module._backoff
    monkeypatch.setattr(module, "_backoff", lambda attempt, most: slow(attempt, most) / 100)


def a_sink(kind: str, name: str = "s1", **more: Any) -> SinkSpec:
    return SinkSpec(name, name, kind, **more)


def a_hook(receiver: Receiver, name: str = "s1") -> SinkSpec:
    return a_sink("webhook", name, params={"url": receiver.url, "secret": SECRET})


def lives(count: int, length: int = 3) -> list[Event]:
    """Steps of several events, one after the other in time."""
    steps = [an_event(id=uuid7(float(number))) for number in range(count)]
    made = list(steps)
    for place in range(1, length):
        steps = [
            next_step(step, EventState.CLOSED if place == length - 1 else EventState.UPDATED)
            for step in steps
        ]
        made += steps
    return made


def in_order(ids: list[str]) -> bool:
    """Whether each event's steps came 1, 2, 3, repeats left aside."""
    seen: dict[str, int] = {}
    for identity in ids:
        event, _, revision = identity.rpartition("-")
        if int(revision) > seen.get(event, 0) + 1:
            return False
        seen[event] = max(seen.get(event, 0), int(revision))
    return True


def test_an_event_arrives_at_once(store: Repository, around: Surroundings, tmp_path: Path) -> None:
    receiver = Receiver().start()
    store.add_sink(a_hook(receiver))
    courier = Courier(store, around, name="c1", poll_s=30.0)  # so that only the wake-up can be so quick
    courier.start()
    writer = EventWriter(store, tmp_path / "spill", on_stored=courier.wake)
    writer.start()
    writer.write([an_event()])
    until(lambda: len(receiver.got) == 1)  # opens the connection
    took = []
    for number in range(5):
        started = time.monotonic()
        writer.write([an_event(id=uuid7(float(number)))])
        until(lambda wanted=number + 2: len(receiver.got) == wanted)  # type: ignore[misc]
        took.append(time.monotonic() - started)
    assert sorted(took)[2] < 0.5, took  # about 0.01 on an idle machine; without the wake-up it were 30
    writer.close()
    courier.close()
    receiver.stop()


def test_a_receiver_that_was_down_gets_all_in_order_once(
    store: Repository, around: Surroundings, courier: Courier, quick: None
) -> None:
    receiver = Receiver().start()
    store.add_sink(a_hook(receiver))
    receiver.stop()
    made = lives(20)
    for event in made:
        store.save_transitions([event])
    courier.wake()
    until(lambda: store.outbox_stats().oldest_pending_s > 0.3)
    assert store.outbox_stats().pending == 60
    receiver.start()
    until(lambda: store.outbox_stats().pending == 0, 10)
    assert sorted(receiver.ids) == sorted(event.delivery_id for event in made)
    assert in_order(receiver.ids)
    receiver.stop()


def test_a_receiver_that_fails_now_and_then_misses_nothing(
    store: Repository, courier: Courier, quick: None
) -> None:
    receiver = Receiver(statuses=[500, 204, 503, 429, 204, 500, 500, 500, 500, 204] * 3).start()
    store.add_sink(a_hook(receiver))
    made = lives(10)
    store.save_transitions(made)
    until(lambda: store.outbox_stats().pending == 0, 10)
    assert set(receiver.ids) == {event.delivery_id for event in made}
    assert in_order(receiver.ids)
    assert store.dead_letters() == []
    receiver.stop()


def test_a_dead_sink_does_not_hold_up_the_others(
    store: Repository, courier: Courier, script: type[Script], tmp_path: Path
) -> None:
    leave = threading.Event()

    def hang(event: Event) -> None:
        leave.wait(10)
        raise DeliveryError("gone")

    script.act = staticmethod(hang)
    store.add_sink(a_sink("jsonl", "alive"))
    store.save_transitions([an_event(id=uuid7(99.0))])
    until(lambda: store.outbox_stats().delivered == 1)
    for number in range(20):  # more than there are workers
        store.add_sink(a_sink(script.kind, f"dead-{number}"))
    store.save_transitions([an_event(id=uuid7(float(number))) for number in range(20)])
    started = time.monotonic()
    until(lambda: store.outbox_stats().delivered == 21)
    assert time.monotonic() - started < 3
    leave.set()


def test_a_sink_that_keeps_failing_is_left_alone(
    store: Repository, courier: Courier, script: type[Script]
) -> None:
    tries: list[float] = []

    def fail(event: Event) -> None:
        tries.append(time.monotonic())
        raise DeliveryError("down")

    script.act = staticmethod(fail)
    store.add_sink(a_sink(script.kind))
    store.save_transitions([an_event(id=uuid7(float(number))) for number in range(100)])
    until(lambda: len(tries) >= 3)
    time.sleep(0.3)
    assert len(tries) == 3  # not one for each event


def test_what_is_refused_for_good_becomes_a_dead_letter_and_blocks_nothing(
    store: Repository, courier: Courier, script: type[Script], quick: None
) -> None:
    bad, good = an_event(id=uuid7(1.0)), an_event(id=uuid7(2.0))
    tries: list[str] = []

    def refuse(event: Event) -> None:
        if event.delivery_id == bad.delivery_id:
            tries.append(event.id)
            raise DeliveryError("answered 400: no", retryable=False)

    script.act = staticmethod(refuse)
    store.add_sink(a_sink(script.kind))
    store.save_transitions([bad, good, next_step(bad)])
    until(lambda: store.outbox_stats().pending == 0)
    assert len(tries) == module.REFUSALS
    (letter,) = store.dead_letters()
    assert (letter.event_id, letter.revision, letter.last_error) == (bad.id, 1, "answered 400: no")
    assert set(script.arrived) == {good.delivery_id, next_step(bad).delivery_id}
    script.act = staticmethod(lambda event: None)
    store.replay()
    until(lambda: bad.delivery_id in script.arrived)


def test_what_fails_for_too_long_becomes_a_dead_letter(
    store: Repository, around: Surroundings, script: type[Script], quick: None
) -> None:
    def fail(event: Event) -> None:
        raise DeliveryError("down")

    script.act = staticmethod(fail)
    store.add_sink(a_sink(script.kind))
    store.save_transitions([an_event()], now=time.time() - 100)
    courier = Courier(store, around, name="c1", poll_s=0.02, max_age_s=50)
    courier.start()
    until(lambda: len(store.dead_letters()) == 1)
    courier.close()


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), OSError("x"), KeyError("x")])
def test_a_sink_that_raises_anything_is_retried(
    store: Repository, courier: Courier, script: type[Script], quick: None, error: Exception
) -> None:
    failures = [error]

    def fail_once(event: Event) -> None:
        if failures:
            raise failures.pop()

    script.act = staticmethod(fail_once)
    store.add_sink(a_sink(script.kind))
    store.save_transitions([an_event()])
    until(lambda: store.outbox_stats().delivered == 1)
    assert courier.health() is None


def test_a_sink_whose_kind_is_gone_waits_for_it(store: Repository, courier: Courier, quick: None) -> None:
    store.add_sink(a_sink("not-installed"))
    store.add_sink(a_sink("jsonl", "ok"))
    store.save_transitions([an_event()])
    until(lambda: store.outbox_stats().delivered == 1)
    stats = store.outbox_stats()
    assert (stats.pending, stats.dead) == (1, 0)


def test_changed_params_count_from_the_next_delivery(
    store: Repository, courier: Courier, around: Surroundings
) -> None:
    store.add_sink(a_sink("jsonl", params={"file": "a.jsonl"}))
    store.save_transitions([an_event(id=uuid7(1.0))])
    until(lambda: store.outbox_stats().delivered == 1)
    store.update_sink("s1", {"params": {"file": "b.jsonl"}})
    store.save_transitions([an_event(id=uuid7(2.0))])
    until(lambda: store.outbox_stats().delivered == 2)
    assert (around.out / "b.jsonl").read_text().count("\n") == 1


def test_closing_lets_what_is_under_way_end(
    store: Repository, around: Surroundings, script: type[Script]
) -> None:
    entered = threading.Event()

    def slow(event: Event) -> None:
        entered.set()
        time.sleep(0.2)

    script.act = staticmethod(slow)
    store.add_sink(a_sink(script.kind))
    store.save_transitions([an_event()])
    courier = Courier(store, around, name="c1")
    courier.start()
    assert entered.wait(5)
    courier.close()
    assert store.outbox_stats().delivered == 1
    assert courier.health() is None


def test_two_couriers_share_the_work_and_double_none(
    store: Repository, around: Surroundings, script: type[Script], sqlite_url: str
) -> None:
    store.add_sink(a_sink(script.kind))
    other = Repository.open(sqlite_url)
    couriers = [Courier(hand, around, name=f"c{n}", poll_s=0.02) for n, hand in enumerate((store, other))]
    for courier in couriers:
        courier.start()
    made = lives(30)
    for event in made:
        store.save_transitions([event])
    until(lambda: store.outbox_stats().delivered == 90, 15)
    assert sorted(script.arrived) == sorted(event.delivery_id for event in made)
    assert in_order(script.arrived)
    for courier in couriers:
        courier.close()
    other.close()
