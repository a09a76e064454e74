"""Where text is, one part of the picture, which way up: with made-up models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aihub.algorithms.builtin.orientation import NAMES, Orientation, OrientationParams
from aihub.algorithms.builtin.text_boxes import FindText, FindTextParams, ReadZone, ReadZoneParams
from aihub.types import Frame, Labels, Tensor
from tests.algorithms.test_text import GREY, Scripted, drawn_map

ZONE = ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0))


def test_boxes_are_where_the_map_has_them_and_as_sure() -> None:
    predictor = Scripted()
    found = FindText(FindTextParams(), predictor).process(Frame(GREY), None)
    (box,) = found.xyxy
    assert (box[:2] + box[2:]) / 2 == pytest.approx([320, 240], abs=3)
    assert found.confidence.tolist() == pytest.approx([0.9], abs=0.02)
    assert found.attributes is not None
    assert found.attributes[0]["angle_deg"] == pytest.approx(0, abs=1)
    assert [model for model, _, _ in predictor.runs] == ["ppocr-det"]


def test_the_map_is_shared_with_whoever_reads() -> None:
    predictor, frame = Scripted(), Frame(GREY)
    for stage in (FindText(FindTextParams(), predictor), FindText(FindTextParams(), predictor)):
        stage.begin(frame)
        stage.process(frame, None)
    assert len(predictor.runs) == 1


def test_a_zone_is_read_alone_and_its_lines_stand_in_the_whole_picture() -> None:
    predictor = Scripted()
    found = ReadZone(ReadZoneParams(zone=ZONE), predictor).process(Frame(GREY, source="gate"), None)
    assert found.text == ("ab",)
    assert found.quads.mean(axis=1)[0] == pytest.approx([480, 360], abs=3)
    assert {source for _, _, source in predictor.runs} == {"gate"}


def test_two_that_read_the_same_zone_look_once() -> None:
    predictor, frame = Scripted(), Frame(GREY)
    for floor in (0.3, 0.6):
        stage = ReadZone(ReadZoneParams(zone=ZONE, min_confidence=floor), predictor)
        stage.begin(frame)
        stage.process(frame, None)
    assert [model for model, _, _ in predictor.runs].count("ppocr-det") == 1


def test_lines_outside_of_a_zone_that_is_no_rectangle_are_left_out() -> None:
    """The finder sees a line in the middle of the rectangle around the zone."""
    angle = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.02), (0.02, 0.02), (0.02, 1.0), (0.0, 1.0))
    diamond = ((0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5))
    read = [
        ReadZone(ReadZoneParams(zone=zone), Scripted()).process(Frame(GREY), None)
        for zone in (angle, diamond)
    ]
    assert [len(found) for found in read] == [0, 1]


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 900)])
def test_zones_of_tiny_pictures(shape: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    ReadZone(ReadZoneParams(zone=ZONE), Scripted()).process(Frame(image), None)


class Turned(Scripted):
    """A finder that sees one line, lying or standing, and a turner of one opinion."""

    def __init__(self, *, tall: bool, head: float, lines: bool = True) -> None:
        super().__init__()
        self.tall, self.head, self.lines = tall, head, lines

    def run(self, model: str, inputs: Any, **more: Any) -> Any:
        future = super().run(model, inputs, **more)
        rows, columns = inputs["x"].shape[2:]
        answer: dict[str, Tensor] = future.result()
        if model == "ppocr-det":
            sides = (columns / 16, rows / 2) if self.tall else (columns / 2, rows / 16)
            seen = [((columns / 2, rows / 2), sides, 0.0)] if self.lines else []
            answer["map"] = drawn_map((rows, columns), seen)[None, None]
        elif model == "ppocr-cls":
            odds = np.array([[1 - self.head, self.head]], np.float32)
            answer["y"] = np.tile(odds, (len(inputs["x"]), 1))
        return future


@pytest.mark.parametrize(
    ("tall", "head", "name", "turn"),
    [
        (False, 0.1, "upright", 0),
        (False, 0.9, "upside-down", 180),
        (True, 0.1, "turned-right", 270),
        (True, 0.9, "turned-left", 90),
    ],
)
def test_four_ways_to_lie(tall: bool, head: float, name: str, turn: int) -> None:
    found = Orientation(OrientationParams(), Turned(tall=tall, head=head)).process(Frame(GREY), None)
    assert found.label[0] == name
    assert set(found.label) == set(NAMES)
    assert sum(found.confidence) == pytest.approx(1)
    assert found.measures == {"turn_deg": turn, "lines": 1.0}


def test_without_lines_nobody_knows() -> None:
    found = Orientation(OrientationParams(), Turned(tall=False, head=0.1, lines=False)).process(
        Frame(GREY), None
    )
    assert isinstance(found, Labels)
    assert (len(found), found.measures) == (0, {"lines": 0.0})
