"""Suppression against a slow reference, and the way back to the frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.engine.decoding import Placement
from aihub.engine.postprocess import MAX_CANDIDATES, finish, nms
from aihub.types import Detections
from aihub.types.geometry import box_iou
from tests.engine.bare import made_card

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
Boxes = tuple[F32, F32, I32]


@st.composite
def crowds(draw: st.DrawFn) -> Boxes:
    """Boxes heaped around a few things, on a coarse grid so that equal boxes, scores and overlaps occur."""
    rows = draw(
        st.lists(
            st.tuples(
                *[st.integers(-3, 12)] * 2, *[st.integers(1, 8)] * 2, st.integers(0, 6), st.integers(0, 2)
            ),
            max_size=25,
        )
    )
    table = np.array(rows, np.float32).reshape(-1, 6)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    return boxes, table[:, 4] / np.float32(6), table[:, 5].astype(np.int32)


def slow_nms(boxes: F32, scores: F32, classes: I32, iou: float) -> list[int]:
    """The definition, one box at a time."""
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda row: (-scores[row], row)):
        rivals = [row for row in kept if classes[row] == classes[index]]
        overlap = box_iou(boxes[[index]].astype(np.float64), boxes[rivals].astype(np.float64))
        if not rivals or overlap.max() <= iou:
            kept.append(index)
    return kept


# No threshold here is a fraction that small integer boxes can hit exactly, where rounding would decide.
@given(crowds(), st.sampled_from([0.101, 0.303, 0.4501, 0.5003, 0.7001]))
@settings(max_examples=300, deadline=None)
def test_nms_is_the_definition(crowd: Boxes, iou: float) -> None:
    assert nms(*crowd, iou).tolist() == slow_nms(*crowd, iou)


@given(crowds(), st.sampled_from([0.303, 0.5003]))
@settings(max_examples=100, deadline=None)
def test_what_is_kept_is_apart_and_keeping_again_changes_nothing(crowd: Boxes, iou: float) -> None:
    boxes, scores, classes = crowd
    kept = nms(boxes, scores, classes, iou)
    assert (np.diff(scores[kept]) <= 0).all(), "best first"
    same = classes[kept][:, None] == classes[kept]
    overlap = box_iou(boxes[kept], boxes[kept])
    assert (overlap[same & ~np.eye(len(kept), dtype=bool)] <= iou + 1e-6).all()
    again = nms(boxes[kept], scores[kept], classes[kept], iou)
    assert again.tolist() == list(range(len(kept)))


def test_far_and_negative_coordinates_do_not_mix_classes() -> None:
    boxes = np.array([[-900, -900, 10, 10], [-900, -900, 10, 10], [4000, 0, 9000, 50]], np.float32)
    kept = nms(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 1]), 0.5)
    assert kept.tolist() == [0, 1, 2]


def test_the_most_certain_stay_when_there_are_too_many() -> None:
    count = MAX_CANDIDATES + 100
    left = np.arange(count, dtype=np.float32) * 10
    boxes = np.stack([left, 0 * left, left + 5, 0 * left + 5], axis=1)
    scores = np.random.default_rng(0).permutation(count).astype(np.float32) / count
    classes = np.zeros(count, np.int32)
    assert nms(boxes, scores, classes, 0.5, max_det=7).tolist() == np.argsort(-scores)[:7].tolist()
    assert len(nms(boxes, scores, classes, 0.5, max_det=10**6)) == MAX_CANDIDATES


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_and_a_single_box(rows: int) -> None:
    kept = nms(np.ones((rows, 4), np.float32), np.ones(rows, np.float32), np.zeros(rows, np.int32), 0.5)
    assert kept.tolist() == list(range(rows))


def detections(boxes: list[list[float]], scores: list[float], points: bool = False) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.zeros(len(scores), np.int32),
        ("thing",),
        keypoints=np.full((len(scores), 2, 3), 50, np.float32) if points else None,
    )


PLACED = Placement(scale=(0.5, 0.25), offset=(10.0, 20.0), size=(200, 300))


def test_results_are_in_frame_pixels_clipped_and_best_first() -> None:
    found = detections(
        [[20, 30, 60, 45], [0, 0, 400, 400], [20.5, 30, 60.5, 45]], [0.5, 0.9, 0.4], points=True
    )
    placed = finish(found, made_card(labels=["thing"]), PLACED)
    assert placed.confidence.tolist() == pytest.approx([0.9, 0.5]), "the third doubles the first"
    assert placed.xyxy.tolist() == [[0, 0, 200, 300], [20, 40, 100, 100]]
    assert placed.keypoints is not None
    assert placed.keypoints[0, 0].tolist() == [80, 120, 50], "moved like boxes, their score kept"
    assert found.xyxy[1].tolist() == [0, 0, 400, 400], "what the decoder gave stays as it was"


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ([np.nan, 0, 50, 50], "not a number"),
        ([0, 0, np.inf, 50], "a size that overflowed"),
        ([0, 0, 9, 50], "in the padding on the left: outside the frame"),
        ([60, 60, 40, 80], "right of its own right side"),
        ([50, 50, 50, 90], "no width"),
    ],
)
def test_boxes_that_are_none_are_left_out(box: list[float], why: str) -> None:
    found = detections([box, [20, 30, 60, 45]], [0.9, 0.5])
    assert finish(found, made_card(labels=["thing"]), PLACED).confidence.tolist() == [0.5], why


def test_nothing_found_is_no_error() -> None:
    assert len(finish(detections([], []), made_card(labels=["thing"]), PLACED)) == 0


def test_the_card_says_how_much_overlap_is_allowed() -> None:
    found = detections([[20, 30, 60, 50], [20, 30, 60, 42]], [0.9, 0.5])  # overlap 0.6
    assert len(finish(found, made_card(labels=["thing"], iou=0.5), PLACED)) == 1
    assert len(finish(found, made_card(labels=["thing"], iou=0.7), PLACED)) == 2
