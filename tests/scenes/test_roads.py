"""Drawn traffic: what is drawn is as long as said, and where its truth says it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aihub.scenes import roads, shore  # noqa: F401 - registers its scenes
from aihub.scenes.drawings import HEIGHT, WIDTH, drawing
from aihub.scenes.roads import CAR_M, FAR_KMH, NEAR_KMH, ROAD, ROAD_M, speeds
from aihub.scenes.vehicles import bicycle, boat, bus, cyclist, truck
from aihub.types import Image

DRAWN: list[tuple[Callable[..., Any], float]] = [
    (bus, 0.31),
    (truck, 0.48),
    (bicycle, 0.63),
    (cyclist, 1.1),
    (boat, 0.53),
]
"""And how high each is, as a share of its length."""
CLIPS = (
    "one-way-road", "wrong-way-driver", "mixed-traffic", "lorry-passes", "bus-passes", "cyclist-passes", "walker-and-cyclist",
    "u-turn", "queue-before-line", "jammed-road", "flowing-road", "row-of-bays", "junction", "speeds", "close-call",
    "wide-berth", "signal", "crossing-at-red", "crossing-at-green", "lorry-dumps", "lorry-stops", "boat-passes",
    "walk-to-the-water",
)  # fmt: skip


def extent(image: Image) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what was drawn on white."""
    drawn = image.min(axis=2) < 245
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("length", [90.0, 300.0])
@pytest.mark.parametrize(("draws", "high"), DRAWN)
def test_a_vehicle_stands_where_it_is_told_to(draws: Any, high: float, length: float, left: bool) -> None:
    image = np.full((400, 500, 3), 255, np.uint8)
    draws(image, (80.0, 360.0), length, left=left)
    begin, top, end, bottom = extent(image)
    assert begin == pytest.approx(80, abs=0.03 * length + 2)
    assert end == pytest.approx(80 + length, abs=0.03 * length + 2)
    assert bottom == pytest.approx(360, abs=0.06 * length)
    assert bottom - top == pytest.approx(high * length, rel=0.15)


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_moves_and_is_the_same_each_time(name: str) -> None:
    frames = list(drawing(name).frames(0.7, 5.8))
    assert [frame.shape for frame in frames] == [(HEIGHT, WIDTH, 3)] * 4
    again = next(iter(drawing(name).frames(0.7, 5.8)))
    assert np.array_equal(frames[0], again)
    assert np.abs(frames[3].astype(int) - frames[1]).max() > 60


def test_the_cars_of_speeds_drive_as_fast_as_said() -> None:
    """Found again in the picture by their paint, and brought to metres by a line through the road's own corners."""
    for paint, away, kmh, moments in ((0, 1.0, NEAR_KMH, (1.0, 2.0)), (2, 6.0, FAR_KMH, (1.5, 2.3))):
        middles = []
        for moment in moments:
            image = speeds(moment).astype(int)
            rows = slice(240, 300) if away > 4 else slice(300, 345)
            part = np.abs(image[rows] - roads.PAINT[paint]).max(axis=2) < 16
            columns = np.flatnonzero(part.sum(axis=0) > 2)
            middles.append((columns[0] + columns[-1]) / 2)
        # at that distance the road is so many pixels wide: its sides converge with the camera's perspective
        near, far = ROAD[1][0] - ROAD[0][0], ROAD[2][0] - ROAD[3][0]
        share = away / ROAD_M[1]
        scale = 1 / ((1 - share) / near + share / far) / ROAD_M[0]
        driven = abs(middles[1] - middles[0]) / scale
        assert driven / (moments[1] - moments[0]) * 3.6 == pytest.approx(kmh, rel=0.05)
    assert CAR_M == 4.4
