"""Laws of an event's life."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.events.lifecycle import MAX_KEYS, ORPHANED_S, EventBook, Subject
from aihub.types import Event, EventSpec, EventState, Observation

OPENED, UPDATED, CLOSED = EventState.OPENED, EventState.UPDATED, EventState.CLOSED
QUICK = EventSpec(type="intrusion", min_duration=0, close_after=5, cooldown=30, update_every=30)


def subject(spec: EventSpec = QUICK, stream: str = "gate", task: str = "t1") -> Subject:
    return Subject(stream, "default", task, "intrusion", 1, spec, {"yolo": "00"})


def seen(key: str = "track/1", confidence: float = 0.9, label: str = "person") -> Observation:
    return Observation(key, label, confidence, (0.1, 0.1, 0.2, 0.2), {"n": 1})


def states(events: Sequence[Event]) -> list[EventState]:
    return [event.state for event in events]


def run(
    times: Sequence[float], sighted: Sequence[bool], spec: EventSpec = QUICK, book: EventBook | None = None
) -> list[Event]:
    """Frames at times, the condition on those where `sighted`."""
    book = book or EventBook()
    told: list[Event] = []
    for time, holds in zip(times, sighted, strict=True):
        told += book.observe(subject(spec), [seen()] if holds else [], time)
    return told


def test_a_life_from_first_sight_to_close() -> None:
    book = EventBook()
    (opened,) = book.observe(subject(), [seen()], 100.0)
    assert (opened.state, opened.revision, opened.started_at, opened.ended_at) == (OPENED, 1, 100.0, None)
    assert (opened.key, opened.label, opened.box) == ("track/1", "person", (0.1, 0.1, 0.2, 0.2))
    assert (opened.models, opened.data) == ({"yolo": "00"}, {"n": 1})
    assert book.observe(subject(), [seen()], 101.0) == []
    assert book.observe(subject(), [], 105.9) == []
    (closed,) = book.observe(subject(), [], 106.0)
    assert (closed.id, closed.state, closed.revision, closed.ended_at) == (opened.id, CLOSED, 2, 101.0)


def test_without_observations_nothing_happens() -> None:
    book = EventBook()
    for number in range(100):
        assert book.observe(subject(), [], float(number)) == []
    assert book.tick(1e6) == []
    assert len(book) == 0


@pytest.mark.parametrize(
    ("times", "opens_at", "why"),
    [
        ([0, 1, 2, 3, 4], None, "4 s are not 5"),
        ([0, 1, 2, 3, 4, 5], 5, "held for 5 s"),
        ([0, 2.4, 5], 5, "frames may be missing"),
        ([0, 2.9, 5.8], 5.8, "gaps below close_after are tolerated"),
        ([0, 2, 5.5, 6, 8, 10.4], None, "the gap began it anew: 4.9 s"),
        ([0, 2, 5.5, 6, 8, 10.5], 10.5, "the gap began it anew: 5 s"),
    ],
)
def test_a_condition_must_hold_for_min_duration(times: list[float], opens_at: float | None, why: str) -> None:
    spec = QUICK.model_copy(update={"min_duration": 5.0, "close_after": 3.0})
    frames = sorted({*times, *(number / 2 for number in range(24) if number / 2 <= times[-1])})
    told = run(frames, [time in times for time in frames], spec)
    assert [event.updated_at for event in told] == ([] if opens_at is None else [opens_at]), why


def test_updates_come_at_their_pace_and_sooner_when_seen_clearer() -> None:
    book = EventBook()
    spec = QUICK.model_copy(update={"update_every": 10.0})
    book.observe(subject(spec), [seen(confidence=0.5)], 0.0)
    told = [
        event for time in range(1, 22) for event in book.observe(subject(spec), [seen(confidence=0.5)], time)
    ]
    assert [event.updated_at for event in told] == [10.0, 20.0]
    assert book.observe(subject(spec), [seen(confidence=0.55)], 22.0) == []  # hardly clearer
    (clearer,) = book.observe(subject(spec), [seen(confidence=0.65, label="child")], 23.0)
    assert (clearer.confidence, clearer.label, clearer.state) == (0.65, "child", UPDATED)
    assert book.observe(subject(spec), [seen(confidence=0.9)], 23.2) == []  # too soon
    (later,) = book.observe(subject(spec), [seen(confidence=0.3)], 24.0)
    assert later.confidence == 0.9  # the best so far, not the last


def test_a_label_that_flickers_is_no_flood() -> None:
    book = EventBook()
    told = []
    for number in range(100):
        label = "car" if number % 2 else "truck"
        told += book.observe(subject(), [seen(confidence=0.6 + number % 2 / 100, label=label)], number / 5)
    assert len(told) <= 2


def test_what_flickers_within_the_cooldown_is_one_event() -> None:
    book = EventBook()
    told = []
    for round_ in range(10):
        told += book.observe(subject(), [seen()], round_ * 20.0)
        for step in range(1, 20):
            told += book.observe(subject(), [], round_ * 20.0 + step)
    assert len({event.id for event in told}) == 1
    assert states(told) == [OPENED, CLOSED] + [UPDATED, CLOSED] * 9
    assert [event.revision for event in told] == list(range(1, 21))
    assert all((event.ended_at is None) == (event.state is not CLOSED) for event in told)


def test_after_the_cooldown_it_is_a_new_event_and_the_old_is_forgotten() -> None:
    book = EventBook()
    book.observe(subject(), [seen()], 0.0)
    for time in range(1, 37):
        book.observe(subject(), [], float(time))
    assert len(book) == 0  # closed at 5, cooled at 35
    (again,) = book.observe(subject(), [seen()], 37.0)
    assert (again.state, again.revision) == (OPENED, 1)


def test_coming_back_takes_min_duration_too() -> None:
    spec = QUICK.model_copy(update={"min_duration": 3.0})
    told = run(
        [float(number) for number in range(40)],
        [number in {0, 1, 2, 3, 15, 25, 26, 27, 28} for number in range(40)],
        spec,
    )
    # The sight at 15 was too short; that from 25 to 28 counts.
    assert [(event.state, event.updated_at) for event in told] == [
        (OPENED, 3.0),
        (CLOSED, 8.0),
        (UPDATED, 28.0),
        (CLOSED, 33.0),
    ]


@pytest.mark.parametrize("fps", [1, 5, 25])
def test_the_frame_rate_does_not_decide(fps: int) -> None:
    spec = QUICK.model_copy(update={"min_duration": 2.0, "close_after": 4.0, "cooldown": 10.0})
    frames = [number / fps for number in range(60 * fps + 1)]
    holds = [5 <= time <= 15 or 18 <= time <= 20 or 25 <= time <= 26 or 45 <= time <= 50 for time in frames]
    told = run(frames, holds, spec)
    whole = [(event.state, round(event.started_at)) for event in told if event.state is not UPDATED]
    # The holes at 15..18 are shorter than close_after; 25..26 is shorter than min_duration.
    assert whole == [(OPENED, 5), (CLOSED, 5), (OPENED, 45), (CLOSED, 45)]


@pytest.mark.parametrize("interval", [5.0, 10.0, 30.0])
def test_a_slow_stream_does_not_flicker(interval: float) -> None:
    """Frames further apart than `close_after` are no proof that the condition was gone between them."""
    book = EventBook()
    told = []
    for number in range(10):
        told += book.observe(subject(), [seen()], number * interval)
        for second in range(int(interval)):
            told += book.tick(number * interval + second)
    assert {event.state for event in told} == {OPENED, UPDATED}


def test_a_dead_cameras_events_end() -> None:
    book = EventBook()
    for number in range(5):
        book.observe(subject(), [seen()], number / 5)
    assert book.tick(5.7) == []
    (closed,) = book.tick(5.8)
    assert (closed.state, closed.ended_at) == (CLOSED, 0.8)
    assert book.tick(6.0) == []
    book.tick(100.0)
    assert len(book) == 0


def test_ticks_leave_living_streams_alone() -> None:
    book = EventBook()
    told: list[Event] = []
    for number in range(100):
        told += book.observe(subject(), [seen()], number / 5)
        told += book.tick(number / 5 + 3.0)  # frames are analysed 3 s after they were captured
    assert states(told) == [OPENED]


def test_removed_tasks_close_and_others_go_on() -> None:
    book = EventBook()
    for task in ("t1", "t2", "t3"):
        book.observe(subject(task=task), [seen()], 1.0)
    book.observe(subject(stream="yard"), [seen()], 1.0)
    told = book.forget("gate", {"t1"}, 2.0)
    assert [(event.task_id, event.state, event.ended_at) for event in told] == [("t1", CLOSED, 1.0)]
    assert {event.task_id for event in book.forget("gate", None, 3.0)} == {"t2", "t3"}
    assert book.open_count() == 1
    assert book.forget("none", None, 3.0) == []


def test_streams_another_host_took_over_close_nothing_here() -> None:
    book = EventBook()
    book.observe(subject(), [seen()], 1.0)
    book.drop("gate")
    assert book.tick(100.0) == []
    assert book.forget("gate", None, 100.0) == []


def test_after_a_restart_the_same_event_goes_on() -> None:
    before = EventBook()
    (opened,) = before.observe(subject(), [seen()], 100.0)
    book = EventBook()
    book.restore([opened])
    assert book.tick(112.0) == []
    assert book.observe(subject(), [], 115.0) == []  # the time in which nobody looked is no absence
    (updated,) = [
        event for time in range(116, 132) for event in book.observe(subject(), [seen()], float(time))
    ]
    assert (updated.id, updated.revision, updated.state) == (opened.id, 2, UPDATED)


def test_after_a_restart_an_update_asks_for_a_picture_of_its_own_frame() -> None:
    before = EventBook()
    (opened,) = before.observe(subject(), [seen()], 100.0)
    book = EventBook()
    book.restore([opened.model_copy(update={"snapshot": "of-the-first-frame.jpg"})])
    (updated,) = [
        event for time in range(116, 132) for event in book.observe(subject(), [seen()], float(time))
    ]
    assert updated.snapshot is None


def test_after_a_restart_what_is_gone_closes_when_it_was_last_known() -> None:
    before = EventBook()
    (opened,) = before.observe(subject(), [seen()], 100.0)
    book = EventBook()
    book.restore([opened])
    told = [event for time in range(115, 125) for event in book.observe(subject(), [], float(time))]
    assert [(event.state, event.ended_at, event.updated_at) for event in told] == [(CLOSED, 100.0, 120.0)]


def test_after_a_long_outage_it_is_another_event() -> None:
    before = EventBook()
    (opened,) = before.observe(subject(), [seen()], 100.0)
    book = EventBook()
    book.restore([opened])
    told = book.observe(subject(), [seen()], 4000.0)
    told += book.observe(subject(), [seen()], 4000.2)
    told += book.observe(subject(), [seen()], 4000.4)
    assert [(event.state, event.id == opened.id) for event in told] == [(CLOSED, True), (OPENED, False)]


def test_restored_events_whose_task_never_returns_close() -> None:
    before = EventBook()
    (opened,) = before.observe(subject(), [seen()], 100.0)
    book = EventBook()
    book.restore([opened])
    assert book.tick(500.0) == []  # the clock starts with the first tick
    assert book.tick(500.0 + ORPHANED_S - 1) == []
    (closed,) = book.tick(500.0 + ORPHANED_S)
    assert (closed.id, closed.revision, closed.state, closed.ended_at) == (opened.id, 2, CLOSED, 100.0)
    assert book.tick(1000.0) == []


def test_a_restored_closed_event_can_reopen() -> None:
    before = EventBook()
    told = run([0.0, 1.0, 8.0], [True, False, False], book=before)
    book = EventBook()
    book.restore([told[-1]])
    (back,) = book.observe(subject(), [seen()], 20.0)
    assert (back.id, back.state, back.revision) == (told[0].id, UPDATED, 3)


def test_a_clock_set_back_neither_hangs_nor_ends_events() -> None:
    book = EventBook()
    told = [event for number in range(10) for event in book.observe(subject(), [seen()], 5000.0 + number)]
    told += [event for number in range(10) for event in book.observe(subject(), [seen()], 1000.0 + number)]
    assert states(told) == [OPENED]
    told = [event for number in range(10, 20) for event in book.observe(subject(), [], 1000.0 + number)]
    assert states(told) == [CLOSED]


def test_frames_a_little_out_of_order_do_no_harm() -> None:
    book = EventBook()
    told = [event for time in (1.0, 1.4, 1.2, 1.6) for event in book.observe(subject(), [seen()], time)]
    assert states(told) == [OPENED]


def test_a_flood_of_keys_is_bounded_and_drops_no_open_event() -> None:
    book = EventBook()
    spec = QUICK.model_copy(update={"min_duration": 0.0})
    first = book.observe(subject(spec), [seen(f"code/{number}") for number in range(MAX_KEYS)], 0.0)
    assert len(first) == MAX_KEYS
    assert book.observe(subject(spec), [seen("code/more")], 0.2) == []
    assert len(book) == MAX_KEYS
    for number in range(1, 60):
        book.observe(subject(spec), [], number / 10)
    (more,) = book.observe(subject(spec), [seen("code/more")], 6.0)  # a closed one makes room
    assert more.state is OPENED
    assert len(book) == MAX_KEYS


Frames = st.lists(st.tuples(st.floats(0.05, 12), st.sets(st.sampled_from("abc"))), min_size=1, max_size=60)


@settings(deadline=None)
@given(Frames, st.sampled_from([0.0, 1.0, 5.0]), st.sampled_from([0.0, 10.0]), st.booleans())
def test_laws_hold_for_any_sequence(
    frames: list[tuple[float, set[str]]], min_duration: float, cooldown: float, ticking: bool
) -> None:
    spec = QUICK.model_copy(update={"min_duration": min_duration, "cooldown": cooldown, "update_every": 3.0})
    book, time, told = EventBook(), 0.0, []
    for gap, keys in frames:
        if ticking:
            told += book.tick(time + gap / 2)
        time += gap
        told += book.observe(subject(spec), [seen(key) for key in sorted(keys)], time)
    told += book.tick(time + 1000)
    told += book.tick(time + 2000)

    open_keys: dict[str, str] = {}
    revisions: dict[str, int] = {}
    for event in told:
        assert event.revision == revisions.get(event.id, 0) + 1  # 1, 2, 3, ...
        assert (event.state is OPENED) == (event.revision == 1)  # opened is first
        assert event.started_at <= event.updated_at
        revisions[event.id] = event.revision
        if event.state is CLOSED:
            assert open_keys.pop(event.key) == event.id  # closed follows opened
            assert event.ended_at is not None
            assert event.started_at <= event.ended_at <= event.updated_at
        else:
            assert open_keys.setdefault(event.key, event.id) == event.id  # one open event a key
            assert event.ended_at is None
    assert open_keys == {}
    assert len(book) == 0  # memory is given back
    if not any(keys for _, keys in frames):
        assert told == []


@settings(deadline=None)
@given(Frames)
def test_replaying_the_same_frames_gives_the_same_events(frames: list[tuple[float, set[str]]]) -> None:
    def replay() -> list[tuple[str, EventState, int, float]]:
        book, time, told = EventBook(), 0.0, []
        for gap, keys in frames:
            time += gap
            told += book.observe(subject(), [seen(key) for key in sorted(keys)], time)
        return [(event.key, event.state, event.revision, event.updated_at) for event in told]

    assert replay() == replay()


@settings(deadline=None)
@given(Frames, st.integers(1, 59))
def test_a_restart_anywhere_neither_doubles_nor_reuses_an_event(
    frames: list[tuple[float, set[str]]], at: int
) -> None:
    book, time = EventBook(), 0.0
    known: dict[str, Event] = {}
    for number, (gap, keys) in enumerate(frames):
        if number == at:
            book = EventBook()
            book.restore([event for event in known.values() if event.ended_at is None])
        time += gap
        for event in book.observe(subject(), [seen(key) for key in sorted(keys)], time):
            last = known.get(event.id)
            assert event.revision == (1 if last is None else last.revision + 1)
            known[event.id] = event
            standing = [other for other in known.values() if other.ended_at is None]
            assert len({other.key for other in standing}) == len(standing)
