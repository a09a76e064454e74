"""After a restart trackers count anew: what goes on is found by place, and numbers of yesterday mean nothing."""

from __future__ import annotations

import pytest

from aihub.events.lifecycle import EventBook, Subject
from aihub.types import Event, EventSpec, EventState, Observation, Severity

SPEC = EventSpec(type="intrusion", severity=Severity.ALERT, close_after=3, cooldown=0)
SUBJECT = Subject("gate", "default", "t", "intrusion", 1, SPEC)
PLACE = (0.4, 0.4, 0.5, 0.8)
ELSEWHERE = (0.8, 0.1, 0.9, 0.4)


def seen(key: str, box: tuple[float, float, float, float] = PLACE, label: str = "person") -> Observation:
    return Observation(key, label, 0.9, box)


def restarted(key: str) -> tuple[EventBook, Event]:
    """A book of a new process that restored one open event of the old one."""
    (event,) = EventBook().observe(SUBJECT, [seen(key)], 100.0)
    book = EventBook()
    book.restore([event])
    return book, event


def nothing_for(book: EventBook, since: float, seconds: float = 6.0) -> list[Event]:
    """Empty frames, five a second."""
    frames = (since + number / 5 for number in range(1, int(seconds * 5)))
    return [event for time in frames for event in book.observe(SUBJECT, [], time)]


@pytest.mark.parametrize("key", ["track/1", "track/7"])  # the number of today may be the old one or another
def test_a_track_that_is_still_there_keeps_its_event(key: str) -> None:
    book, before = restarted("track/7")
    assert book.observe(SUBJECT, [seen(key)], 104.0) == []
    (closed,) = nothing_for(book, 104.0)
    assert (closed.id, closed.state) == (before.id, EventState.CLOSED)


@pytest.mark.parametrize(
    ("key", "box", "label"),
    [
        ("track/7", ELSEWHERE, "person"),  # the number came back, but somewhere else: somebody else
        ("track/1", PLACE, "car"),  # another kind of thing at the place
        ("track/7/crossing-1", PLACE, "person"),  # a crossing is an instant, never the going on of another
    ],
)
def test_something_else_is_a_new_event(key: str, box: tuple[float, float, float, float], label: str) -> None:
    book, before = restarted("track/7")
    (opened,) = book.observe(SUBJECT, [seen(key, box, label)], 104.0)
    assert opened.id != before.id
    assert opened.state is EventState.OPENED


def test_two_that_stand_together_keep_one_event_each() -> None:
    near = (0.42, 0.4, 0.52, 0.8)
    first, second = EventBook().observe(SUBJECT, [seen("track/1"), seen("track/2", near)], 100.0)
    book = EventBook()
    book.restore([first, second])
    assert book.observe(SUBJECT, [seen("track/2"), seen("track/1", near)], 101.0) == []
    closed = nothing_for(book, 101.0)
    assert {event.id for event in closed} == {first.id, second.id}


def test_keys_that_mean_the_same_everywhere_are_found_by_key() -> None:
    book, _ = restarted("zone")
    assert book.observe(SUBJECT, [seen("zone", ELSEWHERE)], 104.0) == []
