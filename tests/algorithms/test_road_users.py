"""Who is on foot, one box for one thing, and hours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.algorithms.base import StageError, stage_type
from aihub.algorithms.builtin import road_users  # noqa: F401 - registers its stages
from aihub.testing import FakePredictor, boxes, picture
from aihub.types import Detections, Frame

LABELS = ("person", "bicycle", "car", "truck")


def make(name: str, **params: Any) -> Any:
    kind = stage_type(name)
    return kind(kind.params_type.model_validate(params), FakePredictor())


def at(captured: float = 0.0) -> Frame:
    return Frame(picture(100, 100), captured_at=captured)


SEEN = [
    ((40, 10, 60, 75), True, "sits on it: feet a little above the wheels' ground"),
    ((40, 10, 60, 95), False, "stands in front of it: feet nearer than the wheels"),
    ((75, 10, 95, 75), False, "stands beside it"),
    ((40, 45, 60, 75), False, "is not higher than it"),
    ((40, 0, 60, 42), False, "stands far behind it"),
    ((0, 10, 20, 75), False, "is elsewhere"),
]


@pytest.mark.parametrize(("box", "rides", "reason"), SEEN, ids=[row[2] for row in SEEN])
def test_who_rides_and_who_walks(box: tuple[float, float, float, float], rides: bool, reason: str) -> None:
    found = boxes(
        ("person", 0.9, box), ("bicycle", 0.5, (30, 40, 75, 80)), ("car", 0.9, (0, 0, 90, 90)), labels=LABELS
    )
    assert make("on-foot").process(at(), found).names() == ([] if rides else ["person"]), reason
    assert make("on-foot", rides=["motorcycle"]).process(at(), found).names() == ["person"]


def test_without_anything_to_ride_all_people_walk() -> None:
    people = boxes(("person", 0.9, (0, 0, 9, 9)), ("person", 0.2, (5, 5, 9, 9)), labels=LABELS)
    assert len(make("on-foot").process(at(), people)) == 2
    assert len(make("on-foot").process(at(), Detections.empty(LABELS))) == 0


corner = st.floats(0, 60)
rows = st.lists(
    st.tuples(st.sampled_from(LABELS), st.floats(0.1, 1), corner, corner, st.floats(1, 40)), max_size=12
)


@given(made=rows)
def test_one_kind_keeps_the_surest_of_each_place(made: list[tuple[str, float, float, float, float]]) -> None:
    found = boxes(
        *((name, score, (x, y, x + side, y + side)) for name, score, x, y, side in made), labels=LABELS
    )
    stage = make("one-kind", overlap=0.5)
    kept = stage.process(at(), found)
    assert set(map(tuple, kept.xyxy.tolist())) <= set(map(tuple, found.xyxy.tolist()))
    assert not len(found) or float(found.confidence.max()) in kept.confidence.tolist()
    assert len(stage.process(at(), kept)) == len(kept)


def test_one_kind_keeps_what_lies_elsewhere() -> None:
    found = boxes(
        ("truck", 0.4, (0, 0, 50, 40)),
        ("car", 0.8, (1, 0, 50, 41)),
        ("car", 0.3, (40, 0, 90, 40)),
        labels=LABELS,
    )
    assert make("one-kind").process(at(), found).confidence.tolist() == pytest.approx([0.8, 0.3])


@pytest.mark.parametrize("name", ["on-foot", "one-kind"])
def test_they_work_on_detections_only(name: str) -> None:
    with pytest.raises(StageError, match=name):
        make(name).process(at(), None)
    assert np.array_equal(make(name).process(at(), Detections.empty(LABELS)).class_id, np.zeros(0, np.int32))
