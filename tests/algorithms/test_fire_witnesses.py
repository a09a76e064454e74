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


BLANK = np.zeros((240, 320, 3), np.uint8)
FRAME = Frame(BLANK)
AHEAD = (180, 100, 280, 200)
"""Overlaps `HERE` by a fifth: someone has walked on."""
Look = tuple[float, tuple[float, float, float, float] | None, bool]
"""Second, where it flickers, whether the network sees fire there."""


class Flickers:
    """A flicker stage that sees what it is told to."""

    def __init__(self, label: str = "fire") -> None:
        self.label, self.box = label, HERE

    def process(self, _: Frame, __: None) -> Detections:
        return things((self.label, self.box, 0.8)) if self.box else things()


def looks(*rows: Look, label: str = "fire") -> list[float]:
    """How much the surest is believed at each look; 0 for none."""
    tried, flicker = stage(), Flickers(label)
    tried._flicker = flicker  # type: ignore[assignment]
    believed = []
    for second, flicker.box, confirmed in rows:  # type: ignore[assignment]
        seen = things((label, flicker.box, 0.2)) if confirmed and flicker.box else things()
        found = tried.process(Frame(BLANK, monotonic=100 + second), seen)
        believed.append(round(float(found.confidence.max(initial=0)), 2))
    return believed


@pytest.mark.parametrize(
    ("rows", "believed"),
    [
        # where the network sees nothing, flicker must last
        ([(0, HERE, False), (1, HERE, False), (1.9, HERE, False), (2, HERE, False)], [0.4, 0.4, 0.4, 0.8]),
        # its heart may wander within what flickered first
        ([(0, HERE, False), (1, INSIDE, False), (2, INSIDE, False)], [0.4, 0.4, 0.8]),
        # who walks on begins anew
        ([(0, HERE, False), (1, AHEAD, False), (2, AHEAD, False), (3, AHEAD, False)], [0.4, 0.4, 0.4, 0.8]),
        # a short pause counts as going on, a longer one does not
        ([(0, HERE, False), (0.5, None, False), (1, HERE, False), (2, HERE, False)], [0.4, 0, 0.4, 0.8]),
        ([(0, HERE, False), (0.5, None, False), (1.6, HERE, False), (2.6, HERE, False)], [0.4, 0, 0.4, 0.4]),
        # what the network sees too is believed at once, and for five seconds after
        ([(0, HERE, True), (0.5, HERE, False), (1, HERE, True)], [0.84, 0.8, 0.84]),
        # but not elsewhere
        ([(0, HERE, True), (0.5, BESIDE, False)], [0.84, 0.4]),
        # a clock that goes back knows nothing of before
        ([(0, HERE, False), (1, HERE, False), (2, HERE, False), (1, HERE, False)], [0.4, 0.4, 0.8, 0.4]),
    ],
)
def test_flicker_that_the_network_does_not_see_must_last(rows: list[Look], believed: list[float]) -> None:
    assert looks(*rows) == believed


def test_a_veil_of_smoke_has_taken_its_time_already() -> None:
    assert looks((0, HERE, False), label="smoke") == [0.8]


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from([HERE, AHEAD, BESIDE, INSIDE, None]), st.booleans()), max_size=20))  # fmt: skip
def test_patience_takes_nothing_from_what_both_see_and_gives_nothing(steps: list[Look]) -> None:
    second, rows = 0.0, []
    for passed, box, confirmed in steps:
        second += passed
        rows.append((second, box, confirmed))
    for (_, box, confirmed), believed in zip(rows, looks(*rows), strict=True):
        allowed = (0.0,) if box is None else (0.84,) if confirmed else (0.4, 0.8)
        assert believed in allowed


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
