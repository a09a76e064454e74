"""Motion before a still camera: drawn scenes with known truth, and real clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.builtin.motion import Motion, MotionParams
from aihub.types import Detections, Frame, Image
from aihub.types.geometry import box_iou

NO_MODELS: Any = None
WIDTH, HEIGHT = 480, 270
Scene = Callable[[float], tuple[Image, list[float] | None]]
"""Seconds -> picture and the box of what moves on it."""


def background(seed: int = 1) -> Image:
    """Soft structure of all brightnesses."""
    rough = np.random.default_rng(seed).integers(40, 200, (9, 16, 3), np.uint8)
    return np.asarray(cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


NOISE = np.random.default_rng(2).normal(0, 3, (7, HEIGHT, WIDTH, 3)).astype(np.float32)


def noisy(image: Image, t: float) -> Image:
    return np.asarray((image + NOISE[round(t * 1000) // 8 % len(NOISE)]).clip(0, 255), np.uint8)


def still(t: float) -> tuple[Image, None]:
    return noisy(background(), t), None


def walker(t: float, until: float = 1e9) -> tuple[Image, list[float] | None]:
    """A dark figure that comes in at 3 s, 60 pixels a second, and stands from `until` on."""
    image, x = background(), 60 * (min(t, until) - 3)
    if t < 3:
        return noisy(image, t), None
    box = [x, 120, x + 30, 210]
    image[120:210, round(x) : round(x) + 30] = (20, 25, 20)
    return noisy(image, t), box


def lamp(t: float) -> tuple[Image, None]:
    """At 4 s somebody turns on the light."""
    image = background()
    return noisy(image if t < 4 else np.clip(image * 1.35 + 10, 0, 255).astype(np.uint8), t), None


def dusk(t: float) -> tuple[Image, None]:
    return noisy((background() * (1 - 0.05 * t)).astype(np.uint8), t), None


def exposure(t: float) -> tuple[Image, None]:
    """The camera lifts the whole picture by 25 grey levels at 4 s."""
    return noisy(
        np.clip(background().astype(np.int16) + (25 if t >= 4 else 0), 0, 255).astype(np.uint8), t
    ), None


def run(
    scene: Scene, seconds: float, fps: float, **params: Any
) -> list[tuple[float, Detections, list[float] | None]]:
    stage, seen = Motion(MotionParams(**params), NO_MODELS), []
    for k in range(round(seconds * fps)):
        image, box = scene(k / fps)
        seen.append((k / fps, stage.process(Frame(image, seq=k, monotonic=50 + k / fps), None), box))
    return seen


@pytest.mark.parametrize("fps", [2, 5, 25])
def test_a_walker_is_boxed(fps: float) -> None:
    walking = [(t, found, box) for t, found, box in run(walker, 8, fps) if box and t > 3.5]
    overlaps = [box_iou(found.xyxy, np.array([box])).max(initial=0) for _, found, box in walking]
    assert np.mean(np.array(overlaps) > 0.5) >= 0.9
    assert np.mean([len(found) for _, found, _ in walking]) <= 2.5, (
        "the walker, and what is left of an old place"
    )
    for _, found, _ in walking:
        assert found.names() == ["moving"] * len(found)


QUIET = [
    ("noise is not motion", still, 8),
    ("dusk falls slowly", dusk, 8),
    ("automatic exposure", exposure, 8),
]


@pytest.mark.parametrize(("reason", "scene", "seconds"), QUIET, ids=[q[0] for q in QUIET])
@pytest.mark.parametrize("fps", [2, 10])
def test_nothing_moves(reason: str, scene: Scene, seconds: float, fps: float) -> None:
    assert sum(len(found) for _, found, _ in run(scene, seconds, fps)) == 0, reason


def test_when_the_light_goes_on_the_ground_is_learnt_anew() -> None:
    seen = run(lamp, 8, 5)
    assert sum(len(found) for _, found, _ in seen) == 0


def test_who_stops_is_soon_no_longer_moving() -> None:
    seen = run(lambda t: walker(t, until=6), 14, 5)
    assert all(len(found) for t, found, _ in seen if 4 < t < 6)
    assert not any(len(found) for t, found, _ in seen if t > 9)


def test_nothing_is_reported_before_the_warm_up() -> None:
    seen = run(lambda t: walker(t + 3.5), 5, 5, warm_up=2.0)
    assert not any(len(found) for t, found, _ in seen if t < 2)


def test_sensitivity_and_least_area_are_monotone() -> None:
    def boxes(**params: Any) -> int:
        return sum(len(found) > 0 for _, found, _ in run(walker, 6, 5, **params))

    assert boxes(sensitivity=0.0) <= boxes(sensitivity=0.5) <= boxes(sensitivity=1.0)
    assert boxes(min_area=0.5) == 0 < boxes(min_area=0.001)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90), st.floats(0, 40)), min_size=1, max_size=6))
def test_any_size_and_any_gap_gives_sound_boxes(frames: list[tuple[int, int, float]]) -> None:
    stage, now = Motion(MotionParams(sensitivity=1, warm_up=0), NO_MODELS), 0.0
    for k, (height, width, gap) in enumerate(frames):
        for repeat in range(3):
            now += gap if repeat == 0 else 0.2
            image = np.random.default_rng(k + repeat).integers(0, 256, (height, width, 3), np.uint8)
            before = image.copy()
            found = stage.process(Frame(image, monotonic=now), None)
            assert np.array_equal(image, before)
            assert ((found.xyxy >= 0) & (found.xyxy <= [width, height, width, height])).all()
            assert (found.xyxy[:, 2:] > found.xyxy[:, :2]).all()
            assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


def test_a_single_picture_shows_no_motion() -> None:
    assert not len(Motion(MotionParams(), NO_MODELS).process(Frame(background()), None))


@pytest.mark.media
def test_real_clip_empty_room_and_walker(media: Path) -> None:
    """Nobody until 6.3 s, then a person walks in; the table is empty again from 20 to 22.9 s."""
    video = cv2.VideoCapture(str(media / "video" / "one-by-one-person-detection.mp4"))
    stage, seen = Motion(MotionParams(), NO_MODELS), []
    for k in range(229):
        image = np.asarray(video.read()[1], np.uint8)
        if k % 2 == 0:
            seen.append((k / 10, stage.process(Frame(image, monotonic=k / 10), None)))
    assert not any(len(found) for t, found in seen if t < 6.0)
    assert all(len(found) for t, found in seen if 6.6 <= t <= 8)
    assert np.mean([len(found) > 0 for t, found in seen if t > 21]) <= 0.3
