"""Drawn people and cars: where they are drawn, and that they may stand anywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.scenes import ground  # noqa: F401 - registers its scenes
from aihub.scenes.actors import WARDROBE, Clothes, car, person
from aihub.scenes.city import PARKED, VISIT
from aihub.scenes.drawings import HEIGHT, WIDTH, drawing
from aihub.types import Image


def blank() -> Image:
    return np.full((240, 320, 3), 255, np.uint8)


def extent(image: Image) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what was drawn on white."""
    drawn = image.min(axis=2) < 250
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@given(
    x=st.floats(80, 240), height=st.floats(40, 180), stride=st.floats(-10, 10), who=st.sampled_from(WARDROBE)
)
def test_a_person_stands_on_their_feet_and_is_as_tall_as_said(
    x: float, height: float, stride: float, who: Clothes
) -> None:
    image = blank()
    person(image, (x, 220), height, stride, who)
    left, top, right, bottom = extent(image)
    assert bottom == pytest.approx(220, abs=0.1 * height)
    assert 220 - top == pytest.approx(height, rel=0.08, abs=3)
    assert left < x < right
    assert right - left < 0.8 * height


@given(x=st.floats(-1e4, 1e4), y=st.floats(-1e4, 1e4), size=st.floats(1, 2000))
def test_whoever_stands_outside_the_picture_hurts_nothing(x: float, y: float, size: float) -> None:
    image = blank()
    person(image, (x, y), size)
    car(image, (x, y), size)
    assert image.shape == blank().shape


def test_a_car_that_drives_to_the_left_is_the_mirror_of_one_to_the_right() -> None:
    right, left = blank(), blank()
    car(right, (100, 200), 120)
    car(left, (100, 200), 120, left=True)
    assert extent(right) == pytest.approx(extent(left), abs=2)
    mirrored = left[:, ::-1][:, 319 - 219 : 319 - 99]
    straight = right[:, 100:220]
    assert np.abs(mirrored.astype(int) - straight.astype(int)).mean() < 12  # but for half pixels at the edges


@pytest.mark.parametrize(
    "name",
    [
        "people-and-car",
        "two-faces",
        "full-bins",
        "closed-bins",
        "garbage-heap",
        "litter-on-grass",
        "potholes",
        "good-road",
    ],
)
def test_a_drawn_picture_is_one_frame_of_the_usual_size(name: str) -> None:
    (image,) = drawing(name).frames(5, 60)
    assert image.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    "name",
    [
        "passers-by",
        "visitor",
        "crowd-from-4s",
        "drive-by",
        "parked-car",
        "site-with-helmets",
        "site-without-helmet",
    ],
)
def test_a_drawn_clip_is_the_same_each_time(name: str) -> None:
    first, again = (list(drawing(name).frames(2, 3)) for _ in range(2))
    assert len(first) == 6
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_visitor_and_a_parked_car_stand_still_and_only_then() -> None:
    """Noise apart, frames a second apart are equal while they stand, and differ where they move."""
    visitor, parked = (list(drawing(name).frames(1, 24)) for name in ("visitor", "parked-car"))

    def moved(clip: list[Image], second: int) -> bool:
        return bool((np.abs(clip[second].astype(int) - clip[second + 1]) > 40).any())

    stands = [second for second in range(23) if not moved(visitor, second)]
    assert set(range(int(VISIT[2][0]), int(VISIT[3][0]) - 1)) <= set(stands)
    assert moved(visitor, 4)
    assert moved(visitor, 21)
    assert moved(parked, 1)
    assert not any(moved(parked, second) for second in range(3, 23))
    assert PARKED[0] > 0
