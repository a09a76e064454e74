"""The stages of most chains, and single pictures through a chain."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.algorithms.base import StageError
from aihub.algorithms.inference import infer
from aihub.algorithms.stages import Detect, DetectParams, Filter, FilterParams, Select, SelectParams
from aihub.errors import DeadlineError, ParamsError, QueueFullError
from aihub.testing import FakePredictor, boxes, frame, picture
from aihub.types import Detections, Findings, Quality, Texts
from tests.algorithms.conftest import make_algorithm

STREET = boxes(
    ("person", 0.9, (0, 0, 10, 20)),
    ("car", 0.6, (0, 0, 40, 20)),
    ("person", 0.3, (0, 0, 4, 4)),
    labels=("person", "bicycle", "car"),
)
AT = frame(picture(100, 100))


def select(*labels: str) -> Select:
    return Select(SelectParams(labels=labels), FakePredictor())


def keep(**settings: Any) -> Filter:
    return Filter(FilterParams(**settings), FakePredictor())


def test_select_keeps_wanted_labels_in_order() -> None:
    assert select("person").process(AT, STREET).names() == ["person", "person"]
    assert select("car", "person").process(AT, STREET).names() == STREET.names()
    assert len(select("bicycle").process(AT, STREET)) == 0


def test_select_refuses_labels_that_the_model_does_not_know() -> None:
    with pytest.raises(ParamsError, match="persn"):
        select("persn").process(AT, STREET)
    assert select("persn", "person").process(AT, STREET).names() == ["person", "person"]
    assert len(select("persn").process(AT, Detections.empty())) == 0


@pytest.mark.parametrize(
    ("settings", "confidences", "reason"),
    [
        ({}, [0.9, 0.6, 0.3], "keeps all"),
        ({"confidence": 0.6}, [0.9, 0.6], "the limit itself passes"),
        ({"confidence": 1}, [], "none is that sure"),
        ({"min_area": 0.02}, [0.9, 0.6], "200 of 10,000 pixels is two in a hundred"),
        ({"min_area": 0.0201}, [0.6], "only the car is larger"),
        ({"max_rows": 1}, [0.9], "the surest"),
        ({"max_rows": 5}, [0.9, 0.6, 0.3], "fewer than allowed"),
        ({"confidence": 0.5, "max_rows": 1}, [0.9], "both"),
    ],
)
def test_filter(settings: dict[str, Any], confidences: list[float], reason: str) -> None:
    found = keep(**settings).process(AT, STREET)
    assert isinstance(found, Detections)
    assert found.confidence.tolist() == pytest.approx(confidences), reason


@given(
    st.lists(st.floats(0, 1, width=32), max_size=8),
    st.floats(0, 1, width=32),
    st.floats(0, 1, width=32),
)
def test_filters_in_a_row_are_the_stricter_one(scores: list[float], one: float, other: float) -> None:
    things = boxes(*(("person", score, (0, 0, 1, 1)) for score in scores), labels=("person",))
    twice = keep(confidence=one).process(AT, keep(confidence=other).process(AT, things))
    once = keep(confidence=max(one, other)).process(AT, things)
    assert twice.to_json() == once.to_json()


def test_filter_takes_lines_of_text_too() -> None:
    quads = np.array([[[0, 0], [50, 0], [50, 10], [0, 10]], [[0, 0], [5, 0], [5, 1], [0, 1]]], np.float32)
    texts = Texts(quads, ("long", "tiny"), np.array([0.5, 0.9], np.float32))
    assert keep(confidence=0.6).process(AT, texts).to_json()["texts"][0]["text"] == "tiny"
    found = keep(min_area=0.01).process(AT, texts)
    assert isinstance(found, Texts)
    assert found.text == ("long",)


@pytest.mark.parametrize("stage", [select("person"), keep()])
@pytest.mark.parametrize("found", [None, Quality(False, 0.0)])
def test_what_cannot_be_worked_on_is_said(stage: Any, found: Any) -> None:
    with pytest.raises(StageError, match=stage.name):
        stage.process(AT, found)


def test_detect_waits_no_longer_than_it_was_told() -> None:
    class Silent(FakePredictor):
        def detect(self, *args: Any, **more: Any) -> Future[Detections]:
            return Future()

    stage = Detect(DetectParams(model="coco", timeout_s=0.05), Silent())
    stage.begin(AT)
    with pytest.raises(DeadlineError, match="coco"):
        stage.process(AT, None)


def test_detect_asks_once_when_begun_and_asks_itself_when_not() -> None:
    models = FakePredictor({"coco": STREET})
    stage = Detect(DetectParams(model="coco"), models)
    stage.begin(AT)
    assert len(stage.process(AT, None)) == 3
    assert len(stage.process(AT, None)) == 3
    stage.begin(AT)
    other = frame(picture(100, 100), seq=7)
    stage.process(other, None)
    assert [call.seq for call in models.calls] == [0, 0, 0, 7]


def test_detect_passes_its_floor_and_the_source() -> None:
    models = FakePredictor({"coco": STREET})
    stage = Detect(DetectParams(model="coco", confidence=0.5), models)
    assert len(stage.process(frame(picture(8, 8), source="cam-1"), None)) == 2
    assert models.calls[0].source == "cam-1"


def test_infer_begins_all_pictures_before_it_waits_for_one() -> None:
    events: list[str] = []

    class Recording(FakePredictor):
        def detect(self, model: str, frame: Any, **more: Any) -> Future[Detections]:
            events.append(f"asked {frame.seq}")
            future = super().detect(model, frame, **more)
            real = future.result

            def waited(timeout: float | None = None) -> Detections:
                events.append(f"waited {frame.seq}")
                return real(timeout)

            future.result = waited  # type: ignore[method-assign]
            return future

    models = Recording({"coco": STREET})
    frames = [frame(picture(8, 8), seq=seq) for seq in range(3)]
    algorithm = make_algorithm(models, {"detect": {"model": "coco"}})
    results = infer(algorithm, frames, {}, models, source="key-7")
    assert events == ["asked 0", "asked 1", "asked 2", "waited 0", "waited 1", "waited 2"]
    assert [len(result) for result in results] == [3, 3, 3]
    assert {call.source for call in models.calls} == {"key-7"}
    assert {at.source for at in frames} == {"test"}


def test_infer_gives_every_picture_fresh_stages() -> None:
    models = FakePredictor({"coco": STREET})
    algorithm = make_algorithm(models, {"detect": {"model": "coco"}}, {"test-tally": {}})
    results = infer(algorithm, [AT, AT, AT], {}, models)
    assert [result.measures for result in results if isinstance(result, Findings)] == [{"total": 3.0}] * 3
    assert infer(algorithm, [], {}, models) == []


def test_infer_raises_what_went_wrong() -> None:
    models = FakePredictor()
    with pytest.raises(StageError, match="test-failing"):
        infer(make_algorithm(models, {"test-failing": {}}), [AT], {}, models)
    with pytest.raises(QueueFullError):
        infer(make_algorithm(models, {"test-failing": {"on_purpose": True, "at": "begin"}}), [AT], {}, models)
    with pytest.raises(ParamsError):
        infer(make_algorithm(models, {"test-shift": {}}), [AT], {"nonsense": 1}, models)
    with pytest.raises(DeadlineError):
        infer(make_algorithm(models, {"test-shift": {}}), [AT], {}, models, timeout_s=-1)
