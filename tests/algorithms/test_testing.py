"""The fakes do what their words say."""

from __future__ import annotations

import pytest

from aihub.errors import ModelNotFoundError, QueueFullError
from aihub.testing import Call, FakePredictor, boxes, clip, frame, picture
from aihub.types import Predictor

ONE = boxes(("person", 0.9, (0, 0, 5, 5)))
TWO = boxes(("car", 0.3, (0, 0, 5, 5)), ("person", 0.9, (0, 0, 5, 5)), labels=("bus",))


def ask(predictor: Predictor, seq: int = 0, confidence: float = 0.1) -> int:
    return len(predictor.detect("coco", frame(seq=seq), confidence=confidence, source="s").result(1))


def test_answers_may_be_fixed_computed_or_one_after_the_other() -> None:
    assert ask(FakePredictor({"coco": ONE})) == 1
    assert ask(FakePredictor({"coco": lambda at: TWO if at.seq else ONE}), seq=3) == 2
    turns = FakePredictor({"coco": [ONE, TWO]})
    assert [ask(turns), ask(turns), ask(turns)] == [1, 2, 2]
    assert turns.calls == [Call("coco", "s", 0)] * 3


def test_answers_keep_to_the_floor_and_errors_come_through_the_future() -> None:
    assert ask(FakePredictor({"coco": TWO}), confidence=0.5) == 1
    full = FakePredictor({"coco": QueueFullError("full")}).detect("coco", frame())
    with pytest.raises(QueueFullError):
        full.result(1)
    with pytest.raises(ModelNotFoundError, match="did you mean 'coco'"):
        FakePredictor({"coco": ONE}).detect("cocoa", frame()).result(1)
    with pytest.raises(ModelNotFoundError):
        FakePredictor().run("raw", {}).result(1)
    assert FakePredictor(missing=["b"]).missing(["a", "b"]) == ["b"]
    assert FakePredictor(metadata={"m": {"k": "v"}}).metadata("m") == {"k": "v"}


def test_boxes_are_sorted_and_know_their_labels() -> None:
    assert TWO.labels == ("bus", "car", "person")
    assert TWO.names() == ["person", "car"]
    assert len(boxes()) == 0


def test_frames_of_a_clip_follow_each_other() -> None:
    frames = list(clip([picture(4, 4)] * 3, fps=2))
    assert [(at.seq, at.monotonic) for at in frames] == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert frames[2].captured_at - frames[0].captured_at == pytest.approx(1.0)
