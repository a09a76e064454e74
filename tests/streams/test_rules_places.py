"""Rules of public places: company, pace, flow, tailgating, queue, density, coverage, hours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aihub.errors import ConfigError
from aihub.streams.rules.hours import Hours, HoursParams
from aihub.types import Detections, Findings, Quality
from tests.streams.scenes import HEIGHT, WIDTH, Path, detections, frame_at, person, stands, times, walks
from tests.streams.watching import LEFT_HALF, NOWHERE, UPWARDS, Seen, feed, first, keys, make, watch

NO_MODELS: Any = None
LABELS = ("person", "bag", "phone")
RULES: dict[str, dict[str, Any]] = {
    "company": {"things": ["person"], "partners": ["car"], "dwell": 0.4},
    "pace": {"dwell": 0.0, "speed": 0.5},
    "flow": {"line": UPWARDS, "capacity": 1},
    "tailgating": {"line": UPWARDS},
    "queue": {"min_stay": 0.4, "threshold": 1},
    "density": {"threshold": 1},
    "coverage": {},
}
places = st.tuples(st.floats(0, 1), st.floats(0.3, 1))
frames = st.lists(st.dictionaries(st.integers(1, 6), places, max_size=6), min_size=1, max_size=20)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=15, deadline=None)
@given(scene=frames, inertia=st.integers(1, 4))
def test_laws(rule: str, scene: list[dict[int, tuple[float, float]]], inertia: int) -> None:
    """Keys differ, boxes are relative, figures are finite, rows are those given, nothing fires before `inertia` frames."""
    given_frames = [detections([person(place) for place in now.values()], list(now)) for now in scene]
    for k, (_, findings) in enumerate(feed(rule, given_frames, **RULES[rule], inertia=inertia)):
        made = [one.key for one in findings.observations]
        assert len(made) == len(set(made))
        assert all(0 <= side <= 1 for one in findings.observations for side in one.box or ())
        assert all(np.isfinite(value) for value in findings.measures.values())
        assert isinstance(findings.found, Detections)
        assert set(map(tuple, findings.found.xyxy.tolist())) <= set(map(tuple, given_frames[k].xyxy.tolist()))
        if rule not in ("flow", "tailgating"):  # fast things cross after two frames whatever the inertia
            assert not made or k + 1 >= inertia
        assert Findings.from_json(findings.to_json()).to_json() == findings.to_json()


@pytest.mark.parametrize("rule", RULES)
def test_what_is_no_detection_is_refused(rule: str) -> None:
    with pytest.raises(ConfigError, match="detections"):
        make(rule, **RULES[rule]).process(frame_at(0), Quality(False, 0.0, {}))


@pytest.mark.parametrize("rule", ["company", "pace", "queue", "density", "coverage"])
def test_a_zone_where_nobody_is_gives_nothing(rule: str) -> None:
    seen = watch(rule, [stands(0.5, 0.8), stands(0.4, 0.9)], 3, 5, **{**RULES[rule], "zone": NOWHERE})
    assert keys(seen) == []
    assert all(not len(findings.found) for _, findings in seen if isinstance(findings.found, Detections))


# company


def bag(x: float, y: float) -> list[float]:
    return [x * WIDTH - 12, y * HEIGHT - 20, x * WIDTH + 12, y * HEIGHT]


def with_bag(owner: Path, seconds: float, bag_at: Path | None = None, fps: float = 5, **params: Any) -> Seen:
    """A bag with track 1, and somebody with track 2 on their way."""
    stage, seen = make("company", **{"things": ["bag"], **params}), []
    bag_at = bag_at or stands(0.5, 0.8)
    for k, t in enumerate(times(seconds, fps).tolist()):
        rows = [(bag(*place), 1, 1)] if (place := bag_at(t)) else []
        rows += [(person(feet), 2, 0)] if (feet := owner(t)) else []
        found = detections(
            [r[0] for r in rows], [r[1] for r in rows], labels=LABELS, classes=[r[2] for r in rows]
        )
        findings = stage.process(frame_at(t, k), found)
        assert isinstance(findings, Findings)
        seen.append((t, findings))
    return seen


@pytest.mark.parametrize(
    ("owner", "wanted", "expected", "why"),
    [
        (stands(0.55, 0.8), "alone", None, "the owner stands by"),
        (lambda _t: None, "alone", 3.0, "nobody was ever there"),
        (stands(0.9, 0.8), "alone", 3.0, "somebody is there, but far away"),
        (stands(0.55, 0.8, 0, 2), "alone", 5.0, "the owner leaves after 2 s"),
        (
            walks((1.9, 0.45, 0.8), (2.3, 0.55, 0.8)),
            "alone",
            3.0,
            "whoever passes by in half a second is no owner",
        ),
        (stands(0.55, 0.8), "together", 3.0, "the vendor stands by"),
        (lambda _t: None, "together", None, "a table and nobody"),
    ],
)
@pytest.mark.parametrize("fps", [2.5, 5, 10])
def test_a_bag_is_unattended_when_nobody_is_near_for_long_enough(
    owner: Path, wanted: str, expected: float | None, why: str, fps: float
) -> None:
    seen = with_bag(owner, 8, fps=fps, wanted=wanted, dwell=3, inertia=1)
    assert first(seen) == (None if expected is None else pytest.approx(expected, abs=2.1 / fps)), why


def test_a_bag_that_is_carried_does_not_stand() -> None:
    moves = walks((0, 0.2, 0.8), (8, 0.8, 0.8))
    alone = with_bag(lambda _t: None, 8, moves, dwell=3)
    standing = with_bag(lambda _t: None, 8, moves, dwell=3, tolerance=0.5)
    assert first(alone) is not None
    assert first(standing) is None


def test_a_bag_that_gets_another_track_keeps_its_clock_and_its_name() -> None:
    rows = [detections([bag(0.5, 0.8)], [1 if k < 10 else 7], labels=LABELS, classes=[1]) for k in range(30)]
    seen = feed("company", rows, things=["bag"], dwell=4)
    assert keys(seen) == ["track/1"]
    assert first(seen) == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize(("place", "held"), [((0.5, 0.62), True), ((0.5, 0.79), False), ((0.6, 0.62), False)])
def test_a_phone_is_held_at_head_or_chest_not_at_the_feet_nor_far_away(
    place: tuple[float, float], held: bool
) -> None:
    x, y = place[0] * WIDTH, place[1] * HEIGHT
    boxes = [person((0.5, 0.8)), [x - 3, y - 4, x + 3, y + 4]]
    rows = [detections(boxes, [1, 2], labels=LABELS, classes=[0, 2])] * 6
    params: dict[str, Any] = {
        "things": ["person"],
        "partners": ["phone"],
        "wanted": "together",
        "reach": "upper-body",
    }
    assert bool(keys(feed("company", rows, **params, dwell=0.5))) == held


# pace


@pytest.mark.parametrize("fps", [5, 10, 25])
@pytest.mark.parametrize("height", [0.12, 0.3])
@pytest.mark.parametrize("speed", [0.8, 1.4, 1.8, 2.5])
def test_speed_in_body_heights_does_not_hang_on_rate_or_size(fps: float, height: float, speed: float) -> None:
    step = speed * height * HEIGHT / WIDTH
    stage, found = make("pace"), []
    for k, t in enumerate(times(2, fps).tolist()):
        place = (0.05 + step * t, 0.8)
        findings = stage.process(frame_at(t, k), detections([person(place, height)], [1]))
        assert isinstance(findings, Findings)
        found.append(findings)
    assert found[-1].measures["fastest"] == pytest.approx(speed, rel=0.03)
    assert bool(found[-1].observations) == (speed >= 1.5)


def test_a_box_that_is_cut_short_does_not_run() -> None:
    """Every other frame the legs are hidden: the lower edge jumps by half a body, the head stays."""
    boxes = [person((0.5, 0.8)), [*person((0.5, 0.8))[:3], 0.7 * HEIGHT]]
    seen = feed("pace", [detections([boxes[k % 2]], [1]) for k in range(20)])
    assert keys(seen) == []


def test_noise_of_a_detector_does_not_make_walkers_run() -> None:
    """Jitter of 3 % of a body's height on each side at 5 frames a second, forty walkers for 10 s."""
    rng, stage, runners = np.random.default_rng(1), make("pace"), set()
    for k, t in enumerate(times(10, 5).tolist()):
        boxes = np.array([person((0.02 * n + 0.8 * 0.25 * 9 / 16 * t / 3, 0.8)) for n in range(40)])
        noisy = boxes + rng.normal(0, 0.03 * 0.25 * HEIGHT, boxes.shape)
        findings = stage.process(frame_at(t, k), detections(noisy.tolist(), list(range(40))))
        assert isinstance(findings, Findings)
        runners |= {one.key for one in findings.observations}
    assert runners == set()


