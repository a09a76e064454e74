"""Second looks: what is cut out, who is looked at, and what is remembered of a track."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.crops import BETTER, FORGET_S, MOST_TRACKS, Looks, cut, worth_most
from aihub.testing import boxes, picture
from aihub.types import Detections

SIDES = st.integers(1, 400)
CORNER = st.floats(-50, 450)


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, st.tuples(CORNER, CORNER, CORNER, CORNER), st.booleans(), st.floats(0, 0.5))
def test_any_box_of_any_picture_can_be_cut(
    height: int, width: int, box: tuple[float, float, float, float], square: bool, margin: float
) -> None:
    image = np.full((height, width, 3), 200, np.uint8)
    x1, y1, x2, y2 = box
    ordered = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    crop = cut(image, ordered, (48, 32), margin, square=square)
    assert crop.pixels.shape == (48, 32, 3)
    assert (image == 200).all()
    corner = crop.to_frame(np.array([[0, 0]], np.float32))[0]
    assert corner == pytest.approx(crop.corner, abs=1e-2)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 250), st.floats(0, 150), st.booleans())
def test_a_point_of_the_crop_goes_back_to_where_it_was(x: float, y: float, square: bool) -> None:
    image = np.zeros((360, 640, 3), np.uint8)
    crop = cut(image, (40, 30, 40 + 300, 30 + 200), (192, 192), square=square)
    place = (np.array([[x + 40, y + 30]]) - crop.corner) * crop.scale
    assert crop.to_frame(place.astype(np.float32))[0] == pytest.approx([x + 40, y + 30], abs=0.05)


def test_a_square_crop_keeps_the_shape_and_pads_with_black() -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    crop = cut(image, (0, 0, 100, 50), (64, 64), square=True)
    rows = np.flatnonzero(crop.pixels.any(axis=(1, 2)))
    assert (rows[0], rows[-1]) == (16, 47)
    assert crop.scale == (0.64, 0.64)


def seen(*sides: float, ids: list[int] | None = None) -> Detections:
    found = boxes(*(("person", 0.9, (0.0, 0.0, side, side)) for side in sides))
    return found if ids is None else Detections(
        found.xyxy, found.confidence, found.class_id, found.labels, np.array(ids, np.int64)
    )  # fmt: skip


def test_the_large_ones_are_looked_at_and_the_tiny_never() -> None:
    found = seen(5, 40, 10, 80, 60)
    assert worth_most(found, 2).tolist() == [3, 4]
    assert worth_most(found, 9, least_side=20).tolist() == [1, 3, 4]
    assert worth_most(Detections.empty(), 4).tolist() == []


def test_without_tracks_everything_is_looked_at_every_time() -> None:
    looks: Looks[str] = Looks(5)
    assert looks.due(seen(10, 20), 0).tolist() == looks.due(seen(10, 20), 0.1).tolist() == [0, 1]


TRACKED = [
    ("seen as before: known", 50, 0.2, []),
    ("far larger now: better", 50 * BETTER, 0.2, [0]),
    ("the refresh is over", 50, 5.0, [0]),
]


@pytest.mark.parametrize(("reason", "side", "after", "due"), TRACKED, ids=[row[0] for row in TRACKED])
def test_a_track_is_looked_at_again_when_it_pays(
    reason: str, side: float, after: float, due: list[int]
) -> None:
    looks: Looks[str] = Looks(5)
    assert looks.due(seen(50, ids=[7]), 0).tolist() == [0]
    looks.keep(7, "red", 50 * 50 * 0.9, 0)
    for step in np.arange(0.5, after, 0.5):
        looks.due(seen(50, ids=[7]), float(step))
    assert looks.due(seen(side, ids=[7]), after).tolist() == due, reason
    assert looks.get(7) == "red"


def test_a_new_track_gets_as_many_looks_as_asked_for() -> None:
    looks: Looks[int] = Looks(100, first=3)
    asked = 0
    for step in range(10):
        for row in looks.due(seen(50, ids=[7]), step * 0.2).tolist():
            asked += 1
            looks.keep(7, row, 2000.0, step * 0.2)
    assert asked == 3


def test_what_is_gone_is_forgotten_and_memory_is_bounded() -> None:
    looks: Looks[str] = Looks(5)
    looks.keep(1, "red", 1, 0)
    looks.due(seen(50, ids=[2]), FORGET_S + 0.1)
    assert looks.get(1) is None
    for track in range(MOST_TRACKS + 50):
        looks.keep(track, "x", 1, 10)
    looks.due(seen(50, ids=[2]), 10.1)
    assert sum(looks.get(track) is not None for track in range(MOST_TRACKS + 50)) == MOST_TRACKS


def test_pictures_are_not_written_to() -> None:
    image = picture()
    image.setflags(write=False)
    cut(image, (10, 10, 300, 200), (24, 94), 0.1)
