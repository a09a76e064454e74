"""Rules that look at the picture itself: the signal of a crossing, and what a vehicle left behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aihub.scenes.drawings import HEIGHT, WIDTH, street, with_noise
from aihub.scenes.roads import SIGNAL, crossing_at_green, crossing_at_red, lorry_dumps, lorry_stops
from aihub.types import Findings, Frame, Image
from tests.streams.scenes import START, detections
from tests.streams.watching import Seen, keys, make

LIGHT = [[x / WIDTH, y / HEIGHT] for x, y in SIGNAL]
CROSSING = [[0.28, 0.6], [0.8, 0.6], [0.8, 1], [0.28, 1]]
FPS = 4


def _feed(rule: Any, pictures: list[Image], boxes: list[dict[int, list[float]]], kind: int) -> Seen:
    seen = []
    for k, (image, now) in enumerate(zip(pictures, boxes, strict=True)):
        found = detections(
            list(now.values()), list(now), classes=[kind] * len(now), labels=("person", "truck")
        )
        findings = rule.process(Frame(image, "scene", k, 1.7e9 + k / FPS, START + k / FPS), found)
        assert isinstance(findings, Findings)
        seen.append((k / FPS, findings))
    return seen


def _walkers(starts: tuple[float, ...], seconds: float) -> list[dict[int, list[float]]]:
    """Truth of `crossing-at-...`: 70 pixels a second from x = 200 on."""
    now = []
    for k in range(round(seconds * FPS)):
        places = {n: 200 + 70 * (k / FPS - start) for n, start in enumerate(starts, 1)}
        now.append({n: [x - 25.0, 200.0, x + 25.0, 330.0] for n, x in places.items() if -40 < x < WIDTH})
    return now


STEPPED = [
    (crossing_at_red, (1.0, 5.0), ["track/2"], "one stepped on at green, one at red"),
    (crossing_at_green, (0.5, 1.5), [], "both stepped on at green"),
    (crossing_at_red, (3.4, 9.0), [], "within the second that is forgiven"),
    (crossing_at_red, (4.2, 9.0), ["track/1"], "after it"),
]


@pytest.mark.parametrize(("draws", "starts", "guilty", "reason"), STEPPED, ids=[row[3] for row in STEPPED])
def test_who_steps_on_at_red(draws: Any, starts: tuple[float, ...], guilty: list[str], reason: str) -> None:
    rule = make("red-light", zone=[[0.33, 0.6], *CROSSING[1:3], [0.33, 1]], light=LIGHT)
    pictures = [draws(k / FPS) for k in range(7 * FPS)]
    seen = _feed(rule, pictures, _walkers(tuple(start - 0.16 for start in starts), 7), 0)
    assert keys(seen) == guilty, reason
    assert {findings.measures["red"] for t, findings in seen if t < 2.9} == {0.0}
    assert {findings.measures["red"] for t, findings in seen if t > 3.0} == {1.0}


def test_nobody_is_reported_while_the_signal_is_hidden() -> None:
    rule = make("red-light", zone=CROSSING, light=LIGHT)
    dark = [with_noise(street(), k / FPS) for k in range(6 * FPS)]
    assert keys(_feed(rule, dark, _walkers((1.0, 3.0), 6), 0)) == []


def _lorry(seconds: float) -> list[dict[int, list[float]]]:
    """Truth of `lorry-...`."""
    now = []
    for k in range(round(seconds * FPS)):
        t = k / FPS
        place = 200 - 330 * max(2.5 - t, 0.0) + 330 * max(t - 5.0, 0.0)
        shown = place < WIDTH and place + 280 > 0
        now.append({1: [max(place, 0.0), 209.0, min(place + 280, float(WIDTH)), 335.0]} if shown else {})
    return now


@pytest.mark.parametrize(("draws", "brighter"), [(lorry_dumps, 25), (lorry_stops, 0), (lorry_stops, 25)])
def test_what_a_lorry_leaves(draws: Any, brighter: int) -> None:
    """That the sun comes out meanwhile does not count."""
    rule = make("left-by-vehicle", dwell=2, confirm=1)
    pictures = [draws(k / FPS) for k in range(9 * FPS)]
    pictures = [
        np.minimum(image.astype(np.uint16) + (brighter if k > 3.5 * FPS else 0), 255).astype(np.uint8)
        for k, image in enumerate(pictures)
    ]
    seen = _feed(rule, pictures, _lorry(9), 1)
    if draws is lorry_stops:
        assert keys(seen) == []
        assert max(findings.measures["stops"] for _, findings in seen) == 1
        return
    assert keys(seen) == ["track/1/left"]
    last = seen[-1][1].observations[0]
    assert last.box == pytest.approx((90 / WIDTH, 285 / HEIGHT, 212 / WIDTH, 338 / HEIGHT), abs=0.05)
    assert 0.03 <= last.data["area"] <= 0.25
    begun = next(t for t, findings in seen if findings.observations)
    assert 7.0 <= begun <= 8.9


def test_stops_are_forgotten() -> None:
    rule: Any = make("left-by-vehicle", dwell=1, confirm=1)
    pictures = [with_noise(street(), 0)] * (22 * FPS)
    boxes = [{1: [200.0, 200.0, 400.0, 330.0]} if 1 <= k / FPS < 4 else {} for k in range(22 * FPS)]
    seen = _feed(rule, pictures, boxes, 1)
    assert keys(seen) == []
    assert max(findings.measures["stops"] for _, findings in seen) == 1
    assert seen[-1][1].measures["stops"] == 0
    assert rule._visits == {}
