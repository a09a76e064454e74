"""The rules on traffic: ways, turns, queues, conflicts, bays, signals; each on paths whose truth is known."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.contract import unsound
from aihub.errors import ConfigError
from aihub.types import Detections, Labels
from tests.streams.scenes import HEIGHT, WIDTH, Path, detections, frame_at, person, stands, walks
from tests.streams.watching import UPWARDS, Seen, feed, first, keys, make, watch

WHOLE = [[0, 1], [1, 1], [1, 0], [0, 0]]
GROUND: dict[str, Any] = {"road": WHOLE, "width_m": 64, "length_m": 36}  # ten pixels a metre, both ways
ARMS: dict[str, Any] = {
    "a": [[0, 0], [0.3, 0], [0.3, 1], [0, 1]],
    "b": [[0.7, 0], [1, 0], [1, 1], [0.7, 1]],
    "c": [[0.3, 0.8], [0.7, 0.8], [0.7, 1], [0.3, 1]],
}
RULES: dict[str, dict[str, Any]] = {
    "ground-speed": {**GROUND, "limit_kmh": 5},
    "wrong-way": {"line": [[0.9, 0.5], [0.1, 0.5]]},
    "u-turn": {"travel": 0.2},
    "congestion": {"threshold": 0.01, "dwell": 0.4},
    "standing-queue": {"lane": WHOLE, "length_m": 36, "width_m": 64, "threshold": 1},
    "turning": ARMS,
    "near-miss": {**GROUND, "ttc": 10},
    "bays": {"row": WHOLE, "bays": 3, "free": 2, "share": 0.01},
    "lane-count": {"line": UPWARDS},
    "red-light": {"light": [[0, 0], [0.1, 0], [0.1, 0.1]]},
    "left-by-vehicle": {"dwell": 0.4},
}
places = st.tuples(st.floats(0, 1), st.floats(0.3, 1))
scenes = st.lists(st.dictionaries(st.integers(1, 6), places, max_size=6), min_size=1, max_size=20)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=15, deadline=None)
@given(scene=scenes, inertia=st.integers(2, 4))
def test_laws(rule: str, scene: list[dict[int, tuple[float, float]]], inertia: int) -> None:
    """Sound results; nothing fires before `inertia` frames; `found` is part of what was given."""
    given_frames = [detections([person(place) for place in now.values()], list(now)) for now in scene]
    seen = feed(rule, given_frames, **{**RULES[rule], "inertia": inertia})
    for k, (_, findings) in enumerate(seen):
        assert isinstance(findings.found, Detections)
        clipped = Detections(
            np.clip(findings.found.xyxy, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT)),
            findings.found.confidence, findings.found.class_id, findings.found.labels,
        )  # fmt: skip
        findings = type(findings)(clipped, findings.observations, findings.measures)
        assert unsound(findings, WIDTH, HEIGHT) == ""
        assert not findings.observations or k + 1 >= inertia
        assert len(findings.found) <= len(given_frames[k])


@pytest.mark.parametrize("rule", [*RULES, "settle-kind", "label-held"])
def test_a_rule_after_the_wrong_stage_says_so(rule: str) -> None:
    params = {"labels": ["red"]} if rule == "label-held" else RULES.get(rule, {})
    with pytest.raises(ConfigError, match=r"needs (detections|labels)"):
        make(rule, **params).process(frame_at(0), None)


RIGHT, LEFT = [[0.1, 0.5], [0.9, 0.5]], [[0.9, 0.5], [0.1, 0.5]]
WAYS: list[tuple[Path, list[list[float]], bool, str]] = [
    (walks((0, 0.1, 0.8), (4, 0.9, 0.8)), LEFT, True, "against"),
    (walks((0, 0.1, 0.8), (4, 0.9, 0.8)), RIGHT, False, "with"),
    (walks((0, 0.5, 0.4), (4, 0.5, 1.0)), RIGHT, False, "across is not against"),
    (stands(0.5, 0.8), LEFT, False, "what stands goes no way"),
    (lambda t: (0.5 + 0.01 * np.sin(20 * t), 0.8), LEFT, False, "nor does what shakes"),
    (walks((0, 0.1, 0.8), (0.4, 0.2, 0.8)), LEFT, False, "too short to tell"),
]


@pytest.mark.parametrize(("path", "line", "wrong", "reason"), WAYS, ids=[way[3] for way in WAYS])
@pytest.mark.parametrize("fps", [5, 12, 25])
def test_wrong_way(path: Path, line: list[list[float]], wrong: bool, reason: str, fps: float) -> None:
    assert (first(watch("wrong-way", [path], 4, fps, line=line)) is not None) is wrong, reason


TURNS: list[tuple[Path, int, str]] = [
    (walks((0, 0.1, 0.9), (3, 0.7, 0.9), (4, 0.7, 0.7), (7, 0.1, 0.7)), 1, "there and back on another lane"),
    (walks((0, 0.1, 0.9), (3, 0.9, 0.9)), 0, "straight on"),
    (walks((0, 0.1, 0.9), (3, 0.6, 0.9), (6, 0.6, 0.4)), 0, "round a corner"),
    (stands(0.5, 0.9), 0, "standing"),
    (walks((0, 0.1, 0.9), (3, 0.7, 0.9), (4, 0.68, 0.9)), 0, "a little back"),
    (walks((0, 0.1, 0.9), (3, 0.7, 0.9), (6, 0.1, 0.9), (9, 0.7, 0.9)), 2, "twice"),
]


@pytest.mark.parametrize(("path", "turns", "reason"), TURNS, ids=[turn[2] for turn in TURNS])
def test_u_turns(path: Path, turns: int, reason: str) -> None:
    seen = watch("u-turn", [path], 9, 5, window=6)
    assert max(findings.measures["turns"] for _, findings in seen) == turns, reason
    assert keys(seen) == [f"track/1/turn-{number}" for number in range(1, turns + 1)]
    zone = [[0, 0], [0.3, 0], [0.3, 0.3], [0, 0.3]]
    assert keys(watch("u-turn", [path], 9, 5, window=6, zone=zone)) == [], "its tip lies elsewhere"


def test_turning_counts_say_from_where_to_where() -> None:
    paths = [
        walks((0, 0.1, 0.5), (4, 0.9, 0.5)),
        walks((1, 0.1, 0.5), (3, 0.5, 0.5), (5, 0.5, 0.95)),
        walks((0, 0.9, 0.6), (2, 0.5, 0.6), (4, 0.9, 0.6)),  # comes back: has gone nowhere
        stands(0.9, 0.4),
    ]
    seen = watch("turning", paths, 6, 5, **ARMS)
    assert keys(seen) == ["track/1/a-to-b", "track/2/a-to-c"]
    counted = {name for name, value in seen[-1][1].measures.items() if "_to_" in name and value}
    assert counted == {"a_to_b", "a_to_c"}


@settings(max_examples=25, deadline=None)
@given(visits=st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
def test_every_change_of_arm_counts_once(visits: list[str]) -> None:
    middle = {"a": (0.15, 0.5), "b": (0.85, 0.5), "c": (0.5, 0.9)}
    given_frames = [detections([person(middle[arm])], [1]) for arm in visits for _ in range(3)]
    seen = feed("turning", given_frames, **ARMS)
    changes = [(x, y) for x, y in pairwise(visits) if x != y]
    ways = [(o.data["from"], o.data["to"]) for _, findings in seen for o in findings.observations]
    assert ways == changes
    assert len(keys(seen)) == len(changes)


def _meters(tracks: dict[int, tuple[float, float]], width: float = 2.0) -> Detections:
    """Boxes of things that stand at metres of `GROUND`: x to the right, y away from the camera."""
    boxes = [
        [10 * (x - width / 2), 360 - 10 * y - 15, 10 * (x + width / 2), 360 - 10 * y]
        for x, y in tracks.values()
    ]
    return detections(boxes, list(tracks), classes=[1] * len(tracks))


def _conflict(first_way: tuple[float, float, float, float], second: tuple[float, float, float, float], fps: float = 10) -> Seen:  # fmt: skip
    ways = {1: first_way, 2: second}
    moving = [
        _meters({k: (x + vx * t / fps, y + vy * t / fps) for k, (x, y, vx, vy) in ways.items()})
        for t in range(20)
    ]
    return feed("near-miss", moving, fps, **GROUND, ttc=1.5)


def test_time_to_collision_is_the_way_left_over_the_closing_speed() -> None:
    seen = _conflict((10, 10, 10, 0), (50, 10, -5, 0))  # 40 m apart, discs of 1 m each, 15 m/s
    for t, findings in seen:
        if "least_ttc_s" in findings.measures:
            assert findings.measures["least_ttc_s"] == pytest.approx((40 - 2 - 15 * t) / 15, abs=0.05)
    assert first(seen) == pytest.approx((40 - 2) / 15 - 1.5 + 0.1, abs=0.11)
    assert keys(seen) == ["pair/1-2"]


CALM = [
    ((10, 10, 10, 0), (20, 10, 10, 0), "one behind the other, equally fast"),
    ((10, 10, 10, 0), (50, 16, -10, 0), "opposite lanes, six metres apart"),
    ((10, 10, -10, 0), (20, 10, 10, 0), "they part"),
    ((10, 10, 1, 0), (16, 10, 0, 0), "slower than people hurry"),
    ((10, 10, 0, 0), (11, 10, 0, 0), "they stand and touch"),
]


@pytest.mark.parametrize(("one", "other", "reason"), CALM, ids=[calm[2] for calm in CALM])
def test_no_near_miss(one: Any, other: Any, reason: str) -> None:
    assert first(_conflict(one, other)) is None, reason


def test_a_queue_ends_where_the_gap_is_too_wide() -> None:
    places = {1: (32.0, 3.0), 2: (32.0, 9.0), 3: (32.0, 16.0), 4: (32.0, 31.0)}
    standing = [_meters(places)] * 12
    lane: dict[str, Any] = {
        "lane": WHOLE,
        "length_m": 36,
        "width_m": 64,
        "gap_m": 8,
        "threshold": 3,
        "dwell": 1,
    }
    seen = feed("standing-queue", standing, **lane)
    last = seen[-1][1]
    assert (last.measures["queue"], last.measures["count"]) == (3, 4)
    assert last.measures["queue_m"] == pytest.approx(16, abs=0.1)
    assert first(seen) == pytest.approx(1.0)
    assert last.observations[0].data["queue"] == 3
    driving = [_meters({k: (x, y + 2.0 - 0.5 * t) for k, (x, y) in places.items()}) for t in range(4)]
    moved = feed("standing-queue", [*driving, *driving], fps=2, **{**lane, "window": 1.0})
    assert moved[3][1].measures["queue"] == 4 - 1, "a metre a second is standing at 5 km/h"
    fast = [_meters({k: (x + 6 * t, y) for k, (x, y) in places.items()}) for t in range(5)]
    assert feed("standing-queue", fast, fps=2, **{**lane, "window": 1.0})[-1][1].measures["queue"] == 0


@settings(max_examples=25, deadline=None)
@given(row=st.lists(st.integers(0, 9), min_size=1, max_size=10, unique=True), pace=st.floats(0, 3))
def test_congestion_is_a_share_that_grows_with_vehicles_and_falls_with_speed(
    row: list[int], pace: float
) -> None:
    def last(number: int, speed: float) -> dict[str, float]:
        ways = {k: 60 * place + 5 for k, place in enumerate(row[:number], 1)}
        now = [
            detections(
                [[x + 40 * speed * t / 5, 200, x + 40 * speed * t / 5 + 50, 230] for x in ways.values()],
                list(ways),
            )
            for t in range(12)
        ]
        return feed("congestion", now, zone=[[0, 0.5], [1, 0.5], [1, 0.7], [0, 0.7]])[-1][1].measures

    stands_, drives = last(len(row), 0.0), last(len(row), pace)
    assert 0 <= drives["congestion"] <= stands_["congestion"] + 1e-9 <= 1 + 1e-9
    assert stands_["congestion"] >= last(len(row) - 1, 0.0)["congestion"]
    assert stands_["level"] in (0, 1, 2, 3)


@settings(max_examples=25, deadline=None)
@given(taken=st.sets(st.integers(0, 5), max_size=6), order=st.randoms(use_true_random=False))
def test_each_vehicle_takes_its_bay(taken: set[int], order: Any) -> None:
    bays = list(taken)
    order.shuffle(bays)
    boxes = [[20 + 100 * bay, 180, 110 + 100 * bay, 250] for bay in bays]
    row = [
        [10 / WIDTH, 250 / HEIGHT],
        [610 / WIDTH, 250 / HEIGHT],
        [610 / WIDTH, 190 / HEIGHT],
        [10 / WIDTH, 190 / HEIGHT],
    ]
    seen = feed("bays", [detections(boxes)] * 3, row=row, bays=6)
    findings = seen[-1][1]
    assert findings.measures == {"taken": len(bays), "free": 6 - len(bays), "share_taken": len(bays) / 6}
    assert isinstance(findings.found, Detections)
    assert [said["bay"] for said in findings.found.attributes or ()] == [bay + 1 for bay in bays]
    assert (first(seen) is not None) is (len(bays) == 6)


def test_a_row_seen_from_its_end_has_narrow_bays_far_away() -> None:
    row = [[0.1, 1.0], [0.45, 0.4], [0.55, 0.4], [0.9, 1.0]]
    rule: Any = make("bays", row=row, bays=4)
    centres = rule._points.mean(axis=1)
    assert (np.diff(centres[:, 1]) < 0).all()
    assert (np.diff(np.abs(np.diff(centres[:, 1]))) < 0).all()


def test_what_passes_is_counted_by_kind() -> None:
    ways = [
        walks((0, 0.2, 0.8), (4, 0.8, 0.8)),
        walks((1, 0.8, 0.5), (5, 0.2, 0.5)),
        walks((0, 0.1, 0.6), (5, 0.9, 0.6)),
    ]
    kinds = [0, 1, 1]

    def frames() -> Any:
        for k in range(26):
            here = [(n, place) for n, way in enumerate(ways) if (place := way(k / 5)) is not None]
            yield detections(
                [person(p) for _, p in here], [n + 1 for n, _ in here], classes=[kinds[n] for n, _ in here]
            )

    any_way = feed("lane-count", frames(), line=UPWARDS)[-1][1].measures
    assert any_way == {"left_to_right": 2, "right_to_left": 1, "passed": 3, "person": 1, "car": 2}
    one_way = feed("lane-count", frames(), line=UPWARDS, direction="right-to-left")[-1][1].measures
    assert (one_way["passed"], one_way["car"], "person" in one_way) == (1, 1, False)


def test_a_track_is_what_most_of_its_detections_say() -> None:
    rule: Any = make("settle-kind", memory=10)
    said = [(1, 0.8), (1, 0.8), (0, 0.6), (1, 0.7), (0, 0.9), (0, 0.9), (0, 0.9), (0, 0.9)]
    got = []
    for k, (kind, score) in enumerate(said):
        one = detections([[0, 0, 9, 9], [50, 50, 60, 60]], [4, 9], [score, 0.5], classes=[kind, 0])
        settled = rule.process(frame_at(k / 5, k), one)
        got.append(settled.class_id.tolist())
        assert settled.xyxy is one.xyxy
    assert [row[0] for row in got] == [1, 1, 1, 1, 1, 0, 0, 0]
    assert {row[1] for row in got} == {0}
    untracked = detections([[0, 0, 9, 9]], classes=[0])
    assert rule.process(frame_at(9), untracked) is untracked


def test_a_label_that_lasts_is_reported_once_it_has_lasted() -> None:
    shown = [
        Labels((name,), (score,), {})
        for name, score in [("red", 0.9)] * 6 + [("green", 0.9)] * 4 + [("red", 0.4)] * 9
    ]
    seen = feed("label-held", shown, labels=["red", "off"], dwell=1.0)
    assert first(seen) == pytest.approx(1.0)
    assert keys(seen) == ["label/red"]
    assert not any(findings.observations for _, findings in seen[6:])
