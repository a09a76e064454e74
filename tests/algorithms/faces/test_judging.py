"""Pose, sharpness and light: held against heads of known pose and pictures of known blur."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aihub.algorithms.builtin.face_quality import FaceQuality, FaceQualityParams
from aihub.algorithms.faces.chips import ARC_112
from aihub.algorithms.faces.judging import detail, eye_distances, looks, poses
from aihub.testing import FakePredictor
from aihub.types import Detections, Frame

HEAD = np.array([(-31.5, -33, 0), (31.5, -33, 0), (0, 4, 38), (-25, 37, 8), (25, 37, 8)], float)
"""Eyes, tip of the nose, corners of the mouth of a mean head, millimetres; x right on the picture, y down, z to the camera."""


def seen(roll: float = 0, yaw: float = 0, pitch: float = 0, scale: float = 2.0) -> np.ndarray:
    """`(1, 5, 2)` the points of a head turned by degrees, from far away."""
    r, y, p = np.radians([roll, yaw, pitch])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return np.asarray((HEAD @ (about_z @ about_y @ about_x).T)[None, :, :2] * scale + 300)


@pytest.mark.parametrize("angle", [-40, -20, 0, 20, 40])
def test_yaw_and_roll_are_read_within_some_degrees(angle: float) -> None:
    assert poses(seen(yaw=angle))[0, 1] == pytest.approx(angle, abs=5)
    assert poses(seen(roll=angle))[0, 0] == pytest.approx(angle, abs=1)


@pytest.mark.parametrize("angle", [-25, 0, 25])
def test_pitch_is_read_within_ten_degrees(angle: float) -> None:
    assert poses(seen(pitch=angle))[0, 2] == pytest.approx(angle, abs=10)


def test_pose_does_not_depend_on_size_place_and_roll() -> None:
    flat = poses(seen(yaw=15, scale=1.0))[0, 1:]
    assert poses(seen(yaw=15, scale=7.0) + 1000)[0, 1:] == pytest.approx(flat, abs=1e-6)
    assert poses(seen(yaw=15, roll=30))[0, 1:] == pytest.approx(flat, abs=1e-6)


def test_detail_falls_with_blur_and_not_with_contrast() -> None:
    rng = np.random.default_rng(3)
    sharp = np.asarray(
        cv2.GaussianBlur(rng.uniform(0, 255, (80, 64)).astype(np.float32), (0, 0), 0.8), np.float32
    )
    said = [detail(np.asarray(cv2.GaussianBlur(sharp, (0, 0), s), np.float32)) for s in (0.5, 1, 2, 4)]
    assert said == sorted(said, reverse=True)
    assert said[0] > 0.4 > 0.2 > said[-1]
    assert detail((sharp * np.float32(0.5)).astype(np.float32)) == pytest.approx(detail(sharp), abs=0.05)
    assert detail(np.full((8, 8), 7, np.float32)) == 0.0


def judged(image: np.ndarray, points: np.ndarray) -> dict[str, object]:
    low, high = points.min(axis=1), points.max(axis=1)
    boxes = np.concatenate([low - 20, high + 20], axis=1).clip(0, max(image.shape)).astype(np.float32)
    keypoints = np.concatenate([points, np.ones((1, 5, 1))], axis=2).astype(np.float32)
    faces = Detections(boxes, np.ones(1, np.float32), np.zeros(1, np.int32), ("face",), None, keypoints)
    found = FaceQuality(FaceQualityParams(), FakePredictor()).process(Frame(image), faces)
    assert found.attributes is not None
    return dict(found.attributes[0])


def texture(level: float = 128, spread: float = 60, side: int = 600) -> np.ndarray:
    noise = np.random.default_rng(0).normal(level, spread, (side, side, 1))
    return np.clip(np.repeat(noise, 3, axis=2), 0, 255).astype(np.uint8)


SOFT = cv2.GaussianBlur(texture().astype(np.float32), (0, 0), 14)
SOFT = np.clip(128 + 30 * (SOFT - SOFT.mean()) / SOFT.std(), 0, 255).astype(np.uint8)
SHADED = np.where(np.arange(600)[None, :, None] < 300, texture() * 0.35, texture()).astype(np.uint8)


@pytest.mark.parametrize(
    ("image", "points", "verdict", "why"),
    [
        (texture(), seen(), "fit", "large, frontal, sharp, well lit"),
        (texture(), seen(roll=20), "fit", "a tilted head is put upright"),
        (texture(), seen(scale=0.3), "small", "19 pixels between the eyes"),
        (texture(), seen(yaw=45), "turned", "looks aside"),
        (texture(20, 8), seen(), "dark", "hardly any light"),
        (texture(240, 10), seen(), "bright", "washed out"),
        (SHADED, seen(), "uneven", "half in the shade"),
        (SOFT, seen(), "blurred", "out of focus"),
    ],
)
def test_verdicts(image: np.ndarray, points: np.ndarray, verdict: str, why: str) -> None:
    assert judged(image, points)["comparison"] == verdict, why


def test_without_landmarks_nothing_is_fit() -> None:
    faces = Detections(
        np.array([[0, 0, 50, 50]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), ("face",)
    )
    found = FaceQuality(FaceQualityParams(), FakePredictor()).process(Frame(texture()), faces)
    assert found.attributes == ({"comparison": "no-landmarks"},)


def test_figures_of_no_faces() -> None:
    none = np.zeros((0, 5, 2), np.float32)
    assert looks(texture(), none).shape == (0, 4)
    assert poses(none).shape == (0, 3)
    assert eye_distances(none).shape == (0,)
    assert eye_distances(ARC_112.points[None].astype(np.float32))[0] == pytest.approx(35.2, abs=0.1)
