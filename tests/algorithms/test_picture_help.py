"""Pictures made better, steadied, compared, summed up: laws and golden values on drawn scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.base import stage_type
from aihub.algorithms.builtin.alike_pictures import perceptual_hash
from aihub.algorithms.builtin.deblur_score import blur_effect
from aihub.algorithms.builtin.enhance import guided
from aihub.algorithms.builtin.steady import motion
from aihub.algorithms.registry import Registry
from aihub.scenes.altering import dim_street, hazy_street, knocked
from aihub.scenes.drawings import drawing, still_street, street
from aihub.scenes.faults import lively_street
from aihub.testing import FakePredictor, clip, frame
from aihub.types import Findings, Image, Labels, Picture

NOBODY = FakePredictor()
REGISTRY = Registry(NOBODY)  # loads the stages
STREET = lively_street(1.0)


def made(stage: str, **params: Any) -> Any:
    kind = stage_type(stage)
    return kind(kind.params_type(**params), NOBODY)


def picture(stage: str, image: Image, **params: Any) -> Picture:
    found = made(stage, **params).process(frame(image), None)
    assert isinstance(found, Picture)
    return found


def off(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def test_what_is_dark_becomes_light_and_no_pixel_darker() -> None:
    dark = dim_street()
    light = picture("lighten", dark)
    assert light.measures["mean_luma_after"] > 3 * light.measures["mean_luma_before"]
    assert (light.image >= dark).all()
    assert off(picture("lighten", STREET, strength=0.0).image, STREET) < 0.5


def test_haze_is_taken_away_and_a_clear_street_hardly_changes() -> None:
    clear, hazy = lively_street(1.0), hazy_street()
    cleaned = picture("dehaze", hazy)
    assert off(cleaned.image, clear) < 0.8 * off(hazy, clear)
    assert cleaned.measures["spread_after"] > 1.5 * cleaned.measures["spread_before"]
    assert off(picture("dehaze", hazy, strength=0.0).image, hazy) < 1


def test_the_guided_filter_keeps_edges_and_smooths_the_rest() -> None:
    step = np.zeros((60, 80), np.float32)
    step[:, 40:] = 1
    rough = step + np.random.default_rng(1).normal(0, 0.1, step.shape).astype(np.float32)
    smooth = guided(step, rough)
    assert smooth[:, 5:35].std() < 0.3 * rough[:, 5:35].std()
    assert smooth[:, 42].mean() - smooth[:, 37].mean() > 0.9


@given(st.floats(0.5, 2.5), st.floats(1, 2))
@settings(max_examples=5, deadline=None)
def test_more_blur_is_more_blur(sigma: float, more: float) -> None:
    grey = np.asarray(cv2.cvtColor(street(), cv2.COLOR_BGR2GRAY), np.uint8)
    one = np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), np.uint8)
    other = np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma + more), np.uint8)
    assert 0 <= blur_effect(grey) <= blur_effect(one) + 1e-3 <= blur_effect(other) + 2e-3 <= 1.01


@given(st.floats(-20, 20), st.floats(-12, 12), st.floats(-4, 4))
@settings(max_examples=4, deadline=None)
def test_motion_is_measured_and_undone(across: float, down: float, degrees: float) -> None:
    moved = knocked(STREET, across, down, degrees)
    before, now = (np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8) for image in (STREET, moved))
    step = motion(before, now)
    assert step is not None
    assert step[:2] == pytest.approx((across, down), abs=0.5)
    assert np.degrees(step[2]) == pytest.approx(degrees, abs=0.2)
    stage = made("steady", hold=1.0)
    stage.process(frame(STREET), None)
    steadied = stage.process(frame(moved), None).image
    middle = (slice(60, -60), slice(80, -80))
    assert off(steadied[middle], STREET[middle]) < 6


def test_a_pan_is_let_through_and_another_scene_starts_anew() -> None:
    stage = made("steady", hold=0.5)
    corrected = [
        stage.process(frame(knocked(STREET, -4.0 * k, 0, 0)), None).measures["corrected_px"]
        for k in range(12)
    ]
    assert corrected[-1] == pytest.approx(4, abs=1)
    other = stage.process(frame(np.full_like(STREET, 60)), None)
    assert other.measures["corrected_px"] == 0


@pytest.mark.parametrize(
    ("change", "most", "why"),
    [
        (lambda image: cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA), 4, "half the size"),
        (lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [1, 20])[1], 1), 4, "compressed"),
        (lambda image: np.clip(image * np.float32(0.8) + 10, 0, 255).astype(np.uint8), 4, "another light"),
    ],
)
def test_copies_have_nearly_the_same_hash(change: Any, most: int, why: str) -> None:
    grey = [
        np.asarray(cv2.cvtColor(np.asarray(one), cv2.COLOR_BGR2GRAY), np.uint8)
        for one in (STREET, change(STREET))
    ]
    one, other = map(perceptual_hash, grey)
    assert np.bitwise_count(one ^ other).sum() <= most, why


@pytest.mark.media
def test_different_real_pictures_are_new(media: Path) -> None:
    stage = made("alike-pictures")
    for path in sorted((media / "images" / "coco").glob("*.jpg")):
        found = stage.process(frame(np.asarray(cv2.imread(str(path)), np.uint8)), None)
        assert isinstance(found, Labels)
        assert found.label == ("new",), path.name


def test_the_memory_of_pictures_is_bounded() -> None:
    stage = made("alike-pictures", memory=2)
    images = [STREET, np.ascontiguousarray(STREET[:, ::-1]), np.ascontiguousarray(STREET[::-1]), STREET]
    assert [stage.process(frame(image), None).label[0] for image in images] == ["new"] * 4
    assert stage.process(frame(STREET), None).measures["nearest"] == 3


def test_the_background_is_the_empty_street() -> None:
    stage = made("background")
    for at in clip(list(drawing("moving-box").frames(3, 9)), fps=3):
        found = stage.process(at, None)
    assert off(found.image, street()) < 3


def test_key_frames_come_when_something_is_new_and_not_in_between() -> None:
    other = np.ascontiguousarray(STREET[:, ::-1])
    images = [STREET] * 20 + [other] * 20 + [STREET] * 20
    stage = made("keyframes")
    kept = []
    for at in clip(images, fps=5):
        found = stage.process(at, None)
        assert isinstance(found, Findings)
        kept += [(at.seq, one.key) for one in found.observations]
    assert [key for _, key in kept] == ["keyframe/1", "keyframe/2", "keyframe/3"]
    assert [seq for seq, _ in kept] == pytest.approx([0, 20, 40], abs=2)


def test_a_quiet_street_gives_one_key_frame_and_another_when_the_time_is_over() -> None:
    stage = made("keyframes", longest=4)
    kept = [
        at.monotonic
        for at in clip([still_street(k / 5) for k in range(45)], fps=5)
        if stage.process(at, None).observations
    ]
    assert kept == pytest.approx([0.0, 4.0, 8.0])
