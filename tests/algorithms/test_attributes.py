"""Attributes of what was found: classifiers, headwear, vests, and rows that have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aihub.algorithms.builtin.attributes import Attributes, AttributesParams, Having, HavingParams
from aihub.algorithms.builtin.protective import (
    Headwear,
    HeadwearParams,
    HighVisibility,
    HighVisibilityParams,
    vivid_share,
)
from aihub.errors import DecodeError
from aihub.testing import FakePredictor, boxes, frame
from aihub.types import Detections, Tensor

SETTINGS: dict[str, Any] = {
    "model": "painter",
    "size": (8, 8),
    "heads": [{"output": "color", "name": "colour", "labels": ["red", "blue"]}],
}


def by_mean(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Red where the picture is bright in red, blue else, as sure as it is bright."""
    pixels = np.asarray(inputs["input"], np.float32)
    red, blue = pixels[..., 2].mean() / 255, pixels[..., 0].mean() / 255
    return {"color": np.array([[red, blue]], np.float32) / max(red + blue, 1e-6)}


def two_cars() -> tuple[Any, Detections]:
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, :100, 2], image[:, 100:, 0] = 255, 255
    found = boxes(("car", 0.9, (0, 0, 90, 90)), ("car", 0.8, (110, 0, 199, 90)), ("car", 0.7, (0, 0, 9, 9)))
    return image, found


def test_every_box_gets_what_the_classifier_says_and_small_ones_nothing() -> None:
    image, found = two_cars()
    stage = Attributes(
        AttributesParams(**SETTINGS, label_as="type"), FakePredictor(runs={"painter": by_mean})
    )
    told = stage.process(frame(image), found).attributes
    assert told == ({"type": "car", "colour": "red"}, {"type": "car", "colour": "blue"}, {"type": "car"})


def test_looks_at_a_track_are_averaged_and_then_rare() -> None:
    image, found = two_cars()
    found = replace(found[:1], track_id=np.array([4], np.int64))
    asked: list[int] = []

    def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        asked.append(1)
        first = len(asked) == 1
        return {"color": np.array([[0.4, 0.6] if first else [0.9, 0.1]], np.float32)}

    stage = Attributes(AttributesParams(**SETTINGS), FakePredictor(runs={"painter": run}))
    told = [stage.process(frame(image, at=step * 0.2), found).attributes for step in range(8)]
    assert told[0] == ({"colour": "blue"},), "the unlucky first look"
    assert told[-1] == ({"colour": "red"},), "outvoted"
    assert len(asked) == 3


def test_what_is_not_sure_is_left_out() -> None:
    image, found = two_cars()
    run = FakePredictor(runs={"painter": lambda _: {"color": np.array([[0.5, 0.5]], np.float32)}})
    stage = Attributes(AttributesParams(**SETTINGS, certainty=0.6), run)
    assert stage.process(frame(image), found).attributes == ({}, {}, {})


def test_a_model_with_other_classes_is_told() -> None:
    image, found = two_cars()
    wrong = FakePredictor(runs={"painter": lambda _: {"color": np.zeros((1, 3), np.float32)}})
    with pytest.raises(DecodeError, match="2 shares as 'color'"):
        Attributes(AttributesParams(**SETTINGS), wrong).process(frame(image), found)


HAVING = [
    ("one of the values", ["red"], ["colour"], [0]),
    ("any of the attributes", ["red", "yes"], ["colour", "vest"], [0, 1]),
    ("no values keep all", [], ["colour"], [0, 1, 2]),
    ("an attribute nobody has", ["red"], ["shape"], []),
]


@pytest.mark.parametrize(("reason", "values", "names", "rows"), HAVING, ids=[row[0] for row in HAVING])
def test_having(reason: str, values: list[str], names: list[str], rows: list[int]) -> None:
    _, found = two_cars()
    found = replace(found, attributes=({"colour": "red"}, {"vest": "yes"}, {}))
    params = HavingParams(attributes=tuple(names), values=tuple(values))
    kept = Having(params, FakePredictor()).process(frame(), found)
    assert np.array_equal(kept.xyxy, found[np.array(rows, np.intp)].xyxy), reason


HEADS = [
    ("a hat on the head", [("hard_hat", 0.8, (40, 0, 60, 20))], {"helmet": "yes"}),
    ("a bare head", [("bare_head", 0.8, (40, 0, 60, 20))], {"helmet": "no"}),
    ("the surer of two", [("bare_head", 0.5, (40, 0, 60, 20)), ("hard_hat", 0.8, (41, 1, 61, 21))], {"helmet": "yes"}),
    ("a hat in the hand", [("hard_hat", 0.8, (80, 120, 100, 140))], {}),
    ("a hat beside them", [("hard_hat", 0.8, (160, 0, 180, 20))], {}),
    ("too faint", [("hard_hat", 0.2, (40, 0, 60, 20))], {}),
    ("a cap says nothing", [("other_headwear", 0.9, (40, 0, 60, 20))], {}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "heads", "told"), HEADS, ids=[row[0] for row in HEADS])
def test_headwear(reason: str, heads: list[Any], told: dict[str, str]) -> None:
    found = boxes(("person", 0.9, (0, 0, 100, 200)), *heads)
    (one,) = Headwear(HeadwearParams(), FakePredictor()).process(frame(), found).attributes or ()
    assert one == told, reason


COLOURS = [
    ("fluorescent orange", (10, 110, 250), "yes"),
    ("fluorescent yellow-green", (60, 250, 200), "yes"),
    ("white", (240, 240, 240), "no"),
    ("dark blue", (110, 40, 20), "no"),
    ("brown: not vivid", (40, 60, 90), "no"),
    ("pink", (200, 120, 250), "no"),
]


@pytest.mark.parametrize(("reason", "colour", "told"), COLOURS, ids=[row[0] for row in COLOURS])
def test_vests_by_their_colour(reason: str, colour: tuple[int, int, int], told: str) -> None:
    image = np.full((200, 100, 3), colour, np.uint8)
    found = boxes(("person", 0.9, (0, 0, 100, 200)), ("person", 0.9, (0, 0, 10, 20)))
    attributes = (
        HighVisibility(HighVisibilityParams(), FakePredictor()).process(frame(image), found).attributes
    )
    assert attributes == ({"vest": told}, {}), reason


def test_between_the_limits_nobody_knows() -> None:
    image = np.full((200, 100, 3), 90, np.uint8)
    image[36:110, 20:30] = (10, 110, 250)
    assert 0.12 < vivid_share(image[36:110, 20:80]) < 0.22
    found = boxes(("person", 0.9, (0, 0, 100, 200)))
    assert HighVisibility(HighVisibilityParams(), FakePredictor()).process(
        frame(image), found
    ).attributes == ({},)
