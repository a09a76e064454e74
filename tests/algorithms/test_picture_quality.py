"""Black, frozen and blurred pictures: on drawn scenes of known truth and on every real clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.algorithms.base import Stage
from aihub.algorithms.builtin.picture_quality import (
    BlackPicture,
    BlackPictureParams,
    BlurredPicture,
    BlurredPictureParams,
    FrozenPicture,
    FrozenPictureParams,
    clearness,
)
from aihub.algorithms.grey import small_grey
from aihub.scenes.drawings import drawing, street, with_noise
from aihub.testing import FakePredictor, clip, frame
from aihub.types import Frame, Image, Quality

NOBODY = FakePredictor()


def black(image: Image, **settings: float) -> bool:
    return BlackPicture(BlackPictureParams(**settings), NOBODY).process(frame(image), None).fault


def blurred(image: Image, **settings: float) -> bool:
    return BlurredPicture(BlurredPictureParams(**settings), NOBODY).process(frame(image), None).fault


def frozen_times(images: list[Image], *, fps: float = 5.0, **settings: float) -> list[float]:
    stage = FrozenPicture(FrozenPictureParams(**settings), NOBODY)
    return [at.monotonic for at in clip(images, fps=fps) if stage.process(at, None).fault]


@given(st.floats(0, 1), st.floats(0.01, 0.99), st.booleans())
def test_the_score_is_at_least_a_half_exactly_at_a_fault(value: float, limit: float, rising: bool) -> None:
    score = clearness(value, limit, 1.0 if rising else 0.0)
    assert 0 <= score <= 1
    assert (score >= 0.5) == (value >= limit if rising else value <= limit)
    assert (round(score, 4) >= 0.5) == (score >= 0.5)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99))
def test_the_score_grows_with_the_fault(one: float, other: float, limit: float) -> None:
    low, high = sorted((one, other))
    assert clearness(low, limit, 1.0) <= clearness(high, limit, 1.0)
    assert clearness(low, limit, 0.0) >= clearness(high, limit, 0.0)


def grey(level: int) -> Image:
    return np.full((360, 640, 3), level, np.uint8)


def night(lamps: int) -> Image:
    image = with_noise(grey(6), 0.0, 4.0)
    for lamp in range(lamps):
        cv2.circle(image, (60 + lamp * 90, 120), 26, (220, 240, 250), cv2.FILLED)
    return image


@pytest.mark.parametrize(
    ("image", "fault", "reason"),
    [
        (grey(0), True, "nothing at all"),
        (with_noise(grey(4), 0.0, 3.0), True, "a capped lens has noise"),
        (grey(16), True, "black of limited-range video"),
        (
            cv2.putText(grey(2), "10:00:00", (8, 24), 0, 0.6, (255, 255, 255), 2),
            True,
            "a clock lights nothing",
        ),
        (night(6), False, "lamps at night"),
        (grey(60), False, "dim, not black"),
        (street(), False, "day"),
    ],
)
def test_black(image: Image, fault: bool, reason: str) -> None:
    assert black(image) == fault, reason


def test_a_live_camera_in_a_still_room_is_not_frozen() -> None:
    images = [with_noise(street(), moment / 5, 1.0) for moment in range(60)]
    assert frozen_times(images, seconds=2) == []


def test_a_repeated_picture_is_frozen_after_the_time_and_not_before() -> None:
    images = [with_noise(street(), moment / 5) for moment in range(10)]
    assert min(frozen_times(images + [images[-1]] * 30, seconds=4)) == pytest.approx(1.8 + 4.0)


def test_a_running_clock_does_not_hide_the_freeze() -> None:
    images = list(drawing("frozen-after-3s").frames(5, 12))
    times = frozen_times(images, seconds=4)
    assert times[0] == pytest.approx(7.0, abs=0.25)
    assert len(times) == len(images) - round(times[0] * 5)


def test_a_codec_that_repeats_a_quiet_picture_for_a_moment_is_not_frozen() -> None:
    # What low-rate H.264 makes of a still live scene: runs of equal frames, then a key frame with another noise.
    images = [with_noise(street(), moment // 6) for moment in range(90)]
    assert frozen_times(images, seconds=2) == []


def test_slow_drift_is_change() -> None:
    images = [np.clip(street().astype(np.int16) + step // 3, 0, 255).astype(np.uint8) for step in range(90)]
    assert frozen_times(images, seconds=3) == []


def test_a_change_of_size_starts_anew() -> None:
    small = np.asarray(cv2.resize(street(), (320, 240)), np.uint8)
    assert frozen_times([street()] * 10 + [small] * 10 + [street()] * 10, seconds=3) == []


def test_one_picture_is_never_frozen() -> None:
    assert frozen_times([street()], seconds=1) == []


@pytest.mark.parametrize("sigma", [3.0, 5.0, 9.0])
@pytest.mark.parametrize("noise", [0.0, 2.0, 4.0])
def test_the_blurred_street_is_blurred(sigma: float, noise: float) -> None:
    image = np.asarray(cv2.GaussianBlur(street(), (0, 0), sigma), np.uint8)
    assert blurred(with_noise(image, 1.0, noise))


@pytest.mark.parametrize("contrast", [1.0, 0.5, 0.2])
def test_low_contrast_is_not_blur(contrast: float) -> None:
    flat = (128 + (street().astype(np.float32) - 128) * contrast).astype(np.uint8)
    assert not blurred(flat)
    assert blurred(np.asarray(cv2.GaussianBlur(flat, (0, 0), 5.0), np.uint8))


def test_a_flat_picture_is_not_judged() -> None:
    assert not blurred(grey(128))
    assert not blurred(np.zeros((1, 1, 3), np.uint8))


def test_the_small_grey_picture_is_made_once_a_frame_and_keeps_its_shape() -> None:
    tall = frame(np.zeros((1920, 1080, 3), np.uint8))
    assert small_grey(tall).shape == (320, 180)
    assert small_grey(tall) is small_grey(tall)
    assert small_grey(frame(np.zeros((10, 5, 3), np.uint8))).shape == (10, 5)
    assert small_grey(frame(np.zeros((1, 4000, 3), np.uint8))).shape == (1, 320)


def real_pictures(media: Path) -> Iterator[tuple[str, Image]]:
    for folder in ("coco", "faces", "liveness", "fire_smoke"):
        for path in sorted((media / "images" / folder).glob("*.jpg")):
            yield path.name, np.asarray(cv2.imread(str(path)), np.uint8)


@pytest.mark.media
def test_no_real_picture_is_blurred_and_nearly_every_blurred_copy_is(media: Path) -> None:
    alarms: list[str] = []
    missed: list[tuple[str, float]] = []
    total = 0
    for name, image in real_pictures(media):
        total += 1
        height = min(image.shape[:2])
        alarms += [name] if blurred(image) else []
        for sigma, noise in ((3.0, 0.0), (6.0, 2.0)):
            soft = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma * height / 480), np.uint8)
            missed += [(name, sigma)] if not blurred(with_noise(soft, 0.0, noise)) else []
    assert total >= 55
    assert alarms == []
    assert len(missed) <= 0.04 * total, missed


@pytest.mark.media
def test_no_real_clip_is_black_frozen_or_blurred(media: Path) -> None:
    clips = sorted((media / "video").glob("*.mp4"))
    assert clips
    for path in clips:
        stages: list[Stage[Any]] = [
            BlackPicture(BlackPictureParams(), NOBODY),
            FrozenPicture(FrozenPictureParams(seconds=2), NOBODY),
            BlurredPicture(BlurredPictureParams(), NOBODY),
        ]
        for at in frames_of(path):
            for stage in stages:
                verdict = stage.process(at, None)
                assert isinstance(verdict, Quality)
                assert not verdict.fault, (path.name, stage.name, at.monotonic, verdict.measures)


def frames_of(path: Path) -> Iterator[Frame]:
    """Two frames a second of the whole clip."""
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    step = max(round(rate / 2), 1)
    index = 0
    while capture.grab():
        if index % step == 0:
            yield frame(np.asarray(capture.retrieve()[1], np.uint8), seq=index, at=index / rate)
        index += 1
    capture.release()
