"""The outbox: each due delivery to one worker, each event's steps in order, nothing forgotten."""

from __future__ import annotations

import multiprocessing

import pytest

from aihub.errors import ConflictError, ParamsError
from aihub.storage.base import SinkNotFoundError
from aihub.storage.records import ANY_TENANT, Delivery, SinkSpec
from aihub.storage.repository import Repository
from aihub.types import Event, Severity, uuid7
from tests.storage.databases import an_event, next_step


def claim(
    repository: Repository, now: float, worker: str = "w1", limit: int = 10, **more: object
) -> list[Delivery]:
    return repository.claim_deliveries(worker, limit=limit, lease_s=30, now=now, **more)  # type: ignore[arg-type]


def save(repository: Repository, *events: Event) -> None:
    repository.save_transitions(events, now=0.0)


@pytest.mark.parametrize(
    ("sink", "wanted", "why"),
    [
        (SinkSpec("s", "s", "jsonl"), True, "no filter: everything of the tenant"),
        (SinkSpec("s", "s", "jsonl", enabled=False), False, "switched off"),
        (SinkSpec("s", "s", "jsonl", tenant="fire"), False, "another tenant's"),
        (SinkSpec("s", "s", "jsonl", tenant=ANY_TENANT), True, "the operator's, for all tenants"),
        (SinkSpec("s", "s", "jsonl", algorithms=("loitering",)), False, "another algorithm"),
        (SinkSpec("s", "s", "jsonl", algorithms=("intrusion", "x")), True, "one of its algorithms"),
        (SinkSpec("s", "s", "jsonl", severities=("critical",)), False, "not severe enough"),
        (SinkSpec("s", "s", "jsonl", severities=("alert",), streams=("gate",)), True, "all filters fit"),
        (SinkSpec("s", "s", "jsonl", severities=("alert",), streams=("yard",)), False, "one does not"),
    ],
)
def test_a_sink_gets_what_it_asked_for(
    repository: Repository, sink: SinkSpec, wanted: bool, why: str
) -> None:
    repository.add_sink(sink)
    save(repository, an_event(severity=Severity.ALERT))
    assert repository.outbox_stats(now=1.0).pending == int(wanted), why


def test_sinks_are_stored_changed_and_deleted(repository: Repository) -> None:
    sink = SinkSpec("s1", "desk", "webhook", params={"url": "https://x"}, algorithms=("a",), created_at=5.0)
    assert repository.add_sink(sink, now=5.0) == sink
    with pytest.raises(ConflictError, match="s1"):
        repository.add_sink(sink)
    assert repository.update_sink("s1", {"enabled": False, "algorithms": ["b"]}).algorithms == ("b",)
    assert repository.list_sinks("default") == [repository.get_sink("s1")]
    assert repository.list_sinks("fire") == []
    for act in (
        lambda: repository.update_sink("s1", {"name": "x"}, tenant="fire"),
        lambda: repository.delete_sink("s1", tenant="fire"),
        lambda: repository.get_sink("s2"),
    ):
        with pytest.raises(SinkNotFoundError):
            act()
    with pytest.raises(ParamsError):
        repository.update_sink("s1", {"kind": "jsonl"})
    repository.update_sink("s1", {"enabled": True, "algorithms": []})
    save(repository, an_event())
    repository.delete_sink("s1")
    assert repository.outbox_stats().pending == 0


def test_steps_of_an_event_go_out_one_after_the_other(repository: Repository) -> None:
    repository.add_sink(SinkSpec("s1", "s", "jsonl"))
    first = an_event()
    second = next_step(first)
    other = an_event(id=uuid7(3))
    save(repository, first, second, other)
    claimed = claim(repository, 1.0)
    assert [delivery.event for delivery in claimed] == [first, other]
    assert claim(repository, 1.0) == []
    repository.retry(claimed[0].id, next_at=100.0, error="refused")
    assert claim(repository, 20.0) == []  # the second step waits for the first, which waits for its time
    (again,) = claim(repository, 100.0, limit=1)
    assert (again.event, again.attempts) == (first, 2)
    repository.complete(again.id)
    assert [delivery.event for delivery in claim(repository, 100.0)] == [second, other]


def test_the_lease_of_a_dead_worker_runs_out(repository: Repository) -> None:
    repository.add_sink(SinkSpec("s1", "s", "jsonl"))
    save(repository, an_event())
    (first,) = claim(repository, 1.0, "w1")
    assert claim(repository, 30.9, "w2") == []
    (second,) = claim(repository, 31.0, "w2")
    assert second.event.delivery_id == first.event.delivery_id
    repository.complete(second.id, now=32.0)
    repository.retry(first.id, next_at=33.0, error="late news of w1")  # must not bring it back
    repository.bury(first.id, "late news of w1")
    assert claim(repository, 99.0) == []
    assert repository.outbox_stats(now=99.0).delivered == 1


