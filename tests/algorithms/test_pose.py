"""Joints in their place, and people who lie."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aihub.algorithms.builtin.lying import TURNS, Lying, LyingParams, _back, _there, _turned
from aihub.algorithms.builtin.pose import JOINTS, Pose, PoseParams
from aihub.errors import DecodeError
from aihub.testing import FakePredictor, boxes, frame, picture
from aihub.types import Detections, Frame, Tensor


def in_the_middle(_: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All joints in the middle of the crop."""
    return {"out": np.full((1, 1, JOINTS, 3), 0.5, np.float32)}


def test_joints_land_in_the_frame_and_small_people_have_none() -> None:
    found = boxes(("person", 0.9, (100, 50, 160, 250)), ("person", 0.8, (300, 50, 310, 60)))
    told = Pose(PoseParams(), FakePredictor(runs={"pose": in_the_middle})).process(frame(), found)
    assert told.keypoints is not None
    assert told.keypoints[0] == pytest.approx(np.tile([130, 150, 0.5], (JOINTS, 1)), abs=1.5)
    assert not told.keypoints[1].any()


def test_no_more_people_than_asked_for_are_looked_at() -> None:
    asked: list[int] = []

    def count(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        asked.append(1)
        return in_the_middle(inputs)

    found = boxes(*(("person", 0.5, (20.0 * k, 0.0, 20.0 * k + 40, 100.0)) for k in range(20)))
    Pose(PoseParams(most=3), FakePredictor(runs={"pose": count})).process(frame(), found)
    assert len(asked) == 3


def test_another_model_is_told() -> None:
    wrong = FakePredictor(runs={"pose": lambda _: {"out": np.zeros((1, 33, 3), np.float32)}})
    with pytest.raises(DecodeError, match="joints of shape"):
        Pose(PoseParams(), wrong).process(frame(), boxes(("person", 0.9, (0, 0, 90, 90))))


PART = st.floats(0, 1)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25, deadline=None)
@given(st.integers(2, 700), st.integers(2, 700), st.tuples(PART, PART, PART, PART))
def test_a_box_turned_and_turned_back_is_where_it_was(
    width: int, height: int, corners: tuple[float, float, float, float]
) -> None:
    shown = Frame(np.zeros((height, width, 3), np.uint8))
    x1, x2 = sorted((corners[0] * width, corners[1] * width))
    y1, y2 = sorted((corners[2] * height, corners[3] * height))
    box = np.array([[x1, y1, x2, y2]], np.float32)
    for turn, sign in TURNS:
        turned = _turned(shown, turn).image
        assert _back(_there(box, turned, shown, sign), turned, shown, sign) == pytest.approx(box, abs=0.1)


@pytest.mark.parametrize(("turn", "sign"), TURNS)
def test_a_mark_of_the_picture_is_found_by_its_turned_box(turn: int, sign: int) -> None:
    image = np.zeros((120, 200, 3), np.uint8)
    image[30:50, 60:150] = 255
    shown = Frame(image)
    turned = _turned(shown, turn).image
    rows, columns = np.nonzero(turned.any(axis=2))
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    assert _back(box, turned, shown, sign)[0] == pytest.approx([60, 30, 150, 50], abs=0.01)


def standing(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Somebody who stands upright in the crop."""
    joints = np.full((1, 1, JOINTS, 3), 0.8, np.float32)
    joints[..., 1] = 0.5
    joints[0, 0, 5:7, 0], joints[0, 0, 11:13, 0] = 0.3, 0.6
    return {"out": joints}


def hanging(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    joints = standing(inputs)["out"].copy()
    joints[..., 0] = 1 - joints[..., 0]
    return {"out": joints}


def sees(turned_box: tuple[float, float, float, float], sure: float = 0.9) -> FakePredictor:
    """A detector that finds a person in pictures that are higher than wide."""

    def detect(shown: Frame) -> Detections:
        found = boxes(("person", sure, turned_box), labels=("person", "car"))
        return found if shown.height > shown.width else found[:0]

    return FakePredictor({"coco": detect}, runs={"pose": standing})


UPRIGHT = boxes(labels=("person",))
TALL, WIDE = (100.0, 200.0, 160.0, 400.0), (100.0, 200.0, 300.0, 260.0)


def test_who_stands_in_the_turned_picture_lies() -> None:
    found = Lying(LyingParams(), sees(TALL)).process(frame(picture(360, 640)), UPRIGHT)
    assert found.names() == ["lying"] * 2, "the fake sees somebody in both turned pictures, in other places"
    sides = found.xyxy[:, 2:] - found.xyxy[:, :2]
    assert sides == pytest.approx(np.array([[200, 60]] * 2), abs=0.5)


def test_who_is_seen_more_surely_upright_does_not_lie() -> None:
    shown = frame(picture(360, 640))
    (first, second) = Lying(LyingParams(), sees(TALL)).process(shown, UPRIGHT).xyxy.tolist()
    rival = boxes(("person", 0.95, tuple(first)), ("person", 0.95, tuple(second)))
    assert len(Lying(LyingParams(), sees(TALL)).process(frame(picture(360, 640)), rival)) == 0


NOT_LYING = [
    ("who is wide in the turned picture stands", sees(WIDE)),
    ("too faint", sees(TALL, 0.1)),
    ("head down in the turned picture", FakePredictor({"coco": boxes(("person", 0.9, TALL))}, runs={"pose": hanging})),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "predictor"), NOT_LYING, ids=[row[0] for row in NOT_LYING])
def test_who_does_not_lie(reason: str, predictor: FakePredictor) -> None:
    assert len(Lying(LyingParams(), predictor).process(frame(picture(360, 640)), UPRIGHT)) == 0, reason


def test_two_who_sit_side_by_side_are_not_one_who_lies() -> None:
    shown = frame(picture(360, 640))
    first, _ = Lying(LyingParams(), sees(TALL)).process(shown, UPRIGHT).xyxy.tolist()
    left, top, _, bottom = first
    sitting = boxes(("person", 0.5, (left, top - 20, left + 60, bottom)))
    assert len(Lying(LyingParams(), sees(TALL)).process(frame(picture(360, 640)), sitting)) == 1, (
        "the other turn's"
    )
