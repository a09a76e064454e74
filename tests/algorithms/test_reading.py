"""Texts and series through algorithms, the promises that they make, and cards whose items follow each other."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.check import check
from aihub.algorithms.contract import ContractError
from aihub.algorithms.inference import infer, infer_many
from aihub.algorithms.reading import SeriesStage, TextStage, read, read_many
from aihub.algorithms.reading_contract import (
    check_items,
    check_reading_confidence,
    check_together,
    passages,
    series,
)
from aihub.errors import AihubError, DeadlineError, ParamsError, UnsupportedTypeError
from aihub.testing import FakePredictor, frame
from aihub.types import AnyResult, Bill, Field, Fields, Labels, Passage, Points, Quality, Series
from tests.algorithms.conftest import make_algorithm
from tests.algorithms.reading_stages import WORK_S

PREDICTOR = FakePredictor()


def text(*stages: dict[str, Any], **fields: Any) -> Any:
    return make_algorithm(PREDICTOR, *stages, input=["text"], **fields)


def numbers(*stages: dict[str, Any], **fields: Any) -> Any:
    return make_algorithm(PREDICTOR, *stages, input=["series"], **fields)


LENGTH = text({"test-length": {"limit": 2}}, id="length")
BEFORE = text({"test-before": {}}, id="before", sequence=True)
HIGHEST = numbers({"test-highest": {}}, {"test-above": {"bound": 2}}, id="highest")


def test_results_come_in_order() -> None:
    results = read(LENGTH, [Passage("a"), Passage("abc"), Passage("")], {}, PREDICTOR)
    assert [one.label for one in results if isinstance(one, Labels)] == [("short",), ("long",), ("short",)]


def test_a_chain_hands_on_what_it_found() -> None:
    low, high = read(HIGHEST, [Series.regular([1, 2]), Series.regular([1, 9, 3])], {}, PREDICTOR)
    assert (len(low), len(high)) == (0, 1)
    assert isinstance(high, Points)
    assert high.value.tolist() == [9]


def test_stages_are_fresh_for_every_request() -> None:
    for _ in range(2):
        results = read(BEFORE, [Passage(word) for word in "abc"], {}, PREDICTOR)
        assert [len(one) for one in results] == [0, 1, 2]


@pytest.mark.parametrize(
    ("algorithm", "items", "params", "error"),
    [
        (LENGTH, [Series.regular([1])], {}, UnsupportedTypeError),
        (HIGHEST, [Passage("a")], {}, UnsupportedTypeError),
        (LENGTH, [Passage("a")], {"nothing": 1}, ParamsError),
        (LENGTH, [Passage("a"), Passage("bug")], {}, StageError),
    ],
    ids=["a series to a reader", "a text to a student", "unknown parameter", "a bug"],
)
def test_what_fails_says_so(algorithm: Any, items: Any, params: Any, error: type[AihubError]) -> None:
    with pytest.raises(error):
        read(algorithm, items, params, PREDICTOR)


def test_one_that_fails_hurts_no_other() -> None:
    first, second = read_many([(LENGTH, {}), (BEFORE, {})], [Passage("bug")], PREDICTOR)
    assert isinstance(first, StageError)
    assert isinstance(second, list)


def test_no_step_begins_after_the_deadline() -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineError):
        read(LENGTH, [Passage("work")] * 1000, {}, PREDICTOR, timeout_s=0.1)
    assert time.monotonic() - began < 5


def test_work_is_billed_to_whom_it_was_for() -> None:
    bill = Bill()
    read_many([(LENGTH, {}), (BEFORE, {})], [Passage("work")] * 3, PREDICTOR, bill=bill)
    assert bill.spent["test-length"] >= 3 * WORK_S
    length, before = bill.split(["length", "before"])
    assert length >= 3 * WORK_S
    assert before < WORK_S
    assert length + before == pytest.approx(bill.total)


def test_sightless_stages_see_no_pictures() -> None:
    with pytest.raises(UnsupportedTypeError, match="takes text, not pictures"):
        infer(LENGTH, [frame()], {}, PREDICTOR)


# ---- pictures that follow each other


class Working(Stage[StageParams]):
    """Works a while on every picture and counts them."""

    name = "test-following"
    stateful = True

    def __init__(self, params: StageParams, predictor: Any) -> None:
        super().__init__(params, predictor)
        self.seen = 0

    def process(self, frame: Any, found: AnyResult | None) -> Quality:
        until = time.thread_time() + WORK_S
        while time.thread_time() < until:
            pass
        self.seen += 1
        return Quality(False, 0.0, {"seen": float(self.seen), "seq": float(frame.seq)})


FOLLOWING = make_algorithm(PREDICTOR, {"test-following": {}}, id="following", sequence=True)
ALONE = make_algorithm(PREDICTOR, {"test-following": {}}, id="alone")


def measures(results: Any, name: str) -> list[float]:
    return [one.measures[name] for one in results]


def test_pictures_of_a_sequence_go_through_the_same_stages() -> None:
    pictures = [frame(), frame(), frame()]
    assert measures(infer(ALONE, pictures, {}, PREDICTOR), "seen") == [1, 1, 1]
    for _ in range(2):
        results = infer(FOLLOWING, pictures, {}, PREDICTOR)
        assert measures(results, "seen") == [1, 2, 3]
        assert measures(results, "seq") == [0, 1, 2], "their place in the request"


def test_a_sequence_beside_others() -> None:
    both = infer_many([(ALONE, {}), (FOLLOWING, {})], [frame(), frame()], PREDICTOR)
    assert [measures(one, "seen") for one in both] == [[1, 1], [1, 2]]


def test_a_sequence_stops_at_its_first_failure() -> None:
    failing = make_algorithm(PREDICTOR, {"test-failing": {}}, sequence=True)
    broken, fine = infer_many([(failing, {}), (FOLLOWING, {})], [frame(), frame()], PREDICTOR)
    assert isinstance(broken, StageError)
    assert measures(fine, "seen") == [1, 2]


def test_a_sequence_of_nothing() -> None:
    assert infer(FOLLOWING, [], {}, PREDICTOR) == []


@pytest.mark.parametrize("pictures", [1, 3])
def test_a_sequence_and_the_others_each_pay_their_own(pictures: int) -> None:
    bill = Bill()
    frames = [frame() for _ in range(pictures)]
    for one in frames:
        one.bill = bill
    light = make_algorithm(PREDICTOR, {"test-counting": {}}, id="light", sequence=True)
    infer_many([(ALONE, {}), (light, {})], frames, PREDICTOR)
    alone, other = bill.split(["alone", "light"])
    assert alone >= pictures * WORK_S * 0.9
    assert other < WORK_S / 2
    assert alone + other == pytest.approx(bill.total)


# ---- the promises


class Broken(BaseModel):
    """What a stage that breaks a promise gives."""


class LiarParams(StageParams):
    how: str = ""
    confidence: float = 0.5


class Liar(TextStage[LiarParams]):
    """Breaks one promise each."""

    name = "test-liar"
    calls = 0

    def read(self, passage: Passage, found: AnyResult | None) -> AnyResult:
        type(self).calls += 1
        how = self.params.how
        if how == "span":
            return Fields((Field("a", "b", span=(0, len(passage.text) + 1)),))
        if how == "score":
            return Labels(("a",), (1.5,), {})
        if how == "order":
            return Labels(("a", "b"), (0.1, 0.9), {})
        if how == "kind":
            return Quality(False, 0.0)
        if how == "chance":
            return Labels(("a",), (1.0,), {"calls": float(type(self).calls)})
        if how == "nan":
            return Labels(("a",), (0.5,), {"x": float("nan")})
        if how == "confidence":
            rows = range(int(self.params.confidence * 10))
            return Fields(tuple(Field("a", str(row)) for row in rows))
        return Labels.of({})


class BadPoints(SeriesStage[LiarParams]):
    """Breaks one promise each."""

    name = "test-bad-points"

    def study(self, series: Series, found: AnyResult | None) -> Points:
        how, nothing = self.params.how, np.nan
        if how == "write" and len(series):
            series.values[0] = -1.0
        rows: dict[str, tuple[float, float, float, float, str, float]] = {
            "bounds": (0, 1, 5, 2, "a", 1),
            "score": (0, 1, nothing, nothing, "a", 2),
            "time": (np.inf, 1, nothing, nothing, "a", 1),
        }
        return Points.of([rows[how]] if how in rows else [], {"x": np.inf if how == "measure" else 0.0})


@pytest.mark.parametrize("how", ["span", "score", "order", "kind", "chance", "nan"])
def test_readers_that_break_a_promise_are_caught(how: str) -> None:
    with pytest.raises((ContractError, ValueError)):
        check_items(text({"test-liar": {"how": how}}), PREDICTOR)


@pytest.mark.parametrize("how", ["write", "bounds", "score", "time", "measure"])
def test_students_that_break_a_promise_are_caught(how: str) -> None:
    with pytest.raises(ContractError):
        check_items(numbers({"test-bad-points": {"how": how}}), PREDICTOR)


def test_more_confidence_that_adds_rows_is_caught() -> None:
    param = {"type": "number", "default": 0.5, "minimum": 0, "maximum": 1, "description": "C."}
    liar = text(
        {"test-liar": {"how": "confidence", "confidence": "$confidence"}}, params={"confidence": param}
    )
    with pytest.raises(ContractError, match="confidence"):
        check_reading_confidence(liar, PREDICTOR)


def test_items_that_lean_on_each_other_are_caught_where_the_card_does_not_say_so() -> None:
    check_together(LENGTH, PREDICTOR)
    with pytest.raises(ContractError, match="alone"):
        check_together(text({"test-before": {}}), PREDICTOR)


@pytest.mark.parametrize("algorithm", [LENGTH, BEFORE, HIGHEST], ids=lambda one: one.card.id)
def test_honest_algorithms_keep_every_promise(algorithm: Any) -> None:
    check_items(algorithm, PREDICTOR)


def test_the_awkward_items_are_what_they_say() -> None:
    assert any(one.text == "" for _, one in passages())
    assert any(not one.text.isprintable() for _, one in passages())
    assert any(np.isnan(one.values).any() for _, one in series())
    assert len({name for name, _ in series()}) == len([*series()])


def test_a_card_that_reads_is_checked_whole() -> None:
    good = {"texts": ["abc"], "expect": {"labels": {"long": 1}}, "evidence": "synthetic"}
    wrong = {"texts": ["a"], "expect": {"labels": {"long": 1}}, "evidence": "synthetic"}
    report = check(text({"test-length": {"limit": 2}}, examples=[good]), PREDICTOR)
    assert report.passed, report.failures()
    assert report.evidence == "synthetic"
    report = check(text({"test-length": {"limit": 2}}, examples=[wrong]), PREDICTOR)
    assert not report.passed


@pytest.mark.parametrize(
    ("expect", "passes"),
    [
        ({"fields": {"before-0": "a"}}, True),
        ({"labels": {"before-0": 1}}, True),
        ({"labels": {"before-1": 0}}, True),
        ({"labels": {"before-0": 0}}, False),
    ],
    ids=["its value", "how many of a name", "none of a name", "a wrong count"],
)
def test_examples_of_fields(expect: dict[str, Any], passes: bool) -> None:
    example = {"texts": ["a", "b"], "expect": expect, "evidence": "synthetic"}
    report = check(text({"test-before": {}}, examples=[example], sequence=True), PREDICTOR)
    assert report.passed == passes, report.failures()