def test_a_sink_with_a_long_queue_holds_up_no_other(repository: Repository) -> None:
    for name in ("busy", "quiet"):
        repository.add_sink(SinkSpec(name, name, "jsonl", streams=(name,)))
    save(repository, *(an_event(id=uuid7(number), stream_id="busy") for number in range(50)))
    save(repository, an_event(id=uuid7(99), stream_id="quiet"))
    claimed = claim(repository, 1.0, limit=4)
    assert {delivery.sink.id for delivery in claimed} == {"busy", "quiet"}
    assert {d.sink.id for d in claim(repository, 1.0, limit=4, rooms={"busy": 0})} == set()
    assert len(claim(repository, 1.0, limit=50, per_sink=3)) == 3


def test_a_disabled_sink_keeps_what_waits(repository: Repository) -> None:
    repository.add_sink(SinkSpec("s1", "s", "jsonl"))
    save(repository, an_event())
    repository.update_sink("s1", {"enabled": False})
    assert claim(repository, 1.0) == []
    repository.update_sink("s1", {"enabled": True})
    assert len(claim(repository, 1.0)) == 1


def test_dead_letters_are_listed_and_replayed_under_the_same_id(repository: Repository) -> None:
    repository.add_sink(SinkSpec("s1", "s", "jsonl"))
    first = an_event()
    save(repository, first, next_step(first))
    (delivery,) = claim(repository, 1.0)
    repository.bury(delivery.id, "410 gone " + "x" * 1000)
    (letter,) = repository.dead_letters()
    assert (letter.event_id, letter.revision, letter.attempts) == (first.id, 1, 1)
    assert letter.last_error.startswith("410 gone")
    assert len(letter.last_error) == 500
    (after,) = claim(repository, 2.0)  # a dead step does not block the ones after it
    assert after.event.revision == 2
    assert repository.replay([999], now=3.0) == 0
    assert repository.replay(now=3.0) == 1
    (again,) = claim(repository, 3.0)
    assert (again.event.delivery_id, again.attempts) == (first.delivery_id, 1)
    assert repository.dead_letters() == []


def test_when_a_sink_answers_again_nothing_waits_for_its_time(repository: Repository) -> None:
    for name in ("s1", "s2"):
        repository.add_sink(SinkSpec(name, name, "jsonl"))
    save(repository, an_event())
    for delivery in claim(repository, 1.0):
        repository.retry(delivery.id, next_at=300.0, error="down")
    repository.hasten("s1", now=10.0)
    assert [delivery.sink.id for delivery in claim(repository, 10.0)] == ["s1"]


def test_stats_tell_the_age_of_the_oldest(repository: Repository) -> None:
    assert repository.outbox_stats(now=5.0).oldest_pending_s == 0.0
    repository.add_sink(SinkSpec("s1", "s", "jsonl"))
    save(repository, an_event())
    stats = repository.outbox_stats(now=5.0)
    assert (stats.pending, stats.delivered, stats.dead, stats.oldest_pending_s) == (1, 0, 0, 5.0)


def _deliver_all(url: str, worker: str, results: multiprocessing.Queue[list[str]]) -> None:
    repository = Repository.open(url)
    got = []
    while claimed := repository.claim_deliveries(worker, limit=7, lease_s=60, per_sink=7, now=1e9):
        for delivery in claimed:
            got.append(delivery.event.delivery_id)
            repository.complete(delivery.id)
    results.put(got)
    repository.close()


def test_two_processes_never_get_the_same_delivery(url: str) -> None:
    repository = Repository.open(url)
    repository.add_sink(SinkSpec("s1", "s", "jsonl"))
    events = [an_event(id=uuid7(number)) for number in range(60)]
    save(repository, *events, *map(next_step, events))
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[str]] = context.Queue()
    workers = [context.Process(target=_deliver_all, args=(url, f"w{n}", results)) for n in (1, 2)]
    for worker in workers:
        worker.start()
    delivered = [results.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join(10)
    together = delivered[0] + delivered[1]
    # A worker that finds all due rows taken by the other may stop early; what is left is then the other's.
    assert len(together) == len(set(together))
    assert repository.outbox_stats().pending == 120 - len(together)
    for got in delivered:
        order = [identity for identity in got if identity.endswith("-2") and identity[:-2] + "-1" in got]
        assert all(got.index(identity[:-2] + "-1") < got.index(identity) for identity in order)
    repository.close()
