"""The ground in metres and the past of tracks: laws that hold for every view and every frame rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aihub.streams.ground import ENOUGH, FORGET_S, SAMPLES, Ground, Trails
from aihub.types import Detections
from tests.streams.scenes import HEIGHT, WIDTH, detections, frame_at
from tests.streams.watching import make

Corners = tuple[tuple[float, float], ...]
near = st.floats(-0.12, 0.12)
views = st.lists(st.tuples(near, near), min_size=4, max_size=4).map(
    lambda shifts: tuple(
        (x + dx, y + dy)
        for (x, y), (dx, dy) in zip(((0.2, 0.8), (0.8, 0.8), (0.65, 0.3), (0.35, 0.3)), shifts, strict=True)
    )
)
"""Four corners of a rectangle as cameras in many places see it; always convex."""


@settings(deadline=None)
@given(view=views, wide=st.floats(1, 50), long=st.floats(1, 200), places=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=6))  # fmt: skip
def test_there_and_back(view: Corners, wide: float, long: float, places: list[tuple[float, float]]) -> None:
    ground = Ground(view, wide, long)
    metres = np.array(places, np.float64).reshape(-1, 2) * (wide, long)
    assert np.allclose(ground.metres(ground.seen(metres)), metres, atol=1e-3 * max(wide, long))
    corners = ground.metres(np.array(view, np.float64))
    true = np.array([(0, 0), (wide, 0), (wide, long), (0, long)], np.float64)
    assert np.allclose(corners, true, atol=1e-3 * max(wide, long))


BAD = [
    ([[0, 0], [1, 0], [1, 1]], "three corners are no rectangle"),
    ([[0, 0], [1, 0], [1, 1], [0.5, 1], [0, 1]], "nor are five"),
    ([[0, 0], [1, 1], [1, 0], [0, 1]], "the sides cross: corners are not named in turn"),
    ([[0, 0], [1, 0], [0.2, 0.2], [0, 1]], "not convex: no camera sees a rectangle like that"),
    ([[0, 0], [0.5, 0], [1, 0], [0, 1]], "three corners on a line"),
]


@pytest.mark.parametrize(("corners", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_what_no_rectangle_looks_like_is_refused(corners: list[list[float]], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make("ground-speed", road=corners, width_m=1, length_m=1)
    assert caught.value.errors()[0]["loc"][0] == "road", reason


@settings(max_examples=20, deadline=None)
@given(fps=st.floats(4, 60), window=st.floats(0.8, 5), vx=st.floats(-30, 30), vy=st.floats(-30, 30))
def test_even_motion_has_its_velocity_at_any_rate(fps: float, window: float, vx: float, vy: float) -> None:
    trails = Trails(window)
    ids = np.array([7], np.int64)
    for k in range(round(2 * window * fps) + 4):
        now = 100 + k / fps
        rows = trails.update(ids, np.array([[3 + vx * k / fps, vy * k / fps]]), now)
        velocity, known = trails.velocity(rows, now, window)
        assert not known[0] or k / fps >= ENOUGH * window - 1e-5
    assert known.all()
    assert np.allclose(velocity, [[vx, vy]], atol=1e-6 + 1e-6 * abs(vx) + 1e-6 * abs(vy))


def test_the_past_is_bounded_and_forgotten() -> None:
    trails = Trails(10.0)
    for k in range(600):  # 24 s at 25 a second, somebody new every frame
        rows = trails.update(np.array([1, 1000 + k], np.int64), np.zeros((2, 2)), k / 25)
    held = trails.ledger.table
    assert len(held) <= 25 * FORGET_S + 3
    assert held["at"].shape[1] == SAMPLES
    seen = held["at"][rows[0]]
    assert (np.diff(seen) > 0).all()
    assert 10.0 <= seen[-1] - seen[0] <= 12.0
    trails.update(np.array([5], np.int64), np.zeros((1, 2)), 600 / 25 + FORGET_S + 1)
    assert trails.ledger.table["track"].tolist() == [5]


def _box(point: npt.NDArray[np.float64]) -> list[float]:
    x, y = point[0] * WIDTH, point[1] * HEIGHT
    return [x - 8, y - 12, x + 8, y]


def _speeds(ground: Ground, params: dict[str, Any], kmh: float, way: float, fps: float) -> list[float]:
    """What `ground-speed` says of something that drives from the middle of the rectangle at that speed."""
    rule: Any = make("ground-speed", **params)
    said: list[float] = []
    wide, long = params["width_m"], params["length_m"]
    for k in range(round(1.6 * fps)):
        along = (k / fps - 0.8) * kmh / 3.6
        place = np.array([[wide / 2 + along * np.sin(way), long / 2 + along * np.cos(way)]])
        found = rule.process(
            frame_at(k / fps, k), detections([_box(ground.seen(place)[0])], [1], classes=[1])
        ).found
        assert isinstance(found, Detections)
        said += [row["speed_kmh"] for row in found.attributes or () if "speed_kmh" in row]
    return said


@settings(max_examples=30, deadline=None)
@given(view=views, kmh=st.floats(10, 60), way=st.floats(0, 6.28), fps=st.sampled_from((5, 10, 25)))
def test_speed_does_not_depend_on_the_view_or_the_rate(
    view: Corners, kmh: float, way: float, fps: float
) -> None:
    params = {"road": view, "width_m": 40.0, "length_m": 40.0}
    said = _speeds(Ground(view, 40, 40), params, kmh, way, fps)
    assert said
    assert said == pytest.approx([kmh] * len(said), rel=0.01, abs=0.2)


@settings(max_examples=20, deadline=None)
@given(view=views, left=st.floats(0, 0.2), right=st.floats(0.8, 1), kmh=st.floats(10, 40))
def test_speed_does_not_depend_on_the_rectangle_that_was_chosen(
    view: Corners, left: float, right: float, kmh: float
) -> None:
    whole = Ground(view, 40, 40)
    part = whole.seen(np.array([[left, 0], [right, 0], [right, 1], [left, 1]]) * 40)
    assume(((part >= 0) & (part <= 1)).all())
    params = {"road": part.tolist(), "width_m": 40 * (right - left), "length_m": 40.0}
    said = _speeds(Ground(tuple(map(tuple, part.tolist())), params["width_m"], 40), params, kmh, 0.0, 10)
    assert said == pytest.approx([kmh] * len(said), rel=0.02, abs=0.3)


def test_what_comes_into_the_picture_has_no_speed_yet() -> None:
    rule: Any = make("ground-speed", road=[[0, 1], [1, 1], [1, 0], [0, 0]], width_m=20, length_m=20)
    for k in range(10):
        cut = detections([[0, 100, 30 + 5 * k, 150]], [1])
        findings = rule.process(frame_at(k / 5, k), cut)
        assert findings.measures == {"count": 0.0}
