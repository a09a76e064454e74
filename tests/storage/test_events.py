"""Events: every step once, with what the sinks must get, whoever else writes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aihub.errors import ConflictError, EventNotFoundError, ParamsError
from aihub.storage.merging import Current, advance, merge
from aihub.storage.records import RejectedError, SinkSpec
from aihub.storage.repository import Repository
from aihub.types import Event, EventState, Severity, uuid7
from tests.storage.databases import an_event, next_step

OPENED, UPDATED, CLOSED = EventState.OPENED, EventState.UPDATED, EventState.CLOSED
ACKNOWLEDGED, RESOLVED = EventState.ACKNOWLEDGED, EventState.RESOLVED


def life(length: int = 3, **changes: object) -> list[Event]:
    steps = [an_event(**changes)]
    for number in range(1, length):
        steps.append(next_step(steps[-1], CLOSED if number == length - 1 else UPDATED))
    return steps


def test_a_life_is_stored_step_by_step(repository: Repository) -> None:
    steps = life(4)
    assert repository.save_transitions(steps[:1]) == steps[:1]
    assert repository.save_transitions(steps[1:]) == steps[1:]
    assert repository.history(steps[0].id) == steps
    assert repository.get_event(steps[0].id) == steps[-1]
    assert repository.save_transitions([]) == []


def test_saving_again_changes_nothing(repository: Repository) -> None:
    repository.add_sink(SinkSpec("s1", "s", "jsonl"))
    steps = life(3)
    repository.save_transitions(steps)
    assert repository.save_transitions(steps) == []
    assert repository.save_transitions([steps[1]]) == []
    assert repository.history(steps[0].id) == steps
    assert repository.outbox_stats().pending == 3


def test_an_event_that_json_cannot_hold_is_rejected_for_good(repository: Repository) -> None:
    with pytest.raises(RejectedError):
        repository.save_transitions([an_event(), an_event(data={"text": "\ud800"})])
    assert repository.last_seq() == 0  # all or none


def test_text_of_any_kind_survives(repository: Repository) -> None:
    event = an_event(
        key="code/\x00'\"\\ 汉字 🚒", data={"text": "\x00 nul", "none": None, "deep": [{"a": 1.5}]}
    )
    repository.save_transitions([event])
    assert repository.get_event(event.id) == event


def test_a_person_acknowledges_while_the_condition_holds(repository: Repository) -> None:
    opened, updated, closed = life(3)
    repository.save_transitions([opened])
    acknowledged = repository.set_event_state(opened.id, ACKNOWLEDGED, actor="ann", now=500.0)
    assert (acknowledged.revision, acknowledged.state) == (2, ACKNOWLEDGED)
    # The analysis does not know of ann and goes on with its own revision 2 and 3.
    (stored,) = repository.save_transitions([updated])
    assert (stored.revision, stored.state) == (3, UPDATED)
    repository.save_transitions([closed])
    now = repository.get_event(opened.id)
    assert (now.revision, now.state, now.ended_at) == (4, ACKNOWLEDGED, closed.ended_at)
    assert now.data["desk"] == {"state": "acknowledged", "actor": "ann", "at": 500.0}
    assert [step.state for step in repository.history(opened.id)] == [OPENED, ACKNOWLEDGED, UPDATED, CLOSED]
    assert repository.save_transitions([updated, closed]) == []  # still recognised under other revisions


def test_acknowledging_twice_is_one_step_and_audited_once(repository: Repository) -> None:
    event = an_event()
    repository.save_transitions([event])
    first = repository.set_event_state(event.id, ACKNOWLEDGED, actor="ann", now=1.0)
    assert repository.set_event_state(event.id, ACKNOWLEDGED, actor="bob", now=2.0) == first
    (entry,) = repository.list_audit().items
    assert (entry.actor, entry.action, entry.subject) == ("ann", "event.acknowledged", event.id)


def test_people_do_not_step_back(repository: Repository) -> None:
    event = an_event()
    repository.save_transitions([event])
    repository.set_event_state(event.id, RESOLVED, actor="ann")
    for state in (ACKNOWLEDGED, EventState.DISPATCHED, CLOSED):
        with pytest.raises(ConflictError):
            repository.set_event_state(event.id, state, actor="ann")
    with pytest.raises(EventNotFoundError):
        repository.set_event_state(event.id, RESOLVED, actor="eve", tenant="other")


def test_a_resolved_event_that_comes_back_is_open_again() -> None:
    opened, closed = life(2)
    _, row = merge(None, opened)
    _, row = merge(row, closed)
    resolved = advance(row, RESOLVED, "ann", 200.0)
    assert resolved is not None
    back = next_step(closed, UPDATED, ended_at=None)
    _, row = merge(resolved, back)
    assert (row.event.state, row.event.ended_at) == (UPDATED, None)


def test_the_evidence_picture_stays_with_the_event() -> None:
    opened, updated = life(2)
    _, row = merge(None, opened.model_copy(update={"snapshot": "events/1.jpg"}))
    step, row = merge(row, updated)
    assert step.snapshot == row.event.snapshot == "events/1.jpg"


def test_a_step_that_comes_late_is_kept_but_does_not_turn_the_row_back() -> None:
    steps = life(4)
    row: Current | None = None
    for step in (steps[0], steps[2], steps[3], steps[1]):
        stored, row = merge(row, step)
    assert row is not None
    assert stored.revision == row.event.revision == 4
    assert (row.event.state, row.event.updated_at) == (CLOSED, steps[3].updated_at)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["step", "again", "person"]), min_size=1, max_size=12))
def test_stored_revisions_are_dense_whoever_writes(acts: list[str]) -> None:
    event = an_event()
    _, row = merge(None, event)
    seen = [1]
    for act in acts:
        if act == "person":
            new = advance(row, ACKNOWLEDGED, "ann", 1.0)
            if new is None:
                continue
            row = new
        else:
            event = next_step(event) if act == "step" else event
            _, row = merge(row, event)
        seen.append(row.event.revision)
    assert seen == list(range(1, len(seen) + 1))


def test_open_events_are_those_whose_condition_holds(repository: Repository) -> None:
    standing = an_event(id=uuid7(1), started_at=1.0)
    handled = an_event(id=uuid7(2), started_at=2.0, key="track/2")
    over = life(2, id=uuid7(3), key="track/3")
    elsewhere = an_event(id=uuid7(4), stream_id="yard")
    repository.save_transitions([standing, handled, *over, elsewhere])
    repository.set_event_state(handled.id, RESOLVED, actor="ann")
    assert [event.id for event in repository.open_events(["gate"])] == [standing.id, handled.id]
    assert {event.id for event in repository.open_events()} == {standing.id, handled.id, elsewhere.id}
    ended = over[-1].ended_at
    assert over[-1] in repository.open_events(["gate"], closed_since=ended)
    assert repository.open_events([]) == []


def test_filters_and_pages_give_each_event_once_newest_first(repository: Repository) -> None:
    made = [
        an_event(
            id=uuid7(number),
            started_at=float(number // 2),  # two at the same moment
            stream_id="gate" if number % 3 else "yard",
            algorithm="intrusion" if number % 2 else "loitering",
            severity=Severity.CRITICAL if number == 5 else Severity.ALERT,
            tenant="fire" if number == 6 else "default",
        )
        for number in range(11)
    ]
    repository.save_transitions(made)
    seen, cursor = [], None
    while True:
        page = repository.list_events(limit=2, cursor=cursor)
        seen += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == sorted(made, key=lambda event: (event.started_at, event.id), reverse=True)

    def ids(**filters: object) -> set[str]:
        return {event.id for event in repository.list_events(**filters).items}  # type: ignore[arg-type]

    assert ids(stream_id="yard") == {event.id for event in made if event.stream_id == "yard"}
    assert ids(algorithm="loitering") == {event.id for event in made if event.algorithm == "loitering"}
    assert ids(severity=Severity.CRITICAL) == {made[5].id}
    assert ids(tenant="fire") == {made[6].id}
    assert ids(state=CLOSED) == set()
    assert ids(since=2.0, until=3.0) == {made[4].id, made[5].id}
    assert ids(stream_id="gate", tenant="default", since=5.0) == {made[10].id}
    with pytest.raises(EventNotFoundError):
        repository.get_event(made[6].id, tenant="default")


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJhIiwiYiJd"])
def test_a_forged_event_cursor_is_the_callers_error(repository: Repository, cursor: str) -> None:
    with pytest.raises(ParamsError):
        repository.list_events(cursor=cursor)


def test_a_listener_sees_every_step_in_order(repository: Repository) -> None:
    mine, others = life(3), life(2, id=uuid7(7), tenant="fire", stream_id="yard")
    repository.save_transitions([mine[0], others[0]])
    repository.save_transitions([mine[1], others[1], mine[2]])
    steps = repository.transitions_after(0)
    assert [step.event for step in steps] == [mine[0], others[0], mine[1], others[1], mine[2]]
    assert [step.seq for step in steps] == sorted({step.seq for step in steps})
    assert repository.last_seq() == steps[-1].seq
    assert repository.transitions_after(steps[2].seq, limit=1) == [steps[3]]
    assert [s.event for s in repository.transitions_after(0, tenant="fire")] == others
    assert [s.event for s in repository.transitions_after(0, stream_id="gate")] == mine


def test_pruning_forgets_what_is_over_and_delivered(repository: Repository) -> None:
    repository.add_sink(SinkSpec("s1", "s", "jsonl", streams=("gate",)))
    waiting = life(2)
    done = life(2, id=uuid7(2), stream_id="yard")
    holds = an_event(id=uuid7(3), stream_id="yard")
    repository.save_transitions([*waiting, *done, holds])
    seq = repository.last_seq()
    assert repository.prune(older_than_s=10, now=105.0) == 0
    assert repository.prune(older_than_s=10, now=1000.0) == 1
    assert repository.history(done[0].id) == []
    assert repository.history(waiting[0].id) == waiting
    repository.save_transitions([an_event(id=uuid7(4))])
    assert repository.last_seq() > seq  # numbers are never used twice


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=6))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_split_into_calls_with_repeats_stores_the_same(
    repository: Repository, calls: list[tuple[int, int]]
) -> None:
    """Whatever a writer repeats, the stored life is the one that happened."""
    steps = life(5)
    sent = 0
    for repeated, fresh in [*calls, (0, len(steps))]:
        repository.save_transitions(steps[max(0, sent - repeated) : sent + fresh])
        sent = min(len(steps), sent + fresh)
    assert repository.history(steps[0].id) == steps