def test_a_crowd_runs_when_enough_of_it_does() -> None:
    def crowd(runners: int) -> list[Path]:
        fast = 2 * 0.25 * HEIGHT / WIDTH
        away = [walks((0, 0.02 * n, 0.8), (3, 0.02 * n + 3 * fast, 0.8)) for n in range(runners)]
        return [*away, *(stands(0.1 * n, 0.9) for n in range(6 - runners))]

    for runners, alarmed in ((2, False), (3, True), (6, True)):
        seen = watch("pace", crowd(runners), 2.5, 5, people=3, share=0.5)
        assert bool(keys(seen)) == alarmed, runners
        assert seen[-1][1].measures["runners"] == runners


# flow and tailgating


def passage(at: float, *, back: bool = False, y: float = 0.8) -> Path:
    ends = (0.2, 0.8) if not back else (0.8, 0.2)
    return walks((at - 1.5, ends[0], y), (at + 1.5, ends[1], y))


def test_flow_counts_in_and_out_and_who_is_inside() -> None:
    paths = [passage(2), passage(4), passage(6, back=True), passage(8)]
    seen = watch("flow", paths, 12, 10, line=UPWARDS, capacity=2, window=5)
    last = seen[-1][1].measures
    assert (last["in"], last["out"], last["inside"]) == (3, 1, 2)
    assert last["in_per_min"] == 12 * 1
    full = [round(t, 1) for t, findings in seen if findings.observations]
    assert full[0] == pytest.approx(4.2, abs=0.4)
    assert full[-1] == 12.0
    assert not [t for t in full if 6.6 < t < 7.9]
    other = watch("flow", paths, 12, 10, line=UPWARDS, inward="right-to-left")[-1][1].measures
    assert (other["in"], other["out"], other["inside"]) == (1, 3, 0)


