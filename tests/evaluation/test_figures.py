"""Arithmetic on cases small enough to work out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.errors import ConfigError, InputError
from aihub.evaluation import Rule, tables
from aihub.evaluation.figures import steps
from tests.evaluation.drawn import Answer, Thing, report_of, truth_of

A = (10.0, 10.0, 110.0, 110.0)
B = (200.0, 200.0, 300.0, 300.0)
FAR = (350.0, 350.0, 390.0, 390.0)
ONE_EACH = [[("fire", A)], [("fire", B)]]


def fire(things: list[list[Thing]], answers: list[Answer], **options: Any) -> dict[str, Any]:
    told: dict[str, Any] = report_of(truth_of(things), answers, **options).to_json()["classes"]["fire"]
    return told


def test_perfect() -> None:
    told = fire(ONE_EACH, [[("fire", 0.9, A)], [("fire", 0.8, B)]])
    assert (told["ap50"], told["ap50_95"]) == (1.0, 1.0)
    assert (told["precision"], told["recall"], told["f1"]) == (1.0, 1.0, 1.0)
    assert told["threshold"] == 0.8  # the lowest that is needed for both
    assert told["reason"] == "best F1"
    assert (told["right"], told["false_alarms"], told["missed"]) == (2, 0, 0)


def test_all_missed() -> None:
    told = fire(ONE_EACH, [[], []])
    assert (told["ap50"], told["recall"], told["f1"]) == (0.0, 0.0, 0.0)
    assert told["precision"] is None  # nothing was found, so no share of it is right
    assert (told["threshold"], told["missed"]) == (None, 2)
    assert told["reason"] == "nothing that was found is right"
    assert told["pictures"]["recall"] == 0.0


def test_a_false_alarm_surer_than_the_hit() -> None:
    # After the surest box precision is 0/1, after the second 1/2 at recall 1: AP = 0.5. Best F1 keeps both: 2 * 1 / (2 + 1).
    told = fire([[("fire", A)]], [[("fire", 0.9, FAR), ("fire", 0.8, A)]])
    assert told["ap50"] == pytest.approx(0.5)
    assert told["f1"] == pytest.approx(2 / 3, abs=1e-5)
    assert (told["right"], told["false_alarms"]) == (1, 1)


def test_a_false_alarm_less_sure_than_the_hit_costs_nothing_at_the_best_threshold() -> None:
    told = fire([[("fire", A)]], [[("fire", 0.9, A), ("fire", 0.8, FAR)]])
    assert (told["ap50"], told["f1"], told["threshold"]) == (1.0, 1.0, 0.9)
    assert told["false_alarms"] == 0


def test_a_second_box_on_a_thing_is_a_false_alarm() -> None:
    told = fire([[("fire", A)]], [[("fire", 0.9, A), ("fire", 0.8, A)]], rule=Rule(confidence=0.5))
    assert (told["right"], told["false_alarms"]) == (1, 1)
    assert (told["precision"], told["recall"]) == (0.5, 1.0)
    assert (told["threshold"], told["reason"]) == (0.5, "given")


def test_overlap_decides() -> None:
    # 62 of 100 rows are covered: IoU 0.62 counts at 0.5, 0.55 and 0.6 of ten overlaps, so AP50-95 is 3/10.
    x1, y1, x2, _ = A
    told = fire([[("fire", A)]], [[("fire", 0.9, (x1, y1, x2, y1 + 62))]])
    assert (told["ap50"], told["ap50_95"]) == (1.0, pytest.approx(0.3))
    # 49 of 100 rows: below 0.5, a miss and a false alarm.
    told = fire([[("fire", A)]], [[("fire", 0.9, (x1, y1, x2, y1 + 49))]], rule=Rule(confidence=0.5))
    assert (told["right"], told["false_alarms"], told["missed"]) == (0, 1, 1)
    assert told["pictures"]["recall"] == 1.0  # the picture was raised all the same


def test_labels_that_one_side_knows_alone_do_not_count() -> None:
    truth = truth_of([[("fire", A), ("steam", B)]], ("fire", "steam"))
    told = report_of(truth, [[("fire", 0.9, A), ("fox", 0.95, FAR)]], model_labels=("fire", "fox")).to_json()
    assert told["labels"] == ["fire"]
    assert told["left_out"] == {"model": ["fox"], "data": ["steam"]}
    assert (told["map50"], told["all"]["false_alarms"], told["all"]["missed"]) == (1.0, 0, 0)


def test_a_label_that_is_not_asked_for_does_not_count() -> None:
    truth = truth_of([[("fire", A), ("smoke", B)]], ("fire", "smoke"), incomplete=["smoke"])
    answers: list[Answer] = [[("fire", 0.9, A), ("smoke", 0.8, FAR)]]
    both = report_of(truth, answers).to_json()
    assert both["map50"] == pytest.approx(0.5)  # fire 1, smoke 0
    assert "smoke throughout" in both["notes"][0]
    assert "--labels fire" in both["notes"][0]
    alone = report_of(truth, answers, labels=["fire"]).to_json()
    assert (alone["map50"], alone["all"]["false_alarms"]) == (1.0, 0)


def test_several_labels_of_a_model_may_be_one_of_the_data() -> None:
    truth = truth_of([[("vehicle", A)], [("vehicle", B)]], ("vehicle",))
    told = report_of(
        truth, [[("car", 0.9, A)], [("bus", 0.8, B)]], model_labels=("car", "bus", "cat"),
        mapping={"car": "vehicle", "bus": "vehicle"},
    ).to_json()  # fmt: skip
    assert (told["map50"], told["all"]["recall"]) == (1.0, 1.0)
    assert told["mapped"] == {"car": "vehicle", "bus": "vehicle"}


def test_a_box_over_a_crowd_is_neither_right_nor_wrong() -> None:
    truth = truth_of([[("fire", A), ("fire", B)]], crowd=[True, False])
    told = report_of(truth, [[("fire", 0.9, A), ("fire", 0.8, B)]]).to_json()["classes"]["fire"]
    assert (told["things"], told["right"], told["false_alarms"]) == (1, 1, 0)
    assert told["ap50"] == 1.0


def test_pictures_are_raised_or_not() -> None:
    # Two pictures with fire, one of them raised; four bare ones, one raised: recall 1/2, 250 of 1,000.
    things: list[list[Thing]] = [[("fire", A)], [("fire", A)], [], [], [], []]
    answers: list[Answer] = [[("fire", 0.9, A)], [], [("fire", 0.95, B), ("fire", 0.94, FAR)], [], [], []]
    pictures = fire(things, answers, rule=Rule(confidence=0.5))["pictures"]
    assert (pictures["with"], pictures["raised"], pictures["recall"]) == (2, 1, 0.5)
    assert (pictures["without_boxes"], pictures["false_alarms"]) == (4, 1)
    assert pictures["false_alarms_per_1000"] == 250.0


def test_a_picture_with_another_thing_in_it_is_not_bare_but_lacks_the_label() -> None:
    truth = truth_of([[("smoke", A)], [("fire", A)]], ("fire", "smoke"))
    told = report_of(truth, [[("fire", 0.9, A)], []], rule=Rule(confidence=0.5), labels=["fire"]).to_json()
    pictures = told["classes"]["fire"]["pictures"]
    assert (pictures["without_boxes"], pictures["false_alarms_per_1000"]) == (0, None)
    assert (pictures["without_label"], pictures["false_alarms_per_1000_without_label"]) == (1, 1000.0)


def test_recall_by_size() -> None:
    # 10 x 10 is below 32 x 32, 32 x 32 is medium already, 96 x 96 large already (COCO's ends).
    small, medium, large = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 82.0, 82.0), (100.0, 100.0, 196.0, 196.0)
    things: list[list[Thing]] = [[("fire", small), ("fire", medium), ("fire", large)]]
    told = fire(things, [[("fire", 0.9, medium), ("fire", 0.8, large)]])["recall_by_size"]
    assert told["small"] == {"things": 1, "found": 0, "recall": 0.0}
    assert told["medium"] == {"things": 1, "found": 1, "recall": 1.0}
    assert told["large"] == {"things": 1, "found": 1, "recall": 1.0}


LADDER = [(0.9, True), (0.8, False), (0.7, True), (0.6, True), (0.5, False)]
"""Precision falls and rises again: 1, 1/2, 2/3, 3/4, 3/5; F1 with three things: 1/2, 2/5, 2/3, 6/7, 3/4."""


@pytest.mark.parametrize(
    ("rule", "threshold", "words"),
    [
        (Rule(), 0.6, "best F1"),
        (Rule(precision=0.7), 0.6, "the lowest that reaches a precision of 0.7"),  # beyond the dip
        (Rule(precision=0.75), 0.6, "the lowest that reaches a precision of 0.75"),  # exactly
        (Rule(precision=0.76), 0.9, "the lowest that reaches a precision of 0.76"),
        (Rule(precision=0.6), 0.5, "the lowest that reaches a precision of 0.6"),
        (Rule(confidence=0.65), 0.65, "given"),
    ],
)
def test_the_threshold(rule: Rule, threshold: float, words: str) -> None:
    places = [(x, 0.0, x + 40, 40.0) for x in (0.0, 100.0, 200.0)]
    right = iter(places)
    answer = [("fire", score, next(right) if hit else FAR) for score, hit in LADDER]
    told = fire([[("fire", place) for place in places]], [answer], rule=rule)
    assert (told["threshold"], told["reason"]) == (threshold, words)


def test_thresholds_of_one_split_are_taken_to_another() -> None:
    truth = truth_of([[("fire", A), ("smoke", B)]], ("fire", "smoke"))
    chosen = report_of(truth, [[("fire", 0.9, A)]]).chosen
    assert chosen == {"all": 0.9, "fire": 0.9}  # nothing that was found is smoke
    told = report_of(truth, [[("fire", 0.8, A), ("smoke", 0.3, B)]], rule=Rule(given=chosen)).to_json()
    assert (told["classes"]["fire"]["reason"], told["classes"]["fire"]["recall"]) == ("given", 0.0)
    assert (told["classes"]["smoke"]["threshold"], told["classes"]["smoke"]["reason"]) == (0.3, "best F1")


def test_a_precision_out_of_reach_is_said() -> None:
    told = fire([[("fire", A)]], [[("fire", 0.9, FAR), ("fire", 0.8, A)]], rule=Rule(precision=0.9))
    assert (told["threshold"], told["precision"]) == (0.8, 0.5)
    assert told["reason"] == "best F1; no threshold reaches a precision of 0.9"


def test_without_anything_to_find_false_alarms_are_counted_at_a_given_threshold() -> None:
    answers: list[Answer] = [[("fire", 0.6, A)], []]
    told = report_of(truth_of([[], []]), answers, rule=Rule(confidence=0.5)).to_json()
    assert told["map50"] is None
    assert told["curves"]["fire"] is None
    assert told["classes"]["fire"]["pictures"]["false_alarms_per_1000"] == 500.0
    unchosen = fire([[], []], answers)
    assert unchosen["threshold"] is None
    assert "has to be given" in unchosen["reason"]


def test_all_together_have_one_threshold() -> None:
    # Each label alone would run at its own hit; under one threshold 0.4 all three right boxes and the false alarm stay.
    truth = truth_of([[("fire", A), ("smoke", B)], [("smoke", A)]], ("fire", "smoke"))
    told = report_of(
        truth, [[("fire", 0.9, A), ("smoke", 0.4, B)], [("smoke", 0.5, A), ("fire", 0.45, FAR)]]
    ).to_json()
    assert (told["classes"]["fire"]["threshold"], told["classes"]["smoke"]["threshold"]) == (0.9, 0.4)
    assert (told["all"]["threshold"], told["all"]["right"], told["all"]["false_alarms"]) == (0.4, 3, 1)
    assert told["map50"] == 1.0


def test_a_label_with_the_name_of_the_whole_is_refused() -> None:
    with pytest.raises(InputError, match="a label named 'all'"):
        report_of(truth_of([[("all", A)]], ("all",)), [[]])


def test_sources_are_told_apart_at_the_same_threshold() -> None:
    truth = truth_of(ONE_EACH, sources=["roof", "yard"])
    report = report_of(truth, [[("fire", 0.9, A)], [("fire", 0.2, FAR)]])
    told = report.to_json()["sources"]
    assert (told["roof"]["map50"], told["roof"]["all"]["f1"]) == (1.0, 1.0)
    assert (told["yard"]["map50"], told["yard"]["all"]["recall"]) == (0.0, 0.0)
    assert told["yard"]["all"]["false_alarms"] == 0  # its box is below the threshold of all
    assert [row[0] for row in tables.by_source(report)[1]] == ["roof", "yard"]
    assert report_of(truth_of(ONE_EACH, sources=["roof", "roof"]), [[], []]).sources == {}


def test_the_printed_threshold_keeps_the_box_that_it_was_chosen_for() -> None:
    for score in np.random.default_rng(3).uniform(0.01, 1, 300).astype(np.float32).tolist():
        told = fire([[("fire", A)]], [[("fire", score, A)]])
        assert np.float32(told["threshold"]) <= np.float32(score)
        assert told["threshold"] == pytest.approx(score, abs=2e-6)


def test_boxes_beyond_the_hundred_surest_are_left_aside() -> None:
    answers: list[Answer] = [[("fire", 0.9 - at / 1000, FAR) for at in range(120)] + [("fire", 0.1, A)]]
    told = fire([[("fire", A)]], answers, rule=Rule(confidence=0.05))
    assert (told["right"], told["false_alarms"]) == (0, 100)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"given": {"fire": 2.0}}, "confidence must be in"),
        ({"precision": 0.0}, "precision must be in"),
        ({"precision": 1.1}, "precision must be in"),
        ({"confidence": 0.001}, "confidence must be in"),
        ({"confidence": float("nan")}, "confidence must be in"),
        ({"precision": 0.5, "confidence": 0.5}, "exclude each other"),
    ],
)
def test_rules_that_cannot_be(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Rule(**arguments)


def test_pycocotools_that_is_absent_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pycocotools.coco", None)
    with pytest.raises(ConfigError, match="pycocotools") as caught:
        report_of(truth_of(ONE_EACH), [[], []])
    assert caught.value.hint == "pip install 'aihub[evaluate]'"


coordinates = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 3), st.integers(1, 3)).map(
    lambda c: (c[0] * 40.0, c[1] * 40.0, (c[0] + c[2]) * 40.0, (c[1] + c[3]) * 40.0)
)
labels = st.sampled_from(["fire", "smoke"])
scores = st.integers(1, 19).map(lambda n: n / 20)
scenes = st.lists(
    st.tuples(
        st.lists(st.tuples(labels, coordinates), max_size=4),
        st.lists(st.tuples(labels, scores, coordinates), max_size=6),
    ),
    min_size=1,
    max_size=5,
)


@given(scenes, scores, st.integers(0, 4), labels)
def test_one_more_false_alarm_never_makes_it_better(
    scene: list[Any], score: float, where: int, label: str
) -> None:
    truth = truth_of([things for things, _ in scene], ("fire", "smoke"))
    answers = [list(answer) for _, answer in scene]
    worse = [list(answer) for answer in answers]
    worse[where % len(worse)].append((label, score, FAR))  # things end at 320 pixels, so it touches none
    before, after = (report_of(truth, a, rule=Rule(confidence=0.3)).to_json() for a in (answers, worse))
    for name in ("fire", "smoke"):
        was, now = before["classes"][name], after["classes"][name]
        for figure in ("ap50", "ap50_95", "precision"):
            if was[figure] is not None:
                assert now[figure] <= was[figure] + 1e-9
        assert now["recall"] == was["recall"]
        assert now["false_alarms"] == was["false_alarms"] + (name == label and score >= 0.3)


@given(st.lists(st.tuples(scores, st.booleans()), max_size=30))
def test_steps_count_what_is_at_or_above(rows: list[tuple[float, bool]]) -> None:
    confidence = np.array([score for score, _ in rows], np.float64)
    right = np.array([hit for _, hit in rows], np.bool_)
    thresholds, hits, kept = steps(confidence, right)
    assert thresholds.tolist() == sorted(set(confidence.tolist()), reverse=True)
    for threshold, hit, all_kept in zip(thresholds, hits, kept, strict=True):
        assert hit == (right & (confidence >= threshold)).sum()
        assert all_kept == (confidence >= threshold).sum()
