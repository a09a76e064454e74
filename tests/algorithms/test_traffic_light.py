"""Which lamp of a drawn signal is lit, near and far, by day and by night."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.builtin.traffic_light import TrafficLight, TrafficLightParams
from aihub.scenes.drawings import HEIGHT, WIDTH
from aihub.scenes.roads import SIGNAL, signal
from aihub.testing import FakePredictor
from aihub.types import Frame, Image, Labels

LIGHT = tuple((x / WIDTH, y / HEIGHT) for x, y in SIGNAL)
SHOWN = [(1.0, "red"), (4.0, "green"), (6.5, "yellow"), (8.0, "off")]


def state(image: Image, light: Any = LIGHT, **params: Any) -> Labels:
    stage = TrafficLight(TrafficLightParams(light=light, **params), FakePredictor())
    return stage.process(Frame(image), None)


@pytest.mark.parametrize("scale", [0.2, 0.5, 1.0, 6.0])
@pytest.mark.parametrize(("moment", "name"), SHOWN)
def test_near_and_far(moment: float, name: str, scale: float) -> None:
    image = np.asarray(
        cv2.resize(signal(moment), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
    )
    assert state(image).label == (name,)


@pytest.mark.parametrize("light", [0.55, 1.0, 1.3])
@pytest.mark.parametrize(("moment", "name"), SHOWN)
def test_by_day_and_by_night(moment: float, name: str, light: float) -> None:
    """The lamps stay as bright; what is around them does not."""
    image = signal(moment)
    lit = image.max(axis=2) > 220
    dimmed = np.clip(image * light, 0, 255).astype(np.uint8)
    assert state(np.where(lit[..., None], image, dimmed).astype(np.uint8)).label == (name,)


def test_two_lamps_are_unclear_and_paint_is_no_lamp() -> None:
    both = np.where(signal(1.0) > signal(4.0), signal(1.0), signal(4.0)).astype(np.uint8)
    assert state(both).label == ("unclear",)
    bricks = np.full((HEIGHT, WIDTH, 3), (60, 70, 130), np.uint8)
    assert state(bricks).label == ("off",)
    assert state(signal(1.0), least=0.9).label == ("off",)


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99),
    light=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=6),
)  # fmt: skip
def test_any_picture_and_polygon_give_a_sound_label(
    height: int, width: int, seed: int, light: list[tuple[float, float]]
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    before = image.copy()
    said = state(image, light=tuple(light))
    assert said.label[0] in ("red", "yellow", "green", "off", "unclear")
    assert 0 <= said.confidence[0] <= 1
    assert 0 <= sum(said.measures.values()) <= 1
    assert np.array_equal(image, before)