@pytest.mark.parametrize(
    ("gap", "back", "follows"), [(1.0, False, True), (3.0, False, False), (1.0, True, False)]
)
def test_whoever_follows_within_the_time_and_the_same_way_tailgates(
    gap: float, back: bool, follows: bool
) -> None:
    seen = watch(
        "tailgating", [passage(3), passage(3 + gap, back=back, y=0.9)], 9, 10, line=UPWARDS, within=2
    )
    assert seen[-1][1].measures == {"passages": 2.0, "followers": float(follows)}
    assert bool(keys(seen)) == follows


# queue


def test_a_queue_tells_its_length_its_waits_and_what_is_to_come() -> None:
    """Four wait from the start; they are served at 6, 9, 12 and 15 s. Somebody walks through and does not count."""
    paths = [stands(0.1 + 0.1 * n, 0.8, 0, 6 + 3 * n) for n in range(4)]
    through = walks((1, 0.0, 0.6), (2.5, 0.49, 0.6))
    seen = watch("queue", [*paths, through], 21, 5, zone=LEFT_HALF, min_stay=3, threshold=4, max_wait=10)
    counts = [findings.measures["count"] for _, findings in seen]
    assert max(counts) == 4
    at = {round(t, 1): findings for t, findings in seen}
    assert {one.key for one in at[5.0].observations} == {"length"}
    assert {one.key for one in at[11.0].observations} == {"wait"}
    assert at[14.0].measures["served"] == 2
    assert at[14.0].measures["estimate_s"] == pytest.approx(2 * 3, abs=0.6)  # two before you, one every 3 s
    last = seen[-1][1].measures
    assert last["served"] == 4
    assert last["mean_s"] == pytest.approx((6 + 9 + 12 + 15) / 4, abs=0.3)
    assert last["p90_s"] == pytest.approx(np.quantile([6, 9, 12, 15], 0.9), abs=0.3)


def test_waits_outside_the_window_are_forgotten() -> None:
    seen = watch("queue", [stands(0.2, 0.8, 0, 5)], 30, 2, zone=LEFT_HALF, window=10)
    served = [findings.measures["served"] for _, findings in seen]
    assert max(served) == 1
    assert served[-1] == 0


# density


@settings(max_examples=40, deadline=None)
@given(feet=st.lists(places, max_size=30), columns=st.integers(1, 9), rows=st.integers(1, 9))
def test_the_heat_map_holds_everybody_once(feet: list[tuple[float, float]], columns: int, rows: int) -> None:
    params = {"columns": columns, "rows": rows, "threshold": 0.01, "inertia": 1}
    found = detections([person(place) for place in feet], list(range(len(feet))))
    ((_, findings),) = feed("density", [found], **params)
    assert findings.measures["count"] == len(feet)
    assert 0 <= findings.measures["occupied"] <= 1
    if feet:
        heat = np.array(findings.observations[0].data["heat"])
        assert heat.shape == (rows, columns)
        assert heat.sum() == pytest.approx(len(feet))
        assert heat.max() == pytest.approx(findings.measures["peak"])


