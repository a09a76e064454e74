"""Chips: the five points land where the form says, whatever the picture; the geometry keeps its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.faces.chips import ARC_112, DLIB_150, ChipForm, cut, transforms

FORMS = [DLIB_150, ARC_112]


def moved(form: ChipForm, scale: float, turn: float, x: float, y: float) -> np.ndarray:
    """The points of a form, scaled, turned (radians) and moved: a face as a picture may show it."""
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    return np.asarray(form.points @ np.array([[c, s], [-s, c]]) + np.array([x, y]))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(FORMS), st.floats(0.05, 20), st.floats(-3.1, 3.1), st.floats(-500, 4000), st.floats(-500, 4000)
)  # fmt: skip
def test_a_face_that_is_only_turned_scaled_and_moved_lands_exactly(
    form: ChipForm, scale: float, turn: float, x: float, y: float
) -> None:
    points = moved(form, scale, turn, x, y)
    way = transforms(points[None], form)[0]
    np.testing.assert_allclose(
        points @ way[:, :2].T + way[:, 2], form.points, atol=1e-6 * max(1, abs(x), abs(y))
    )
    assert np.linalg.det(way[:, :2]) > 0, "never mirrored"


def test_the_fit_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(1)
    points = moved(DLIB_150, 2, 0.3, 300, 200) + rng.normal(0, 6, (5, 2))
    way = transforms(points[None], DLIB_150)[0]
    best = np.square(points @ way[:, :2].T + way[:, 2] - DLIB_150.points).sum()
    for _ in range(200):
        (a, b), move = rng.normal(0, 0.01, 2), rng.normal(0, 0.5, 2)
        other = way + np.array([[a, -b, move[0]], [b, a, move[1]]])
        assert np.square(points @ other[:, :2].T + other[:, 2] - DLIB_150.points).sum() >= best - 1e-9


@pytest.mark.parametrize("spread", [0.0, 1e-9])
def test_points_on_one_place_give_a_chip_all_the_same(spread: float) -> None:
    points = np.full((1, 5, 2), 40.0) + spread
    way = transforms(points, DLIB_150)
    assert np.isfinite(way).all()
    (chip,) = cut(np.zeros((9, 7, 3), np.uint8), way, 150)
    assert chip.shape == (150, 150, 3)


def test_no_faces_no_chips() -> None:
    ways = transforms(np.zeros((0, 5, 2)), DLIB_150)
    assert ways.shape == (0, 2, 3)
    assert list(cut(np.zeros((9, 7, 3), np.uint8), ways, 150)) == []


@pytest.mark.parametrize(
    ("scale", "why"),
    [(0.3, "enlarged"), (1.0, "as it is"), (1.6, "made smaller first"), (9.0, "made much smaller")],
)
def test_a_picture_of_the_form_at_any_size_gives_the_same_chip(scale: float, why: str) -> None:
    """A smooth picture drawn at a size, cut at that size: the chip shows the same as at size one."""

    def drawn(side: int) -> np.ndarray:
        y, x = (np.mgrid[0:side, 0:side] + 0.5) / side * 2 * np.pi
        return np.stack([127 + 100 * np.sin(x), 127 + 100 * np.cos(y), 127 + 90 * np.sin(x + y)], -1).astype(
            np.uint8
        )

    plain = next(cut(drawn(150), transforms(DLIB_150.points[None], DLIB_150), 150))
    points = (DLIB_150.points + 0.5) * scale - 0.5  # pixels are areas
    (chip,) = cut(drawn(round(150 * scale)), transforms(points[None], DLIB_150), 150)
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(chip[inner].astype(int) - plain[inner]).mean() < 2.5, why


def test_what_lies_outside_the_picture_is_black() -> None:
    white = np.full((150, 150, 3), 255, np.uint8)
    (chip,) = cut(white, transforms(DLIB_150.points[None] - (75, 0), DLIB_150), 150)
    assert chip[:, :70].max() == 0
    assert chip[:, 80:].min() == 255
