"""Frames to model inputs: pixels land where the placement says, whatever the sizes."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aihub.engine.preprocess import prepare
from aihub.types import Frame, InputSpec

Resize = Literal["letterbox", "letterbox-centre", "stretch"]
RESIZES: tuple[Resize, ...] = ("letterbox", "letterbox-centre", "stretch")

sides = st.integers(1, 300)


def spec(size: tuple[int, int], resize: Resize = "letterbox", pad: int = 114) -> InputSpec:
    return InputSpec(name="x", size=size, resize=resize, pad=pad)


def flat(height: int, width: int, value: int = 7) -> Frame:
    return Frame(np.full((height, width, 3), value, np.uint8))


@given(sides, sides, st.sampled_from([(416, 416), (240, 320), (33, 77)]), st.sampled_from(RESIZES), st.data())
@example(1, 1, (416, 416), "letterbox", None)
@example(1, 300, (240, 320), "letterbox-centre", None)
@settings(max_examples=150, deadline=None)
def test_a_box_comes_back_from_the_model_within_a_pixel(
    height: int, width: int, size: tuple[int, int], resize: Resize, data: st.DataObject | None
) -> None:
    _, placement = prepare(flat(height, width), spec(size, resize))
    if data is None:
        box = np.array([[0, 0, width, height]], np.float32)
    else:
        xs = sorted(data.draw(st.lists(st.floats(0, width, width=32), min_size=2, max_size=2)))
        ys = sorted(data.draw(st.lists(st.floats(0, height, width=32), min_size=2, max_size=2)))
        box = np.array([[xs[0], ys[0], xs[1], ys[1]]], np.float32)
    inside = placement.to_model(box)
    limit = np.array([size[1], size[0]] * 2)
    assert (inside >= -1e-3).all()
    assert (inside <= limit + 1e-3).all(), "the frame lies within the input"
    assert np.abs(placement.to_frame(inside) - box).max() < 0.01
    points = np.concatenate([box.reshape(1, 2, 2), np.ones((1, 2, 1))], axis=2).astype(np.float32)
    moved = points.copy()
    moved[..., :2] = inside.reshape(1, 2, 2)
    assert np.abs(placement.points_to_frame(moved) - points).max() < 0.01, "points travel as boxes do"


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize(
    ("height", "width"),
    [
        (1080, 1920),  # the usual camera
        (2160, 3840),  # 4K
        (1280, 720),  # portrait
        (433, 769),  # odd sides
        (120, 160),  # smaller than the model
    ],
)
def test_what_is_seen_lies_where_the_placement_says(height: int, width: int, resize: Resize) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = width // 4, height // 3, width // 2, height * 2 // 3
    image[y1:y2, x1:x2] = 255
    pixels, placement = prepare(Frame(image), spec((416, 416), resize, pad=0))
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    seen = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    expected = placement.to_model(np.array([[x1, y1, x2, y2]], np.float32))
    assert np.abs(seen - expected).max() <= 1.0


@given(sides, sides, st.sampled_from(RESIZES), st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_the_input_is_the_frame_and_padding_and_nothing_else(
    height: int, width: int, resize: Resize, pad: int
) -> None:
    value = 7 if pad != 7 else 8
    pixels, placement = prepare(flat(height, width, value), spec((64, 96), resize, pad))
    assert pixels.shape == (64, 96, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    x1, y1, x2, y2 = placement.to_model(np.array([[0, 0, width, height]], np.float32))[0].round().astype(int)
    assert (pixels[y1:y2, x1:x2] == value).all()
    assert (pixels == value).all(axis=2).sum() == (x2 - x1) * (y2 - y1)
    assert ((pixels == value) | (pixels == pad)).all()
    if resize == "letterbox":
        assert (x1, y1) == (0, 0)
    if resize == "letterbox-centre":
        assert abs((96 - x2) - x1) <= 1
        assert abs((64 - y2) - y1) <= 1


def test_a_letterbox_keeps_proportions() -> None:
    for resize in RESIZES[:2]:
        _, placement = prepare(flat(1080, 1920), spec((416, 416), resize))
        assert placement.scale == pytest.approx((416 / 1920,) * 2, rel=0.002)


def test_models_of_one_size_share_the_pixels() -> None:
    frame = flat(90, 160)
    one = InputSpec(name="a", size=(64, 64), color="rgb", mean=(127, 127, 127))
    other = InputSpec(name="b", size=(64, 64), color="bgr")
    assert prepare(frame, one)[0] is prepare(frame, other)[0]
    for different in (spec((64, 96)), spec((64, 64), "stretch"), spec((64, 64), pad=0)):
        assert prepare(frame, different)[0] is not prepare(frame, one)[0]


def test_a_frame_of_the_right_size_is_not_copied() -> None:
    frame = flat(64, 96)
    pixels, placement = prepare(frame, spec((64, 96)))
    assert pixels is frame.image
    assert (placement.scale, placement.offset) == ((1.0, 1.0), (0.0, 0.0))


def test_a_cut_of_a_larger_picture_works_too() -> None:
    wide = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    cut = wide[10:74, 20:116]  # not contiguous
    pixels, _ = prepare(Frame(cut), spec((64, 96)))
    assert pixels.flags.c_contiguous
    assert (pixels == cut).all()
    scaled, _ = prepare(Frame(cut), spec((32, 48), "stretch"))
    assert (scaled == cv2.resize(np.ascontiguousarray(cut), (48, 32))).all()
