"""What a checkpoint keeps: every algorithm of the project goes on behind it as if nothing had happened."""

from __future__ import annotations

import pytest

from aihub.algorithms.planner import Plan
from aihub.algorithms.registry import Registry
from aihub.errors import AihubError
from aihub.events.lifecycle import EventBook, Subject
from aihub.jobs.checkpoint import freeze, thaw
from aihub.testing import FakePredictor
from aihub.types import AnyResult, Findings, Frame, InputKind
from tests.jobs.films import scene, see_square

EYES = FakePredictor(dict.fromkeys(("coco", "face", "faces", "yunet"), see_square))
REGISTRY = Registry(EYES)
LOOKING = [
    algorithm.card.id
    for algorithm in REGISTRY.list()
    if {InputKind.IMAGE, InputKind.VIDEO} & set(algorithm.card.input)
]
BEGIN_AGAIN = {"background-model"}
"""OpenCV keeps the ground to itself: a job with it begins again after a restart, as any whose memory cannot be kept."""


def frames(first: int, last: int) -> list[Frame]:
    return [Frame(scene(index), "t/j", index, index / 10, index / 10) for index in range(first, last)]


def told(plan: Plan, frame: Frame) -> object:
    found = plan.run(frame)["task"]
    return str(found) if isinstance(found, AihubError) else found.to_json()


@pytest.mark.parametrize("name", LOOKING)
def test_every_algorithm_goes_on_behind_a_checkpoint(name: str) -> None:
    """Law: frozen and thawed in the midst of a film, a plan says about the rest what it would have said anyway."""
    plan = Plan(EYES)
    plan.set("task", REGISTRY.get(name), {})
    for frame in frames(0, 25):
        plan.run(frame)
    memory = freeze(plan, EYES)
    if name in BEGIN_AGAIN:
        assert memory is None
        return
    assert memory is not None, (
        "a stage keeps what cannot be pickled: jobs with it begin again after a restart"
    )
    other = thaw(memory, EYES, REGISTRY.get)
    assert isinstance(other, Plan)
    for frame, same in zip(frames(25, 45), frames(25, 45), strict=True):
        assert told(other, frame) == told(plan, same)


def test_the_book_of_events_goes_on_with_its_ids() -> None:
    algorithm = REGISTRY.get("intrusion")
    assert algorithm.card.event is not None
    subject = Subject("j", "t", "task", "intrusion", 1, algorithm.card.event)
    plan, book = Plan(EYES), EventBook()
    plan.set("task", algorithm, {})

    def look(frame: Frame) -> None:
        found: AnyResult | AihubError = plan.run(frame)["task"]
        assert isinstance(found, Findings)
        book.observe(subject, found.observations, frame.monotonic)

    for frame in frames(0, 30):
        look(frame)
    assert book.open_count() > 0
    memory = freeze(book, EYES)
    assert memory is not None
    other = thaw(memory, EYES, REGISTRY.get)
    ended = {(event.id, event.revision) for event in book.forget("j", None, 3.0)}
    assert {(event.id, event.revision) for event in other.forget("j", None, 3.0)} == ended
    assert ended


def test_what_cannot_be_kept_is_none_and_no_error() -> None:
    assert freeze(lambda: None, EYES) is None
    assert thaw(b"nonsense", EYES, REGISTRY.get) is None
    gone = freeze(REGISTRY.get("intrusion"), EYES)
    assert gone is not None

    def missing(name: str) -> object:
        raise KeyError(name)

    assert thaw(gone, EYES, missing) is None  # type: ignore[arg-type]
