"""The drawn scenes of work, postures and plates: the same each time, and what happens in them happens when they say."""

from __future__ import annotations

import numpy as np
import pytest

from aihub.scenes import load_scenes
from aihub.scenes.drawings import HEIGHT, WIDTH, drawing
from aihub.scenes.plates import plate
from aihub.scenes.postures import FALL

load_scenes()

CLIPS = (
    "somebody-falls", "hands-up-from-1s", "one-hand-up", "somebody-climbs", "somebody-walks-by", "guard-nods-off",
    "one-without-vest", "all-with-vests", "man-walks-to-excavator", "machine-left-running", "machine-stopped",
    "rat-in-kitchen", "kitchen-by-night", "rat-by-day", "car-with-plate",
)  # fmt: skip


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_is_the_same_each_time_and_of_the_usual_size(name: str) -> None:
    first, again = (list(drawing(name).frames(1, 3)) for _ in range(2))
    assert [image.shape for image in first] == [(HEIGHT, WIDTH, 3)] * 3
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


MOMENTS = [
    ("somebody-falls", 0, int(FALL) - 1, False),
    ("somebody-falls", int(FALL), int(FALL) + 1, True),
    ("somebody-falls", int(FALL) + 1, int(FALL) + 3, False),
    ("guard-nods-off", 0, 1, True),
    ("guard-nods-off", 2, 5, False),
    ("machine-stopped", 5, 6, False),
    ("machine-left-running", 5, 6, True),
    ("rat-in-kitchen", 0, 1, False),
    ("rat-in-kitchen", 2, 3, True),
]


@pytest.mark.parametrize(("name", "one", "other", "differ"), MOMENTS)
def test_what_moves_moves_when_it_should(name: str, one: int, other: int, differ: bool) -> None:
    frames = list(drawing(name).frames(1, other + 1))
    moved = (np.abs(frames[one].astype(int) - frames[other]) > 30).any()
    assert bool(moved) is differ


def test_a_plate_is_blue_with_white_signs() -> None:
    image = plate()
    blue = (image[..., 0] > 140) & (image[..., 2] < 60)
    white = image.min(axis=2) > 200
    assert 0.5 < blue.mean() < 0.85
    assert 0.1 < white.mean() < 0.35