def test_crowding_tells_neighbours_within_a_body_height() -> None:
    near = [person((0.5 + 0.01 * n, 0.8)) for n in range(4)]
    ((_, findings),) = feed("density", [detections([*near, person((0.05, 0.8))], list(range(5)))])
    assert findings.measures["crowding"] == 3


# coverage


@pytest.mark.parametrize(
    ("box", "inside", "cover"),
    [
        ([0, 0, WIDTH, HEIGHT / 2], True, 1.0),
        ([0, 0, WIDTH / 2, HEIGHT / 2], True, 0.5),
        ([0, 0, WIDTH, HEIGHT], True, 1.0),  # half of it is in the zone
        ([0, 0.3 * HEIGHT, WIDTH, HEIGHT], False, 0.0),  # less than half
        ([0, 0.6 * HEIGHT, WIDTH, HEIGHT], False, 0.0),
        ([10, 10, 10.2, 10.2], True, 0.0),  # smaller than a cell of the raster
    ],
)
def test_areas_decide_what_is_in_the_sky(box: list[float], inside: bool, cover: float) -> None:
    sky = [[0, 0], [1, 0], [1, 0.5], [0, 0.5]]
    ((_, findings),) = feed("coverage", [detections([box], [1])], zone=sky, inertia=1, inside=0.49)
    assert bool(findings.observations) == inside
    assert findings.measures["cover"] == pytest.approx(cover, abs=0.02)


def test_a_heap_counts_once_it_is_large_enough_and_lies_there_long_enough() -> None:
    sizes = [0.1] * 10 + [0.4] * 20  # sides, as a share of the picture's
    rows = [detections([[0, 0, side * WIDTH, side * HEIGHT]], [1]) for side in sizes]
    assert first(feed("coverage", rows, cover=0.1, dwell=2)) == pytest.approx(4.0, abs=0.21)


# hours


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("moment", "params", "within", "why"),
    [
        ("2026-01-01T23:30", {}, True, "22 to 6 by UTC"),
        ("2026-01-01T05:59", {}, True, "the night reaches into the morning"),
        ("2026-01-01T06:00", {}, False, "the end is not in it"),
        ("2026-01-01T12:00", {}, False, "noon"),
        ("2026-01-01T15:00", {"time_zone": "UTC+8"}, True, "23:00 in Shanghai"),
        ("2026-01-01T15:00", {"time_zone": "Asia/Shanghai"}, True, "by name"),
        ("2026-01-01T23:30", {"time_zone": "UTC+8"}, False, "07:30 in Shanghai"),
        ("2026-01-02T03:00", {"days": ["thu"]}, True, "the night that began on Thursday"),
        ("2026-01-01T03:00", {"days": ["thu"]}, False, "the night that began on Wednesday"),
        ("2026-01-01T12:00", {"begin": "09:00", "end": "18:00"}, True, "a working day"),
        ("2026-01-03T12:00", {"begin": "09:00", "end": "18:00", "days": ["mon", "fri"]}, False, "a Saturday"),
        ("2026-01-01T23:59", {"begin": "08:00", "end": "24:00"}, True, "until midnight"),
        ("2026-07-01T20:30", {"time_zone": "Europe/Berlin"}, True, "22:30, summer time"),
        ("2026-01-01T20:30", {"time_zone": "Europe/Berlin"}, False, "21:30, winter time"),
        ("2026-01-01T03:00", {"time_zone": "UTC-03:30"}, True, "23:30 in Newfoundland"),
    ],
)
def test_hours(moment: str, params: dict[str, Any], within: bool, why: str) -> None:
    stage = Hours(HoursParams(**params), NO_MODELS)
    assert stage.within(at(moment)) == within, why
    frame = frame_at(0)
    frame.captured_at = at(moment)
    assert len(stage.process(frame, detections([person((0.5, 0.8))], [1]))) == within


@pytest.mark.parametrize(
    "params",
    [{"begin": "25:00"}, {"begin": "6:00"}, {"time_zone": "Mars"}, {"time_zone": "UTC+15"}, {"days": ["x"]}],
)
def test_hours_that_are_none_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HoursParams(**params)
