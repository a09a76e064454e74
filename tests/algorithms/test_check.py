"""The check finds what is wrong with an algorithm, and passes what is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.check import CheckReport, check, check_all
from aihub.algorithms.contract import unsound
from aihub.algorithms.expectations import Watch, read_expect
from aihub.errors import CardError
from aihub.testing import FakePredictor, boxes, check_algorithm
from aihub.types import (
    AnyResult,
    Codes,
    Detections,
    EventSpec,
    Findings,
    Frame,
    Observation,
    Quality,
    Texts,
)
from tests.algorithms.conftest import make_algorithm

WriteCard = Callable[..., Path]
PEOPLE = boxes(
    ("person", 0.9, (10, 10, 50, 90)), ("person", 0.5, (60, 10, 90, 90)), ("dog", 0.7, (0, 0, 9, 9))
)
CONFIDENCE = {
    "confidence": {"type": "number", "default": 0.5, "minimum": 0.1, "maximum": 1, "description": "d"}
}


class _Params(StageParams):
    confidence: float = 0.5


class WritesOnFrames(Stage[_Params]):
    name = "test-writes"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        frame.image[0, 0] = 255 - frame.image[0, 0]
        return Quality(False, 0.0)


class SticksOut(Stage[_Params]):
    name = "test-sticks-out"

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        return boxes(("person", 0.9, (0, 0, frame.width + 5, 5)))


class NotANumber(Stage[_Params]):
    name = "test-nan"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        return Quality(False, 0.0, {"mean": float("nan")})


class Backwards(Stage[_Params]):
    name = "test-backwards"

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        rows = 5 if self.params.confidence > 0.5 else 1
        return boxes(*[("person", 0.9, (0, 0, 1, 1))] * rows)


class Remembers(Stage[_Params]):
    """Keeps state where every request would see it."""

    name = "test-remembers"
    seen = 0

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        type(self).seen += 1
        return Quality(False, 0.0, {"seen": float(type(self).seen)})


class TellsTheTime(Stage[_Params]):
    name = "test-tells-the-time"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        return Quality(False, 0.0, {"captured_at": frame.captured_at, "moment": frame.monotonic})


class NoResult(Stage[_Params]):
    name = "test-no-result"

    def process(self, frame: Frame, found: AnyResult | None) -> Any:
        return None


@pytest.mark.parametrize(
    ("stage", "failed", "words"),
    [
        ("test-writes", "contract", "written to"),
        ("test-sticks-out", "contract", "outside the picture"),
        ("test-nan", "contract", "no number"),
        ("test-backwards", "confidence law", "rows"),
        ("test-remembers", "batch law", "alone"),
        ("test-no-result", "contract", "no result"),
        ("test-failing", "contract", "ZeroDivisionError"),
    ],
)
def test_broken_promises_are_found(stage: str, failed: str, words: str) -> None:
    fake = FakePredictor()
    uses_confidence = stage == "test-backwards"
    algorithm = make_algorithm(
        fake,
        {stage: {"confidence": "$confidence"} if uses_confidence else {}},
        params=CONFIDENCE if uses_confidence else {},
    )
    report = check(algorithm, fake)
    assert not report.passed
    assert {one.name: one.detail for one in report.checks if not one.passed}[failed].find(words) >= 0


def test_what_goes_by_the_clock_is_asked_about_the_same_moment_alone_and_together() -> None:
    fake = FakePredictor()
    assert check(make_algorithm(fake, {"test-tells-the-time": {}}), fake).failures() == []


def example(expect: dict[str, Any], media: str = "drawn:blank", **more: Any) -> dict[str, Any]:
    return {"media": media, "expect": expect, "evidence": "synthetic", **more}


def report_of(*examples: dict[str, Any], stages: tuple[dict[str, Any], ...] = (), **more: Any) -> CheckReport:
    fake = FakePredictor({"coco": PEOPLE}, **more)
    chain = stages or ({"detect": {"model": "coco"}}, {"filter": {"confidence": "$confidence"}})
    return check(make_algorithm(fake, *chain, params=CONFIDENCE, examples=list(examples)), fake)


def test_a_sound_algorithm_passes_everything_and_says_how_it_was_proven() -> None:
    report = report_of(example({"labels": {"person": 2, "dog": ">=1", "cat": 0}}))
    assert report.failures() == []
    assert [one.name for one in report.checks] == [
        "schema",
        "contract",
        "batch law",
        "confidence law",
        "example 1: drawn:blank",
    ]
    assert report.evidence == "synthetic"
    assert json.loads(report.model_dump_json())["state"] == "ready"


def test_an_example_that_does_not_hold_says_what_was_seen() -> None:
    report = report_of(example({"labels": {"person": ">=3"}}))
    (failure,) = report.failures()
    assert "labels.person is 2, expected >= 3" in failure
    assert "dog 1" in failure
    assert report.evidence is None


@pytest.mark.parametrize(
    "expect", [{"labels": {"cat": 0}}, {"none": True}, {"labels": {"dog": 1}, "none": True}]
)
def test_proof_of_absence_alone_is_no_evidence(expect: dict[str, Any]) -> None:
    report = report_of(example(expect))
    assert report.passed
    assert report.evidence is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (example({"labels": {"person": "many"}}), "comparison"),
        (example({"lables": {"person": 1}}), "expect.lables"),
        (example({}), "expects nothing"),
        (example({"none": True}, params={"confidence": 5}), "confidence must be"),
        ({**example({"none": True}), "evidence": "real"}, "synthetic evidence"),
    ],
)
def test_a_wrong_example_fails_the_schema(row: dict[str, Any], words: str) -> None:
    report = report_of(row)
    schema = report.checks[0]
    assert not schema.passed
    assert words in schema.detail


def test_what_cannot_be_tried_is_skipped_and_says_why() -> None:
    absent = report_of({"media": "video/nowhere.mp4", "expect": {"none": True}, "evidence": "real"})
    assert absent.passed
    assert absent.checks[-1].skipped
    assert absent.checks[-1].detail == "not checked: media absent"
    needs = report_of(example({"labels": {"person": 1}}), missing=["coco"])
    assert needs.passed
    assert needs.state == "needs-weights"
    assert needs.checks[-1].skipped
    assert not needs.checks[1].skipped  # contract and laws need no weights


def test_an_unknown_drawing_fails_and_suggests() -> None:
    report = report_of(example({"none": True}, media="drawn:blnak"))
    assert "did you mean 'blank'" in report.checks[-1].detail


def test_raw_tensors_are_tried_with_the_real_models_or_not_at_all() -> None:
    class Runs(Stage[_Params]):
        name = "test-runs"

        @classmethod
        def models(cls, params: _Params) -> tuple[str, ...]:
            return ("raw",)

        def process(self, frame: Frame, found: AnyResult | None) -> Quality:
            answer = self.predictor.run("raw", {"x": np.zeros(1, np.float32)}).result(1)
            return Quality(False, 0.0, {"y": float(answer["y"][0])})

    real = FakePredictor(runs={"raw": lambda given: {"y": given["x"] + 1}})
    done = {one.name: one for one in check(make_algorithm(real, {"test-runs": {}}), real).checks}
    assert done["contract"].detail == "with the real models"
    absent = FakePredictor(missing=["raw"])
    skipped = {one.name: one for one in check(make_algorithm(absent, {"test-runs": {}}), absent).checks}
    assert skipped["contract"].skipped


def test_a_clip_keeps_state_from_frame_to_frame_and_a_picture_does_not() -> None:
    chain: tuple[dict[str, Any], ...] = ({"detect": {"model": "coco"}}, {"test-tally": {}})
    moving = report_of(
        example({"measures": {"total": 15}, "observations": 1}, media="drawn:still-street", seconds=1.0),
        stages=chain,
    )
    assert moving.failures() == []
    still = report_of(example({"measures": {"total": 3}, "none": True}), stages=chain)
    assert still.failures() == []


def test_pictures_of_the_examples_are_written(tmp_path: Path) -> None:
    fake = FakePredictor({"coco": PEOPLE})
    algorithm = make_algorithm(
        fake, {"detect": {"model": "coco"}}, examples=[example({"labels": {"person": 2}})]
    )
    heard: list[str] = []
    (report,) = check_all([algorithm], fake, out=tmp_path / "new" / "folder", progress=heard.append)
    assert heard == ["test-card"]
    (file,) = report.pictures
    assert cv2.imread(file) is not None


def test_real_media_is_read_at_the_rate_of_the_example(media: Path) -> None:
    fake = FakePredictor({"coco": PEOPLE})
    rows = [
        {"media": "video/worker-zone-detection_preview.mp4", "fps": 5, "seconds": 2, "evidence": "real",
         "expect": {"measures": {"total": 30}}},
        {"media": "still:images/coco/000000000036.jpg", "fps": 2, "seconds": 3, "evidence": "synthetic",
         "expect": {"measures": {"total": 18}}},
        {"media": "images/coco/000000000036.jpg", "evidence": "real", "expect": {"measures": {"total": 3}}},
    ]  # fmt: skip
    algorithm = make_algorithm(fake, {"detect": {"model": "coco"}}, {"test-tally": {}}, examples=rows)
    report = check(algorithm, fake, media=media)
    assert report.failures() == []
    assert report.evidence == "real"


def test_third_parties_check_a_card_file(write_card: WriteCard) -> None:
    people = example({"labels": {"person": 2}})
    fake = FakePredictor({"coco": PEOPLE})
    good = write_card("mine", [{"detect": {"model": "coco"}}], examples=[people])
    assert check_algorithm(good, fake).evidence == "synthetic"
    bad = write_card(
        "mine-too", [{"detect": {"model": "coco"}}, {"filter": {"confidence": 0.8}}], examples=[people]
    )
    with pytest.raises(AssertionError, match=r"labels\.person is 1, expected == 2"):
        check_algorithm(bad, fake)
    with pytest.raises(CardError, match=r"stages\.0\.nonsense"):
        check_algorithm(write_card("mine-three", [{"nonsense": {}}]))


def quads(*corners: tuple[float, float]) -> Any:
    return np.array([corners], np.float32).reshape(-1, 4, 2)


INSIDE = quads((0, 0), (10, 0), (10, 10), (0, 10))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (boxes(("a", 0.5, (0, 0, 10, 10))), ""),
        (boxes(("a", 0.5, (0, 0, 100.4, 10))), ""),  # half a pixel of rounding
        (boxes(("a", 0.5, (0, 0, 101, 10))), "outside"),
        (boxes(("a", 0.5, (-1, 0, 5, 10))), "outside"),
        (boxes(("a", 0.5, (0, float("nan"), 5, 10))), "no number"),
        (boxes(("a", 0.5, (9, 0, 5, 10))), "wrong way"),
        (boxes(("a", 1.5, (0, 0, 5, 10))), "confidence"),
        (Quality(True, 0.4), "fault True"),
        (Quality(False, 0.5), "fault False"),
        (Quality(True, 1.2), "score"),
        (Texts(INSIDE, ("t",), np.ones(1, np.float32)), ""),
        (Texts(INSIDE, ("t", "u"), np.ones(1, np.float32)), "different length"),
        (Codes(INSIDE + 95, ("t",), ("QRCode",)), "outside"),
        (
            Findings(Quality(False, 0.0), (Observation("k", "l", 0.5), Observation("k", "l", 0.5))),
            "each their own",
        ),
        (Findings(Quality(False, 0.0), (Observation("k", "l", 0.5, (0, 0, 1, 1.1)),)), "outside"),
        (Findings(Quality(False, 0.0), (Observation("k", "l", 5),)), "confidence"),
        (Findings(boxes(("a", 0.5, (0, 0, 500, 10)))), "outside"),
        (Findings(Quality(False, 0.0), (), {"n": float("inf")}), "no number"),
        (None, "NoneType"),
    ],
)
def test_unsound_results_are_named(result: Any, words: str) -> None:
    problem = unsound(result, 100, 50)
    assert words in problem
    assert bool(problem) == bool(words)


def test_an_alarm_lives_from_min_duration_to_close_after() -> None:
    event = EventSpec(type="x", min_duration=1.0, close_after=2.0)
    watch = Watch(event)
    holds = Findings(Quality(False, 0.0), (Observation("zone", "x", 1.0),))
    fine = Findings(Quality(False, 0.0))
    for moment in (0.0, 0.4, 0.8):
        watch.see(holds, moment)
    assert watch.events == 0  # too short
    for moment in (1.0, 1.5):
        watch.see(holds, moment)
    assert watch.events == 1
    watch.see(fine, 3.0)
    watch.see(holds, 3.4)
    assert watch.events == 1  # the gap was shorter than close_after
    for moment in (9.0, 10.0):
        watch.see(holds, moment)
    assert watch.events == 2
    assert watch.keys == {"zone"}


@given(st.integers(0, 9), st.integers(0, 9), st.sampled_from([">=", "<=", ">", "<", "=="]))
def test_comparisons_mean_what_they_say(value: int, number: int, sign: str) -> None:
    watch = Watch(None)
    watch.see(Findings(Quality(False, 0.0), (), {"n": float(value)}), 0.0)
    missed = watch.misses(read_expect({"measures": {"n": f"{sign}{number}"}}))
    python = {">=": value >= number, "<=": value <= number, ">": value > number, "<": value < number}
    assert (not missed) == python.get(sign, value == number)


@pytest.mark.parametrize(
    ("expect", "missed"),
    [
        ({"texts": ["NO PARK"]}, 0),
        ({"texts": ["no park"]}, 1),
        ({"fault": False}, 0),
        ({"fault": True}, 1),
        ({"none": True}, 0),
        ({"none": False}, 1),
        ({"codes": ["x"]}, 1),
        ({"measures": {"unknown": 0}}, 1),
        ({"observations": 0, "events": 0}, 0),
    ],
)
def test_words_of_an_expectation(expect: dict[str, Any], missed: int) -> None:
    watch = Watch(None)
    watch.see(Texts(INSIDE, ("NO PARKING",), np.ones(1, np.float32)), 0.0)
    assert len(watch.misses(read_expect(expect))) == missed
