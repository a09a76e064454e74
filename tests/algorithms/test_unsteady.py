"""Faults that only time or memory shows: covered, turned, shaking, flickering, slow; and zones that change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.base import stage_type
from aihub.algorithms.cells import Reference, likeness, moved_by, shift_between, slopes
from aihub.algorithms.registry import Registry
from aihub.scenes.altering import knocked
from aihub.scenes.degrade import DEGRADATIONS
from aihub.scenes.drawings import drawing
from aihub.scenes.faults import lively_street
from aihub.testing import FakePredictor, clip, frame
from aihub.types import Detections, Frame, Image

NOBODY = FakePredictor()
REGISTRY = Registry(NOBODY)  # loads the stages


def made(stage: str, **params: Any) -> Any:
    kind = stage_type(stage)
    return kind(kind.params_type(**params), NOBODY)


def fault_times(stage: str, images: Sequence[Image], fps: float = 5.0, **params: Any) -> list[float]:
    one = made(stage, **params)
    return [at.monotonic for at in clip(list(images), fps=fps) if one.process(at, None).fault]


def scene(seconds: float, change: Callable[[Image, float], Image], fps: float = 5.0) -> list[Image]:
    return [change(look(k / fps), k / fps) for k in range(round(seconds * fps))]


@cache
def look(moment: float) -> Image:
    """The street at that moment, half as large: that is quicker."""
    return np.asarray(cv2.resize(lively_street(moment), (320, 180), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize(
    "stage", ["occluded-picture", "shifted-view", "shaking-picture", "flickering-picture", "zone-change"]
)
def test_a_street_with_traffic_has_no_fault(stage: str) -> None:
    assert fault_times(stage, scene(8, lambda image, _: image)) == []


@pytest.mark.parametrize(
    ("name", "rate"), [("covered-half", 2.0), ("covered-half", 8.0), ("covered-corner", 4.0)]
)
def test_a_cover_is_seen_at_any_rate_and_no_longer_once_it_is_gone(name: str, rate: float) -> None:
    cover = DEGRADATIONS[name]
    images = scene(7, lambda image, at: cover.change(image, at, cover.mild if 3 <= at < 5 else 0), rate)
    times = fault_times("occluded-picture", images, rate, learn=2)
    assert times == [k / rate for k in range(round(3 * rate), round(5 * rate))]


def test_what_was_covered_from_the_start_is_not_known_to_be() -> None:
    cover = DEGRADATIONS["covered-half"]
    assert fault_times("occluded-picture", scene(4, lambda image, at: cover.change(image, at, 0.8))) == []


@pytest.mark.parametrize("name", ["turned", "elsewhere"])
def test_a_turned_camera_is_seen_until_the_new_view_is_accepted(name: str) -> None:
    turn = DEGRADATIONS[name]
    images = scene(9, lambda image, at: turn.change(image, at, turn.strong if at >= 3 else 0))
    times = fault_times("shifted-view", images, learn=2, accept=4)
    assert times[0] == pytest.approx(3.0)
    assert 6.5 <= times[-1] <= 7.5


def test_a_dimmed_light_is_no_other_view() -> None:
    images = scene(6, lambda image, at: (image * np.float32(1 if at < 3 else 0.45)).astype(np.uint8))
    assert fault_times("shifted-view", images) == []


def test_pictures_of_one_request_are_held_against_the_first() -> None:
    stage = made("shifted-view")
    first, other = lively_street(0.0), knocked(lively_street(0.0), 60, 20, 0)
    for seq, image in enumerate([first, other, other]):
        found = stage.process(Frame(image, "request", seq, 0.0, 100.0 + seq / 1000), None)
        assert found.fault == (seq > 0)


@given(st.integers(-24, 24), st.integers(-14, 14))
@settings(max_examples=10, deadline=None)
def test_the_way_a_view_moved_is_measured(across: int, down: int) -> None:
    wide = cv2.GaussianBlur(np.random.default_rng(4).random((260, 400), np.float32) * 255, (0, 0), 2)
    wide = ((wide - wide.min()) / np.ptp(wide) * 255).astype(np.uint8)
    first = slopes(wide[40:220, 40:360])
    second = slopes(wide[40 - down : 220 - down, 40 - across : 360 - across])
    assert shift_between(first, second) == pytest.approx((across, down), abs=0.6)
    if across or down:
        assert moved_by(first, second) == pytest.approx((across, down), abs=0.6)


def test_likeness_knows_no_light() -> None:
    image = np.asarray(cv2.cvtColor(lively_street(0.0), cv2.COLOR_BGR2GRAY), np.uint8)
    dim = (image * 0.5 + 20).astype(np.uint8)
    alike = likeness(slopes(image), slopes(dim))
    assert np.median(alike) > 0.8
    assert alike.max() <= 1.001


def test_the_reference_forgets_what_passed_while_it_learned() -> None:
    reference = Reference(learn_s=4, memory_s=100)
    empty, passing = np.zeros((4, 4), np.float32), np.full((4, 4), 9, np.float32)
    for second, look in enumerate([passing, empty, empty, empty, empty]):
        if reference.fits(look, float(second)):
            reference.follow(look, float(second), strange=True, accept_s=1000)
    assert reference.known is not None
    assert float(reference.known.max()) == 0


@pytest.mark.parametrize("rate", [4.0, 8.0])
def test_shaking_is_seen_at_any_rate_and_a_pan_is_not_shaking(rate: float) -> None:
    jitter = DEGRADATIONS["jitter"]
    shaken = scene(6, lambda image, at: jitter.change(image, at, jitter.mild if at >= 3 else 0), rate)
    times = fault_times("shaking-picture", shaken, rate)
    assert times
    assert times[0] >= 3
    pan = scene(5, lambda image, at: knocked(image, -3 * at, 0, 0), rate)
    assert fault_times("shaking-picture", pan, rate) == []


def test_flicker_turns_and_dusk_does_not() -> None:
    pulsing = DEGRADATIONS["pulsing"]
    images = scene(9, lambda image, at: pulsing.change(image, at, pulsing.mild if at >= 3 else 0))
    times = fault_times("flickering-picture", images)
    assert times
    assert 3 <= times[0] <= 6
    dusk = scene(8, lambda image, at: (image * np.float32(1 - 0.1 * at)).astype(np.uint8))
    assert fault_times("flickering-picture", dusk) == []


@pytest.mark.parametrize(
    ("rate", "fault", "why"),
    [
        (5.0, False, "as often as asked"),
        (2.0, False, "just often enough"),
        (1.0, True, "half as often"),
        (0.2, True, "seldom"),
    ],
)
def test_frame_rate(rate: float, fault: bool, why: str) -> None:
    stage = made("frame-rate", fps=2.0)
    verdicts = [stage.process(frame(at=k / rate), None) for k in range(round(30 * rate))]
    assert verdicts[-1].fault == fault, why
    assert verdicts[-1].measures["frames_per_s"] == pytest.approx(rate)


def test_a_gap_counts_at_once() -> None:
    stage = made("frame-rate")
    times = [*(k / 5 for k in range(60)), 32.0]
    assert [stage.process(frame(at=at), None).fault for at in times][-2:] == [False, True]


FENCE = ((0.0, 0.45), (1.0, 0.45), (1.0, 0.83), (0.0, 0.83))


def test_a_fence_that_opens_is_seen_and_one_that_is_passed_soon_is_the_same_again() -> None:
    opened = list(drawing("fence-open-after-3s").frames(5, 5))
    assert fault_times("zone-change", opened, zone=FENCE, share=0.2, learn=2) == [
        k / 5 for k in range(15, 25)
    ]
    passed = list(drawing("fence-passed").frames(2, 8))
    assert not [at for at in fault_times("zone-change", passed, 2.0, zone=FENCE, share=0.2) if at > 6]


def test_another_light_is_no_other_colour() -> None:
    water = ((0.0, 0.4), (1.0, 0.4), (1.0, 1.0), (0.0, 1.0))
    assert fault_times("zone-colour", list(drawing("river-under-clouds").frames(3, 5)), 3.0, zone=water) == []
    times = fault_times(
        "zone-colour", list(drawing("river-dyed-after-3s").frames(3, 5)), 3.0, zone=water, learn=2
    )
    assert times
    assert 3 < times[0] <= 4


def lights(images: Sequence[Image], **params: Any) -> list[Detections]:
    stage = made("night-lights", **params)
    return [stage.process(at, None) for at in clip(list(images), fps=5)]


def test_a_new_light_that_stays_is_found_where_it_is() -> None:
    found = lights(list(drawing("boat-light-after-3s").frames(5, 6)), dwell=1, learn=2)
    assert not any(len(one) for one in found[:19])
    assert len(found[-1]) >= 1
    x1, y1, x2, y2 = found[-1].xyxy[0]
    assert x1 < 350 < x2
    assert y1 < 230 < y2


@pytest.mark.parametrize(
    ("name", "why"), [("headlight-passes", "it moves on"), ("lively-street", "it is day")]
)
def test_no_new_light(name: str, why: str) -> None:
    assert not any(len(one) for one in lights(list(drawing(name).frames(5, 5)), dwell=1, learn=2)), why
