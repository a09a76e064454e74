"""Two witnesses of fire: the table of who is believed how much."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.algorithms.base import StageError
from aihub.algorithms.builtin.fire import LABELS, FireFlickerParams
from aihub.algorithms.builtin.fire_witnesses import FireWitnesses, heard_together
from aihub.types import Detections, Frame

HERE, BESIDE, INSIDE = (100, 100, 200, 200), (300, 100, 400, 200), (120, 120, 140, 140)
Row = tuple[str, tuple[float, float, float, float], float]


def things(*rows: Row, labels: tuple[str, ...] = LABELS) -> Detections:
    return Detections(
        np.array([box for _, box, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, _, score in rows], np.float32),
        np.array([labels.index(name) for name, _, _ in rows], np.int32),
        labels,
    )


@pytest.mark.parametrize(
    ("seen", "moving", "heard"),
    [
        ([("fire", HERE, 0.3)], [], [("fire", 0.3)]),  # the network alone is believed as it is
        ([], [("fire", HERE, 0.6)], [("fire", 0.6)]),  # and so is flicker
        ([("fire", HERE, 0.3)], [("fire", HERE, 0.6)], [("fire", 0.72)]),  # both: 1 - 0.7 * 0.4
        ([("fire", HERE, 0.3)], [("fire", INSIDE, 0.6)], [("fire", 0.72)]),  # flicker at the heart of a flame
        ([("fire", HERE, 0.3)], [("fire", BESIDE, 0.6)], [("fire", 0.6), ("fire", 0.3)]),  # two fires
        (
            [("fire", HERE, 0.3)],
            [("smoke", HERE, 0.6)],
            [("smoke", 0.6), ("fire", 0.3)],
        ),  # smoke proves no flame
        (
            [("fire", HERE, 0.3), ("fire", INSIDE, 0.2)],
            [("fire", HERE, 0.5)],
            [("fire", 0.65), ("fire", 0.6)],
        ),  # it confirms both
    ],
)
def test_who_is_believed(seen: list[Row], moving: list[Row], heard: list[tuple[str, float]]) -> None:
    made = heard_together(things(*seen), things(*moving))
    assert list(zip(made.names(), made.confidence.round(4).tolist(), strict=True)) == [
        (name, pytest.approx(score, abs=1e-4)) for name, score in heard
    ]


scores = st.floats(0.01, 0.99)
rows = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from([HERE, BESIDE, INSIDE]), scores), max_size=4
)


@given(rows, rows)
def test_a_second_witness_never_lowers_what_the_network_saw_of_flames(
    seen: list[Row], moving: list[Row]
) -> None:
    made = heard_together(things(*seen), things(*moving))
    assert sorted(made.confidence.tolist(), reverse=True) == made.confidence.tolist()
    for name, box, score in (row for row in seen if row[0] == "fire"):
        rows = (made.xyxy == np.array(box, np.float32)).all(axis=1)
        found = [
            c for c, n, row in zip(made.confidence, made.names(), rows, strict=True) if row and n == name
        ]
        assert max(found) >= np.float32(score) - 1e-6
    assert len(made) <= len(seen) + len(moving)


def stage(*, smoke: bool = True) -> FireWitnesses:
    return FireWitnesses(FireFlickerParams(smoke=smoke), None)  # type: ignore[arg-type]


FRAME = Frame(np.zeros((240, 320, 3), np.uint8))


def test_on_a_single_picture_the_network_speaks_alone() -> None:
    seen = things(("fire", (10, 10, 50, 50), 0.5), ("smoke", (60, 10, 90, 50), 0.4))
    assert stage().process(FRAME, seen).names() == ["fire", "smoke"]
    assert stage(smoke=False).process(FRAME, seen).names() == ["fire"]


def test_labels_are_known_by_name_not_by_place() -> None:
    other = things(("smoke", (10, 10, 50, 50), 0.5), labels=("person", "smoke", "fire"))
    assert stage().process(FRAME, other).to_json()["detections"][0]["label"] == "smoke"


def test_a_detector_that_saw_nothing_at_all_leaves_flicker_alone() -> None:
    assert len(stage().process(FRAME, Detections.empty())) == 0


@pytest.mark.parametrize("before", [None, things(labels=("person",))])
def test_it_follows_a_detector_of_fire(before: Detections | None) -> None:
    with pytest.raises(StageError, match="fire, smoke"):
        stage().process(FRAME, before)
