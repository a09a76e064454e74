"""Alarms against what was shown: tables with a reason a row, and laws."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.bench.alarms.truth import Raised, Sent, Shown, Spell, match, remembered, shown_by


def shown(key: str, begin: float, end: float, *, camera: str = "a", due: bool = True) -> Shown:
    return Shown(camera, key, (begin, end), due=due)


def raised(key: str, at: float, *, camera: str = "a", name: str = "") -> Raised:
    return Raised(camera, key, name or f"{camera}{key}{at}", at)


@pytest.mark.parametrize(
    ("truth", "alarms", "hits", "missed", "twice", "false", "why"),
    [
        ([], [], 0, 0, 0, 0, "nothing shown, nothing told"),
        ([shown("x", 0, 2)], [raised("x", 1)], 1, 0, 0, 0, "one and one"),
        ([shown("x", 0, 2)], [], 0, 1, 0, 0, "shown and not told"),
        ([shown("x", 0, 2, due=False)], [], 0, 0, 0, 0, "it need not come"),
        ([shown("x", 0, 2, due=False)], [raised("x", 1)], 1, 0, 0, 0, "but it may"),
        ([], [raised("x", 1)], 0, 0, 0, 1, "told without cause"),
        ([shown("x", 0, 2)], [raised("y", 1)], 0, 1, 0, 1, "another thing was told"),
        ([shown("x", 0, 2)], [raised("x", 1, camera="b")], 0, 1, 0, 1, "another camera told it"),
        ([shown("", 0, 2)], [raised("y", 1)], 1, 0, 0, 0, "any alarm will do"),
        ([shown("x", 0, 2)], [raised("x", 1), raised("x", 1.5)], 1, 0, 1, 0, "told twice"),
        ([shown("x", 1, 2)], [raised("x", 0.5)], 0, 1, 0, 1, "told before it was shown"),
        ([shown("x", 0, 2)], [raised("x", 11)], 1, 0, 0, 0, "late, and still in time"),
        ([shown("x", 0, 2)], [raised("x", 13)], 0, 1, 0, 1, "too late to be for it"),
        (
            [shown("x", 0, 2), shown("x", 5, 7)], [raised("x", 1), raised("x", 6)], 2, 0, 0, 0,
            "shown twice, told twice",
        ),
        ([shown("x", 0, 2), shown("x", 5, 7)], [raised("x", 1)], 1, 1, 0, 0, "the second was not told"),
    ],
)  # fmt: skip
def test_alarms_are_matched(
    truth: list[Shown], alarms: list[Raised], hits: int, missed: int, twice: int, false: int, why: str
) -> None:
    matched = match(truth, alarms)
    assert (len(matched.hits), len(matched.missed)) == (hits, missed), why
    assert (len(matched.duplicates), len(matched.false)) == (twice, false), why


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.floats(0, 50), st.floats(0, 9), st.booleans())),
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.floats(0, 70))),
)  # fmt: skip
def test_every_alarm_and_everything_due_is_counted_once(
    spells: list[tuple[str, str, float, float, bool]], told: list[tuple[str, str, float]]
) -> None:
    numbers = count()
    truth = [
        shown(key, begin, begin + length, camera=camera, due=due)
        for camera, key, begin, length, due in spells
    ]
    alarms = [raised(key, at, camera=camera, name=str(next(numbers))) for camera, key, at in told]
    matched = match(truth, alarms)
    parts = [alarm.id for _, alarm in matched.hits] + [
        alarm.id for alarm in [*matched.duplicates, *matched.false]
    ]
    assert sorted(parts) == sorted(alarm.id for alarm in alarms)
    assert matched.due == sum(one.due for one in truth)
    assert 0 <= matched.recall <= 1
    assert 0 <= matched.precision <= 1
    assert all(one.begin <= alarm.at <= one.end + 10 for one, alarm in matched.hits)
    parted = [matched.of(camera) for camera in "ab"]
    assert sum(part.due for part in parted) == matched.due
    assert sum(len(part.false) for part in parted) == len(matched.false)


def test_a_perfect_hub_has_no_fault_in_the_figures() -> None:
    matched = match([shown("x", 0, 2), shown("y", 4, 6)], [raised("x", 1), raised("y", 5)])
    assert (matched.precision, matched.recall) == (1.0, 1.0)
    assert str(matched) == "2 due, 2 came, 0 missed, 0 false, 0 duplicates"


def test_half_missed_is_half_recall_and_half_false_half_precision() -> None:
    matched = match([shown("x", 0, 2), shown("y", 4, 6)], [raised("x", 1), raised("z", 5)])
    assert (matched.precision, matched.recall) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("gap", "memory", "left", "why"),
    [
        (3.0, 5.0, 1, "the event is open still, or opens again"),
        (5.0, 5.0, 1, "just so"),
        (6.0, 5.0, 2, "forgotten by then: a new event"),
    ],
)
def test_what_comes_back_within_the_memory_is_the_same(
    gap: float, memory: float, left: int, why: str
) -> None:
    found = remembered([shown("x", 2 + gap, 9 + gap, due=False), shown("x", 0, 2)], memory)
    assert len(found) == left, why
    assert found[0].begin == 0
    assert found[0].due


def pictures(*parts: tuple[str, int], fps: float = 10.0, begin: float = 0.0) -> tuple[list[Sent], list[str]]:
    """So many pictures of each text; what was sent and the text of each index."""
    texts = [text for text, number in parts for _ in range(number)]
    return [(index, begin + index / fps) for index in range(len(texts))], texts


@pytest.mark.parametrize(
    ("faults", "recover", "due", "why"),
    [
        ([], 0.0, True, "nothing was wrong"),
        ([(0.0, 2.5)], 0.0, False, "half a second before the end it was well again"),
        ([(0.0, 1.5)], 0.0, True, "well for the last second and a half"),
        ([(0.0, 1.5)], 1.0, False, "the hub has a second to recover, and then half a second is left"),
        ([(2.2, 9.0)], 5.0, True, "it was seen for long enough before"),
        ([(1.5, 1.9)], 0.0, False, "never a whole second in one go"),
        ([(1.95, 1.98)], 0.0, False, "a fault between two pictures"),
        ([(3.5, 9.0)], 0.0, True, "the fault came later"),
    ],
)
def test_what_is_shown_outside_faults_is_due(
    faults: list[Spell], recover: float, due: bool, why: str
) -> None:
    sent, texts = pictures(("", 10), ("x", 20), ("", 10))
    (one,) = shown_by("a", sent, texts.__getitem__, faults=faults, least_s=0.95, recover_s=recover)
    assert (one.key, one.begin, one.end) == ("x", 1.0, 2.9)
    assert one.due is due, why


def test_a_pause_and_another_text_end_what_is_shown() -> None:
    sent, texts = pictures(("x", 10), ("y", 10))
    later = [(index, at + 5) for index, at in sent]
    found = shown_by("a", sent + later, texts.__getitem__, least_s=0.5)
    assert [(one.key, one.begin) for one in found] == [("x", 0.0), ("y", 1.0), ("x", 5.0), ("y", 6.0)]
