"""Faults of light, colour, noise, bands and codecs: on drawn scenes of known truth, on laws, and on real pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.base import stage_type
from aihub.algorithms.builtin.codec_faults import PLACES, blank_share, combed_share, grid_steps, torn_edges
from aihub.algorithms.builtin.picture_noise import band_strength, noise_sigma
from aihub.algorithms.registry import Registry
from aihub.scenes.degrade import DEGRADATIONS, noise
from aihub.scenes.drawings import HEIGHT, WIDTH, drawing
from aihub.scenes.faults import AFTER_3S, lively_street
from aihub.testing import FakePredictor, clip, frame
from aihub.types import Image, Quality

NOBODY = FakePredictor()
REGISTRY = Registry(NOBODY)  # loads the stages
STAGES = {
    "signal-lost": "no-signal", "overexposed": "overexposed", "underexposed": "underexposed", "low-contrast": "low-contrast",
    "colour-cast": "colour-cast", "noise": "noisy-picture", "stripes": "striped-picture", "blockiness": "blocky-picture",
    "mosaic-corruption": "torn-blocks", "infrared-mode": "no-colour", "interlace-combing": "combed-picture",
}  # fmt: skip
"""Fault -> the stage that sees it on one picture."""
STREET = np.asarray(cv2.GaussianBlur(np.roll(lively_street(1.0), (5, 3), (0, 1)), (0, 0), 0.7), np.uint8)
"""A lens is never as sharp as a drawing, and knows nothing of the grid on which that was drawn."""


def verdict(stage: str, image: Image, **params: Any) -> Quality:
    kind = stage_type(stage)
    found = kind(kind.params_type(**params), NOBODY).process(frame(image), None)
    assert isinstance(found, Quality)
    return found


def grey(image: Image) -> np.typing.NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


ALONE = [one for one in DEGRADATIONS.values() if one.fault in STAGES]


@pytest.mark.parametrize("one", ALONE, ids=lambda one: one.name)
@pytest.mark.parametrize("strength", ["mild", "strong"])
def test_each_fault_is_seen_on_the_street_and_not_without_it(one: Any, strength: str) -> None:
    good = one.change(STREET, 1.0, 0.0)
    bad = one.change(STREET, 1.0, getattr(one, strength))
    assert not verdict(STAGES[one.fault], good).fault
    assert verdict(STAGES[one.fault], bad).fault


@pytest.mark.parametrize("stage", sorted(STAGES.values()))
@pytest.mark.parametrize(
    ("image", "why"),
    [
        (np.full((90, 120, 3), 128, np.uint8), "a flat picture"),
        (np.zeros((1, 1, 3), np.uint8), "one pixel"),
        (np.full((40, 3, 3), 255, np.uint8), "a narrow strip of white"),
    ],
)
def test_a_picture_with_nothing_on_it_is_judged_without_errors(stage: str, image: Image, why: str) -> None:
    found = verdict(stage, image)
    assert found.fault == (found.score >= 0.5), why
    assert all(np.isfinite(value) for value in found.measures.values()), why


@given(st.floats(2, 40))
@settings(max_examples=8, deadline=None)
def test_noise_is_measured_as_strong_as_it_is(sigma: float) -> None:
    flat = np.full((240, 320, 3), 128, np.uint8)
    noisy = np.clip(flat[..., :1] + noise(1.0, 240, 320) * np.float32(sigma), 0, 255).astype(np.uint8)
    assert noise_sigma(noisy[..., 0]) == pytest.approx(sigma, rel=0.25, abs=0.5)


def test_texture_is_not_noise() -> None:
    assert noise_sigma(grey(lively_street(0.0))) < 4


@given(st.integers(6, 40), st.booleans())
@settings(max_examples=8, deadline=None)
def test_bands_are_as_strong_as_they_are_and_run_one_way(amplitude: int, upright: bool) -> None:
    waves = 128 + amplitude * np.sin(np.arange(320) / 320 * 2 * np.pi * 12)
    picture = np.repeat(waves[:, None], 320, axis=1).astype(np.uint8)
    picture = picture.T if upright else picture
    along, across = band_strength(picture), band_strength(picture.T)
    assert (across if upright else along) == pytest.approx(amplitude, rel=0.25)
    assert (along if upright else across) == 0


def test_a_wall_of_windows_has_no_bands() -> None:
    assert not verdict("striped-picture", STREET).fault


@pytest.mark.parametrize("offset", [0, 3, 7])
def test_the_grid_of_a_codec_is_found_wherever_it_begins(offset: int) -> None:
    blocky = DEGRADATIONS["starved"].change(STREET, 0.0, 4)
    assert verdict("blocky-picture", np.ascontiguousarray(blocky[offset:, offset:])).fault


def test_a_fence_is_a_grid_one_way_only() -> None:
    fence = STREET.copy()
    fence[:, ::8] = 20
    ratio, _ = grid_steps(grey(fence).astype(np.int16))
    assert ratio > 1.6
    assert not verdict("blocky-picture", fence).fault


def test_a_chessboard_of_other_size_is_not_torn() -> None:
    board = np.kron(np.indices((18, 32)).sum(axis=0) % 2, np.ones((20, 20))).astype(np.uint8) * 200
    on, *off = (float(torn_edges(board, place).mean()) for place in PLACES)
    assert on <= max(off) + 0.05


def test_edges_that_stay_are_part_of_the_scene() -> None:
    """A poster of blocks is not torn for ever: only what newly tears is."""
    kind = stage_type("torn-blocks")
    stage: Any = kind(kind.params_type(), NOBODY)
    poster = DEGRADATIONS["misplaced-blocks"].change(STREET, 1.0, 0.1)
    seen = [stage.process(at, None).fault for at in clip([poster] * 10)]
    assert seen[0]
    assert not any(seen[1:])


@pytest.mark.parametrize(
    ("colour", "blank"),
    [((128, 128, 128), True), ((0, 135, 0), True), ((90, 90, 90), False), ((128, 60, 128), False)],
)
def test_what_a_decoder_starts_from_is_blank(colour: tuple[int, int, int], blank: bool) -> None:
    image = STREET.copy()
    image[160:320, :] = colour
    assert (blank_share(image) > 0.3) == blank


def test_teeth_are_level_and_never_upright() -> None:
    woven = grey(DEGRADATIONS["woven"].change(STREET, 0.0, 12)).astype(np.int16)
    assert combed_share(woven) > 0.05
    assert combed_share(woven.T) < 0.01
    blinds = np.repeat(np.arange(240)[:, None] // 4 % 2 * 120 + 60, 320, axis=1).astype(np.int16)
    assert combed_share(blinds) == 0


@pytest.mark.parametrize(
    ("name", "stage"),
    [("signal-lost-after-3s", "no-signal"), ("test-card", "no-signal"), ("colourless-after-3s", "no-colour")],
)
def test_drawn_faults_begin_when_they_say(name: str, stage: str) -> None:
    drawn = drawing(name)
    images = list(drawn.frames(2, 6))
    assert verdict(stage, images[-1]).fault
    if drawn.clip:
        assert not verdict(stage, images[0]).fault


def test_all_drawn_faults_are_deterministic_and_of_one_size() -> None:
    for name in AFTER_3S:
        *_, one = drawing(f"{name}-after-3s").frames(0.3, 7)
        *_, other = drawing(f"{name}-after-3s").frames(0.3, 7)
        assert one.shape == (HEIGHT, WIDTH, 3)
        assert one.dtype == np.uint8
        assert np.array_equal(one, other)


@pytest.fixture(scope="module")
def real(media: Path) -> dict[str, Image]:
    paths = sorted((media / "images" / "coco").glob("*.jpg"))
    return {path.name: np.asarray(cv2.imread(str(path)), np.uint8) for path in paths}


@pytest.mark.media
def test_real_pictures_have_no_fault_but_the_one_without_colour(real: dict[str, Image]) -> None:
    for name, image in real.items():
        seen = {fault for fault, stage in STAGES.items() if verdict(stage, image).fault}
        assert seen == ({"infrared-mode"} if name == "000000181542.jpg" else set()), name
