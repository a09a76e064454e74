"""Feedback in the database: one a key and event, told apart by tenant, gone when its time is over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from aihub.storage.base import FeedbackNotFoundError
from aihub.storage.records import Actor
from aihub.storage.repository import Repository
from aihub.types import Event, EventState, uuid7
from aihub.types.feedback import Feedback, KeptPicture, LabelledBox, Verdict
from tests.storage.databases import an_event, next_step

ANN = Actor("ann", "default", "key-ann", "10.0.0.1")
BEN = Actor("ben", "default", "key-ben")


def a_word(event_id: str = "e1", at: float = 100.0, **changes: object) -> Feedback:
    fields: dict[str, object] = {
        "id": uuid7(at), "event_id": event_id, "tenant": "default", "stream_id": "gate", "algorithm": "intrusion",
        "algorithm_version": 1, "label": "person", "verdict": Verdict.TRUE, "note": "汉字 🚒",
        "boxes": [LabelledBox(label="person", box=(0.1, 2, 3.25, 4))], "picture": KeptPicture.STORED,
        "width": 640, "height": 360, "given_by": "ann", "at": at,
    }  # fmt: skip
    return Feedback.model_validate(fields | changes)


def test_what_is_given_comes_back(repository: Repository) -> None:
    full = a_word()
    bare = a_word("e2", verdict=Verdict.FALSE, boxes=[], picture=KeptPicture.GONE, width=None, height=None)
    assert [repository.give_feedback(said, by=ANN) for said in (full, bare)] == [None, None]
    assert repository.get_feedback(full.id) == full
    assert repository.get_feedback(bare.id, tenant="default") == bare


def test_the_same_key_replaces_and_another_adds(repository: Repository) -> None:
    first, second, third = (a_word(at=100.0 + number) for number in range(3))
    assert repository.give_feedback(first, by=ANN) is None
    assert repository.give_feedback(second, by=BEN) is None
    assert repository.give_feedback(third, by=ANN) == first.id
    assert repository.feedback_of_event("e1") == [third, second]
    with pytest.raises(FeedbackNotFoundError):
        repository.get_feedback(first.id)


def test_people_with_one_key_who_speak_at_once_leave_one_row(url: str) -> None:
    repositories = [Repository.open(url, timeout_s=5) for _ in range(4)]
    words = [a_word(at=100.0 + number) for number in range(24)]

    def give(number: int) -> str | None:
        return repositories[number % 4].give_feedback(words[number], by=ANN)

    with ThreadPoolExecutor(4) as pool:
        replaced = list(pool.map(give, range(len(words))))
    (left,) = repositories[0].feedback_of_event("e1")
    assert left in words
    assert left.id not in replaced
    for one in repositories:
        one.close()


def test_other_tenants_see_and_remove_nothing(repository: Repository) -> None:
    said = a_word()
    repository.give_feedback(said, by=ANN)
    with pytest.raises(FeedbackNotFoundError):
        repository.get_feedback(said.id, tenant="other")
    with pytest.raises(FeedbackNotFoundError):
        repository.delete_feedback(said.id, by=BEN, tenant="other")
    assert repository.list_feedback(tenant="other").items == []
    assert repository.list_feedback(tenant="default").items == [said]


@pytest.mark.parametrize(
    ("filters", "numbers", "why"),
    [
        ({}, [5, 4, 3, 2, 1, 0], "newest first"),
        ({"algorithm": "a1"}, [5, 3, 1], "one algorithm"),
        ({"verdict": Verdict.FALSE}, [3, 0], "one verdict"),
        ({"since": 103.0}, [5, 4, 3], "at or after"),
        ({"since": 103.0, "algorithm": "a1", "verdict": Verdict.FALSE}, [3], "all at once"),
        ({"tenant": "t9"}, [], "nobody's"),
    ],
)
def test_lists_filter_and_pages_hold_everything_once(
    repository: Repository, filters: dict[str, object], numbers: list[int], why: str
) -> None:
    words = [
        a_word(f"e{n}", 100.0 + n, algorithm=f"a{n % 2}", verdict=Verdict.TRUE if n % 3 else Verdict.FALSE)
        for n in range(6)
    ]
    for said in words:
        repository.give_feedback(said, by=ANN)
    found: list[Feedback] = []
    cursor: str | None = None
    while True:
        page = repository.list_feedback(**filters, cursor=cursor, limit=2)  # type: ignore[arg-type]
        assert len(page.items) <= 2
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert found == [words[number] for number in numbers], why


def test_changes_and_their_notes_are_one(repository: Repository) -> None:
    said = a_word()
    repository.give_feedback(said, by=ANN)
    repository.delete_feedback(said.id, by=BEN, now=200.0)
    with pytest.raises(FeedbackNotFoundError):
        repository.delete_feedback(said.id, by=BEN)
    removed, given = repository.list_audit().items
    assert (given.action, given.subject, given.actor, given.at) == ("feedback.give", "e1", "ann", 100.0)
    assert (removed.action, removed.subject, removed.actor, removed.at) == (
        "feedback.delete", said.id, "ben", 200.0,
    )  # fmt: skip
    assert given.detail["verdict"] == "true"
    assert "汉字" not in str(given.detail), "people's own words stay out of the audit"


def test_the_old_goes_in_bounded_steps_oldest_first(repository: Repository) -> None:
    words = [a_word(f"e{number}", at=float(number)) for number in range(5)]
    for said in words:
        repository.give_feedback(said, by=ANN)
    gone = [repository.prune_feedback(older_than_s=10, limit=2, now=13.0) for _ in range(3)]
    assert gone == [[words[0].id, words[1].id], [words[2].id], []]
    assert repository.feedback_with_picture() == {words[3].id, words[4].id}, "at the limit is not past it"


def test_only_kept_pictures_are_known(repository: Repository) -> None:
    stored = a_word("e1")
    repository.give_feedback(stored, by=ANN)
    for kind in (KeptPicture.GONE, KeptPicture.NOT_ALLOWED):
        repository.give_feedback(a_word(f"e-{kind.value}", picture=kind), by=ANN)
    assert repository.feedback_with_picture() == {stored.id}


def steps(*snapshots: str | None) -> list[Event]:
    """A life whose boxes are numbered as its steps are."""
    made = [an_event(snapshot=snapshots[0], box=(0.0, 0.0, 0.001, 1.0))]
    for number, snapshot in enumerate(snapshots[1:], 2):
        made.append(
            next_step(made[-1], EventState.UPDATED, snapshot=snapshot, box=(0.0, 0.0, number / 1000, 1.0))
        )
    return made


@pytest.mark.parametrize(
    ("snapshots", "step", "why"),
    [
        (("a",), 1, "it has just opened"),
        (("a", "b", "c"), 3, "each step its picture"),
        (("a", None), 1, "the picture of the second could not be kept"),
        (("a", "b", None, "c", None, None), 4, "nor of the last two"),
        ((None, None), 2, "there never was one: the event as it is"),
        (("a", *["b"] * 250), 2, "a host that took the event over kept its picture for hours"),
    ],
)
def test_a_picture_shows_the_step_it_was_taken_on(
    repository: Repository, snapshots: tuple[str | None, ...], step: int, why: str
) -> None:
    life = steps(*snapshots)
    repository.save_transitions(life)
    found = repository.sighting(repository.get_event(life[0].id))
    assert found.box == (0.0, 0.0, step / 1000, 1.0), why
