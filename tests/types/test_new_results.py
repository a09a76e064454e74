"""Labels, fields, masks, pictures, recordings, points: to JSON and back gives the same, and what cannot be is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.types import (
    SAMPLE_RATE,
    AnyResult,
    Detections,
    Field,
    Fields,
    Labels,
    Mask,
    Picture,
    Points,
    Recording,
    Series,
    result_from_json,
)

share = st.floats(0, 1)
number = st.floats(-1e12, 1e12)
maybe = st.one_of(number, st.just(math.nan))
words = st.text(st.characters(codec="utf-8"), max_size=12)
measures = st.dictionaries(words, number, max_size=3)


def there_and_back(result: AnyResult) -> Any:
    """Once over the wire; the form must not change on a second way."""
    sent = json.dumps(result.to_json(), allow_nan=False)
    back = result_from_json(json.loads(sent))
    assert type(back) is type(result)
    assert json.dumps(back.to_json(), allow_nan=False) == sent
    return back


@given(st.dictionaries(words, share, max_size=6), measures)
def test_labels(rows: dict[str, float], figures: dict[str, float]) -> None:
    labels = Labels.of(rows, figures)
    assert list(labels.confidence) == sorted(rows.values(), reverse=True), "surest first"
    back = there_and_back(labels)
    assert back.label == labels.label
    assert back.confidence == pytest.approx(labels.confidence, abs=5e-5)


corner = st.tuples(st.floats(0, 4000), st.floats(0, 4000))
fields = st.builds(
    Field,
    words,
    words,
    share,
    st.sampled_from([True, False, None]),
    st.none() | st.tuples(corner, corner, corner, corner),
    st.none() | st.tuples(st.integers(0, 9), st.integers(9, 99)),
)


@given(st.lists(fields, max_size=5))
def test_fields(rows: list[Field]) -> None:
    found = Fields(tuple(rows))
    back = there_and_back(found)
    assert [(f.name, f.value, f.valid, f.span) for f in back.fields] == [
        (f.name, f.value, f.valid, f.span) for f in rows
    ]
    assert len(back.quads()) == sum(row.quad is not None for row in rows)


points = st.lists(st.tuples(number, maybe, maybe, maybe, words, share), max_size=8)


@given(points, measures)
def test_points(rows: list[Any], figures: dict[str, float]) -> None:
    found = Points.of(rows, figures)
    assert (np.diff(found.at) >= 0).all(), "in the order of time"
    back = there_and_back(found)
    for name in ("value", "low", "high"):
        mine, its = getattr(found, name), getattr(back, name)
        assert np.array_equal(np.isnan(mine), np.isnan(its)), "null is what was not said"
        assert np.allclose(mine, its, rtol=1e-8, atol=1e-9, equal_nan=True)


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=30)
@given(sizes, st.integers(1, 4), st.integers(0, 2**31))
def test_masks_lose_nothing(size: tuple[int, int], kinds: int, seed: int) -> None:
    classes = np.random.default_rng(seed).integers(0, kinds, size, np.uint8)
    mask = Mask(classes, tuple(f"kind-{index}" for index in range(kinds)))
    back = there_and_back(mask)
    assert np.array_equal(back.classes, classes)
    assert back.labels == mask.labels
    assert math.isclose(float(mask.shares().sum()), 1.0)
    assert len(mask) == len(set(classes.ravel().tolist()) - {0}), "the background is nothing found"


@settings(max_examples=30)
@given(sizes, st.integers(0, 255), measures)
def test_pictures_keep_their_size(size: tuple[int, int], grey: int, figures: dict[str, float]) -> None:
    picture = Picture(np.full((*size, 3), grey, np.uint8), figures)
    body = picture.to_json()
    back = result_from_json(json.loads(json.dumps(body, allow_nan=False)))
    assert isinstance(back, Picture)
    assert back.image.shape == picture.image.shape == (body["height"], body["width"], 3)
    assert abs(int(back.image[0, 0, 0]) - grey) <= 2, "JPEG loses a little"


@settings(max_examples=30)
@given(st.lists(st.floats(-2, 2, width=32), max_size=50))
def test_recordings_to_sixteen_bits(samples: list[float]) -> None:
    sound = Recording(np.array(samples, np.float32), {"gain_db": 3.0})
    back = there_and_back(sound)
    assert np.allclose(back.samples, np.clip(samples, -1, 1), atol=1 / 32767)
    assert sound.to_json()["duration"] == round(len(samples) / SAMPLE_RATE, 3)


def test_detections_keep_what_is_known_of_each() -> None:
    boxes = np.array([[0, 0, 4, 4], [1, 1, 2, 2], [5, 5, 9, 9]], np.float32)
    rows: tuple[dict[str, Any], ...] = ({"plate": "A1"}, {}, {"colour": "blue", "seats": 5})
    found = Detections(boxes, np.ones(3, np.float32), np.zeros(3, np.int32), ("car",), attributes=rows)
    assert there_and_back(found).attributes == rows
    assert found[np.array([2, 0])].attributes == (rows[2], rows[0]), "they go where their row goes"
    assert found[found.xyxy[:, 0] > 0].attributes == rows[1:]
    with pytest.raises(ValueError, match="2 attributes for 3 rows"):
        Detections(boxes, found.confidence, found.class_id, ("car",), attributes=rows[:2])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Labels(("a",), (), {}), "1 labels with 0"),
        (lambda: Field("a", "b", quad=((0, 0), (1, 1))), "four corners"),
        (lambda: Points(np.zeros(1), np.zeros(2), np.zeros(1), np.zeros(1), ("a",), np.zeros(1)), "shape"),
        (lambda: Series(np.zeros(2), np.zeros(3)), "one length"),
        (lambda: Series(np.zeros((2, 2)), np.zeros((2, 2))), "one length"),
    ],
)
def test_columns_of_different_length_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(
    ("series", "step"),
    [
        (Series.regular([]), 1.0),
        (Series.regular([1.0], 60), 1.0),
        (Series.regular([1, 2, 3], 60, 5), 60.0),
        (Series(np.array([0.0, 60, 120, 4000]), np.zeros(4)), 60.0),
    ],
    ids=["empty", "one", "even", "a gap leaves the step"],
)
def test_the_step_of_a_series(series: Series, step: float) -> None:
    assert series.step_s == step


def test_the_result_type_is_told_by_its_task() -> None:
    with pytest.raises(KeyError):
        result_from_json({"task": "nothing"})
