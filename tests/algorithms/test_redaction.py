"""Pictures in which something is hidden, masks of people, and vectors that stay aside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.builtin.embed import Embed, EmbedParams
from aihub.algorithms.builtin.people_mask import SIDE, SegmentPeople, SegmentPeopleParams
from aihub.algorithms.builtin.redaction import Redact, RedactParams
from aihub.algorithms.contract import unsound
from aihub.algorithms.embedded import EmbeddedDetections, with_vectors
from aihub.errors import DecodeError, QueueFullError
from aihub.testing import FakePredictor, boxes, frame, picture
from aihub.types import Detections, Tensor

PART = st.floats(-0.2, 1.2)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.lists(st.tuples(PART, PART, PART, PART), max_size=4), st.sampled_from(["pixelate", "black"]))  # fmt: skip
def test_outside_of_what_is_hidden_nothing_changes(
    height: int, width: int, parts: list[tuple[float, float, float, float]], style: str
) -> None:
    image = picture(height, width)
    rows = [("face", 0.9, (min(a, c) * width, min(b, d) * height, max(a, c) * width, max(b, d) * height)) for a, b, c, d in parts]  # fmt: skip
    found = boxes(*rows, labels=("face",))
    stage = Redact(RedactParams(models=("faces",), margin=0, style=style), FakePredictor({"faces": found}))
    made = stage.process(frame(image), None)
    assert made.image.shape == image.shape
    assert np.array_equal(image, picture(height, width)), "the frame is not written to"
    changed = (made.image != image).any(axis=2)
    allowed = np.zeros_like(changed)
    for x1, y1, x2, y2 in found.xyxy.astype(np.float64):
        left, top = max(int(np.floor(x1)), 0), max(int(np.floor(y1)), 0)
        allowed[top : max(int(np.ceil(y2)), 0), left : max(int(np.ceil(x2)), 0)] = True
    assert not (changed & ~allowed).any()
    assert unsound(made, width, height) == ""


def test_a_face_becomes_a_few_flat_blocks() -> None:
    image = picture(100, 100)
    found = boxes(("face", 0.9, (20, 20, 70, 70)))
    made = Redact(RedactParams(models=("faces",), margin=0, blocks=5), FakePredictor({"faces": found})).process(frame(image), None)  # fmt: skip
    inside = made.image[20:70, 20:70].reshape(-1, 3)
    assert len(np.unique(inside, axis=0)) <= 25
    assert made.measures == {"hidden": 1.0, "hidden_share": 0.25}


def test_all_detectors_count_and_a_failed_one_gives_no_picture() -> None:
    face, plate = boxes(("face", 0.9, (0, 0, 9, 9))), boxes(("plate", 0.9, (50, 50, 80, 60)))
    both = RedactParams(models=("faces", "plates"))
    made = Redact(both, FakePredictor({"faces": face, "plates": plate})).process(frame(), None)
    assert made.measures["hidden"] == 2
    with pytest.raises(QueueFullError):
        Redact(both, FakePredictor({"faces": face, "plates": QueueFullError("full")})).process(frame(), None)


def half(_: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The upper half of a crop is a person."""
    scores = np.zeros((1, 2, SIDE, SIDE), np.float32)
    scores[0, 1, : SIDE // 2] = 4
    scores[0, 0, SIDE // 2 :] = 4
    return {"out": scores}


def test_a_mask_has_the_size_of_the_picture_and_people_where_they_are() -> None:
    found = boxes(("person", 0.9, (200, 100, 300, 300)), ("person", 0.8, (0, 0, 10, 10)))
    stage = SegmentPeople(SegmentPeopleParams(), FakePredictor(runs={"people-seg": half}))
    mask = stage.process(frame(picture(360, 640)), found)
    assert unsound(mask, 640, 360) == ""
    rows, columns = np.nonzero(mask.classes)
    assert (columns.min(), columns.max()) == (190, 309)
    assert (rows.min(), rows.max()) == pytest.approx((80, 199), abs=2)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (37, 53), (2160, 3840)])
def test_a_mask_of_any_picture(height: int, width: int) -> None:
    found = boxes(("person", 0.9, (0, 0, width, height)))
    params = SegmentPeopleParams(least_side=1)
    mask = SegmentPeople(params, FakePredictor(runs={"people-seg": half})).process(frame(picture(height, width)), found)  # fmt: skip
    assert unsound(mask, width, height) == ""


def test_vectors_have_length_one_stay_with_their_rows_and_leave_no_trace_in_the_answer() -> None:
    found = boxes(
        ("person", 0.9, (0, 0, 50, 100)), ("person", 0.8, (100, 0, 150, 100)), ("person", 0.7, (0, 0, 5, 5))
    )
    run = FakePredictor(runs={"person-reid": lambda given: {"v": np.asarray(given["inputs:0"], np.float32).reshape(1, -1)[:, :256]}})  # fmt: skip
    made = Embed(EmbedParams(), run).process(frame(), found)
    assert made.vectors is not None
    assert np.linalg.norm(made.vectors, axis=1) == pytest.approx([1, 1, 0], abs=1e-5)
    some = made[np.array([1])]
    assert isinstance(some, EmbeddedDetections)
    assert np.array_equal(some.vectors, made.vectors[1:2])  # type: ignore[arg-type]
    tracked = replace(made, track_id=np.arange(3, dtype=np.int64))
    assert tracked[1:].vectors is not None
    assert "vectors" not in json.dumps(made.to_json())
    assert made.to_json() == found.to_json()


def test_vectors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="vectors for 0 rows"):
        with_vectors(Detections.empty(), np.zeros((2, 4), np.float32))
    wrong = FakePredictor(runs={"person-reid": lambda _: {"v": np.zeros((1, 3), np.float32)}})
    with pytest.raises(DecodeError, match="vector of 256"):
        Embed(EmbedParams(), wrong).process(frame(), boxes(("person", 0.9, (0, 0, 50, 100))))
