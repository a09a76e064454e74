"""Results drawn onto pictures."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from aihub.algorithms.drawing import ALARM, color_of, draw, overlays
from aihub.testing import FakePredictor, boxes
from aihub.types import Codes, Detections, Findings, Observation, Quality, Texts
from tests.algorithms.conftest import make_algorithm

GREY = np.full((240, 320, 3), 128, np.uint8)
QUADS = np.array([[[20, 40], [120, 40], [120, 80], [20, 80]]], np.float32)
PEOPLE = boxes(("person", 0.9, (100, 60, 200, 200)), ("dog", 0.6, (-5, -5, 400, 400)))


def changed(result: Any, **more: Any) -> Any:
    before = GREY.copy()
    drawn = draw(before, result, **more)
    assert np.array_equal(before, GREY)  # the picture itself is not written to
    assert drawn.shape == GREY.shape
    return (drawn != GREY).any(axis=2)


@pytest.mark.parametrize(
    "result",
    [
        PEOPLE,
        Findings(PEOPLE, (Observation("zone", "person", 1.0, (0.2, 0.2, 0.6, 0.6)),), {"count": 2.0}),
        Texts(QUADS, ("出口 EXIT",), np.ones(1, np.float32)),
        Codes(QUADS, ("https://example.org/a/very/long/address/that/is/cut/somewhere",), ("QRCode",)),
        Quality(True, 0.8, {"sharpness": 0.5}),
        Findings(Quality(False, 0.1, {"sharpness": 2.5})),
        Detections(
            PEOPLE.xyxy,
            PEOPLE.confidence,
            PEOPLE.class_id,
            PEOPLE.labels,
            np.array([3, 4]),
            np.ones((2, 5, 3), np.float32),
        ),
    ],
)
def test_every_kind_of_result_leaves_a_mark(result: Any) -> None:
    assert changed(result).any()


def test_nothing_found_leaves_no_mark() -> None:
    assert not changed(Detections.empty(("person",))).any()
    assert not changed(Findings(Detections.empty())).any()


def test_a_box_is_where_the_thing_is() -> None:
    marks = changed(boxes(("person", 0.9, (100, 60, 200, 200))))
    assert marks[60:201, 100].all()
    assert marks[200, 100:201].all()
    assert not marks[70:190, 110:190].any()


def test_an_alarm_is_drawn_in_the_colour_of_alarms() -> None:
    drawn = draw(GREY, Findings(Detections.empty(), (Observation("k", "l", 1.0, (0.25, 0.25, 0.75, 0.75)),)))
    assert (drawn == ALARM).all(axis=2).sum() > 200


def test_zones_are_shaded_and_lines_drawn() -> None:
    marks = changed(Detections.empty(), zones=[((0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0))])
    assert marks[130:230, 170:310].all()
    assert not marks[:110, :150].any()
    assert changed(Detections.empty(), lines=[((0.5, 0.0), (0.5, 1.0))])[:, 158:162].any(axis=1).all()


def test_zones_and_lines_are_found_among_the_parameters() -> None:
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    params = {
        "zone": {"type": "polygon", "default": square, "description": "d"},
        "gate": {"type": "line", "default": [[0, 0], [1, 1]], "description": "d"},
        "share": {"type": "number", "default": 0.5, "description": "d"},
    }
    algorithm = make_algorithm(FakePredictor(), {"test-shift": {}}, params=params)
    zones, lines = overlays(algorithm.card, algorithm.resolve({}).params)
    assert zones == []  # the whole picture needs no shade
    assert lines == [((0.0, 0.0), (1.0, 1.0))]
    part = algorithm.resolve({"zone": [[0, 0], [0.5, 0], [0.5, 1]]}).params
    assert overlays(algorithm.card, part)[0] == [((0.0, 0.0), (0.5, 0.0), (0.5, 1.0))]


def test_a_label_has_the_same_colour_everywhere() -> None:
    assert color_of("person") == color_of("person")
    assert (
        len({color_of(name) for name in ("person", "car", "dog", "face", "fire", "smoke", "bus", "cat")}) >= 3
    )


def test_an_older_opencv_without_unicode_fonts_still_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    assert changed(Texts(QUADS, ("出口 EXIT",), np.ones(1, np.float32))).any()


def test_one_pixel_is_a_picture_too() -> None:
    assert draw(np.zeros((1, 1, 3), np.uint8), boxes(("person", 0.9, (0, 0, 1, 1)))).shape == (1, 1, 3)
