"""Rules on single objects: in a zone, over a line, not moving."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aihub.streams.rules.zone_presence import ZonePresence, ZonePresenceParams
from aihub.testing import FakePredictor, boxes
from aihub.testing import frame as shown
from aihub.types import Detections, Findings
from tests.streams.scenes import (
    Path,
    detections,
    frame_at,
    person,
    stands,
    times,
    walks,
)
from tests.streams.watching import (
    ACROSS,
    MIDDLE,
    NOWHERE,
    PARKED,
    UPWARDS,
    first,
    keys,
    make,
    watch,
)

ZONE_SCENES = [
    ("walks through: from entering to leaving", ACROSS, {}, 3.4, ["track/1"]),
    ("walks through in one second, two are asked for", ACROSS, {"loitering_time": 2.5}, None, []),
    ("stays: alarm after the loitering time", stands(0.5, 0.8), {"loitering_time": 4}, 4.0, ["track/1"]),
    (
        "steps out for 0.6 s: the time goes on",
        walks((0, 0.5, 0.8), (2, 0.5, 0.8), (2.1, 0.7, 0.8), (2.6, 0.7, 0.8), (2.7, 0.5, 0.8), (9, 0.5, 0.8)),
        {"loitering_time": 4},
        4.0,
        ["track/1"],
    ),
    (
        "steps out for 2 s: the time starts anew",
        walks((0, 0.5, 0.8), (2, 0.5, 0.8), (2.1, 0.7, 0.8), (4.1, 0.7, 0.8), (4.3, 0.5, 0.8), (12, 0.5, 0.8)),
        {"loitering_time": 4},
        8.4,
        ["track/1"],
    ),
    ("the feet are outside, the head is inside", stands(0.5, 0.35), {"zone": [[0.4, 0], [0.6, 0], [0.6, 0.3], [0.4, 0.3]]}, None, []),
    ("cut off by the lower edge: still on the whole picture", stands(0.5, 1.0), {"zone": [[0, 0], [1, 0], [1, 1], [0, 1]]}, 0.4, ["track/1"]),
    ("no zone is the whole picture", stands(0.05, 0.3), {"zone": []}, 0.4, ["track/1"]),
    ("zone elsewhere", ACROSS, {"zone": NOWHERE}, None, []),
    ("inertia 1: at once", ACROSS, {"inertia": 1}, 3.0, ["track/1"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "path", "params", "at", "expected"), ZONE_SCENES, ids=[s[0] for s in ZONE_SCENES]
)
def test_zone_presence(
    reason: str, path: Path, params: dict[str, Any], at: float | None, expected: list[str]
) -> None:
    seen = watch("zone-presence", [path], 12, 5, **{"zone": MIDDLE, "inertia": 3, **params})
    assert first(seen) == pytest.approx(at, abs=0.21), reason
    assert keys(seen) == expected, reason


def test_a_visitor_who_gets_a_new_track_id_in_place_stays_the_same_visitor() -> None:
    paths = [stands(0.5, 0.8, until=3), stands(0.51, 0.8, since=4)]
    seen = watch("zone-presence", paths, 10, 5, zone=MIDDLE, loitering_time=6)
    assert keys(seen) == ["track/1"]
    assert first(seen) == pytest.approx(6, abs=0.21)


def test_somebody_else_who_comes_later_is_another_visitor() -> None:
    paths = [stands(0.45, 0.8, until=3), stands(0.45, 0.8, since=7)]
    assert keys(watch("zone-presence", paths, 10, 5, zone=MIDDLE)) == ["track/1", "track/2"]


def test_on_a_single_picture_found_tells_who_is_in_the_zone() -> None:
    people = detections([person((0.5, 0.8)), person((0.1, 0.8))])
    findings = make("zone-presence", zone=MIDDLE).process(frame_at(0), people)
    assert isinstance(findings, Findings)
    assert isinstance(findings.found, Detections)
    assert findings.found.xyxy.tolist() == people.xyxy[:1].tolist()
    assert not findings.observations
    assert len(make("zone-presence", zone=MIDDLE, inertia=1).process(frame_at(0), people)) == 1


LINE_SCENES = [
    ("left to right on the picture, line drawn upwards", [ACROSS], {}, ["left-to-right"]),
    ("the other way", [walks((0, 0.9, 0.8), (8, 0.1, 0.8))], {}, ["right-to-left"]),
    ("line drawn downwards: left and right swap", [ACROSS], {"line": [[0.5, 0], [0.5, 1]]}, ["right-to-left"]),
    ("drawn left to right: downwards is to its right", [walks((0, 0.5, 0.4), (6, 0.5, 1.0))], {"line": [[0, 0.7], [1, 0.7]]}, ["left-to-right"]),
    ("only the other direction is asked for", [ACROSS], {"direction": "right-to-left"}, []),
    ("passes beside the line's end", [ACROSS], {"line": [[0.5, 0.6], [0.5, 0]]}, []),
    ("there and back is two crossings", [walks((0, 0.1, 0.8), (5, 0.7, 0.8), (10, 0.1, 0.8))], {}, ["left-to-right", "right-to-left"]),
    ("wavers on the line by less than the margin", [walks(*((k / 2, 0.5 + 0.004 * (-1) ** k, 0.8) for k in range(20)))], {}, []),
    ("peeks over the line for two frames", [walks((0, 0.3, 0.8), (3.0, 0.485, 0.8), (3.2, 0.52, 0.8), (3.4, 0.52, 0.8), (3.6, 0.48, 0.8), (9, 0.3, 0.8))], {}, []),
    ("turns round before the line", [walks((0, 0.1, 0.8), (4, 0.45, 0.8), (8, 0.1, 0.8))], {}, []),
    ("goes round the end, then along the other side", [walks((0, 0.4, 0.5), (2, 0.4, 0.95), (4, 0.6, 0.95), (6, 0.6, 0.5))], {"line": [[0.5, 0.7], [0.5, 0]]}, []),
    ("first seen beyond the line", [walks((0, 0.6, 0.8), (5, 0.9, 0.8))], {}, []),
    ("runs: two frames beyond, and gone", [walks((0, 0.05, 0.8), (1.6, 0.85, 0.8))], {}, ["left-to-right"]),
    ("two people at once", [ACROSS, walks((0, 0.9, 0.6), (8, 0.1, 0.6))], {}, ["left-to-right", "right-to-left"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "paths", "params", "expected"), LINE_SCENES, ids=[s[0] for s in LINE_SCENES]
)
def test_line_crossing(reason: str, paths: list[Path], params: dict[str, Any], expected: list[str]) -> None:
    seen = watch("line-crossing", paths, 11, 5, **{"line": UPWARDS, **params})
    crossings = [o for _, findings in seen for o in findings.observations]
    assert sorted(o.data["direction"] for o in crossings) == sorted(expected), reason
    assert len({o.key for o in crossings}) == len(crossings), reason


def test_crossings_are_counted_both_ways_whatever_is_asked_for() -> None:
    there_and_back = walks((0, 0.1, 0.8), (5, 0.7, 0.8), (10, 0.1, 0.8))
    seen = watch("line-crossing", [there_and_back, ACROSS], 11, 5, line=UPWARDS, direction="right-to-left")
    assert seen[-1][1].measures == {"left_to_right": 2.0, "right_to_left": 1.0}
    assert keys(seen) == ["track/1/crossing-2"]


def hides(at: float, seconds: float) -> Path:
    return lambda t: None if at <= t < at + seconds else PARKED


STATIONARY_SCENES = [
    ("parks", [stands(*PARKED)], 10.0, ["track/1"]),
    ("drives by", [walks((0, 0.0, 0.8), (30, 1.0, 0.8))], None, []),
    ("creeps: a box's width in five seconds", [walks((0, 0.2, 0.8), (30, 0.6, 0.8))], None, []),
    ("arrives at 5 s", [walks((0, 0.1, 0.8), (5, 0.5, 0.8), (30, 0.5, 0.8))], 14.6, ["track/1"]),
    ("stops for 8 s only", [walks((0, 0.1, 0.8), (3, 0.4, 0.8), (11, 0.4, 0.8), (15, 0.9, 0.8))], None, []),
    ("hidden for 4 s, same track", [hides(5, 4)], 10.0, ["track/1"]),
    ("hidden for 6 s, new track in the same place", [stands(*PARKED, until=5), stands(*PARKED, since=11)], 12.0, ["track/1"]),
    ("the tracker gives it a new id at once", [stands(*PARKED, until=5), stands(0.502, 0.8, since=5.1)], 10.0, ["track/1"]),
    ("it leaves, another comes 5 s later", [walks((0, 0.5, 0.8), (6, 0.5, 0.8), (8, 0.95, 0.8)), stands(*PARKED, since=13)], 23.0, ["track/2"]),
    ("parks, moves on, parks again", [walks((0, 0.3, 0.8), (12, 0.3, 0.8), (15, 0.7, 0.8), (30, 0.7, 0.8))], 10.0, ["track/1", "track/1/place-2"]),
    ("outside the zone", [stands(0.1, 0.2)], None, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "paths", "at", "expected"), STATIONARY_SCENES, ids=[s[0] for s in STATIONARY_SCENES]
)
def test_stationary(reason: str, paths: list[Path], at: float | None, expected: list[str]) -> None:
    seen = watch("stationary", paths, 30, 5, zone=[[0, 0.5], [1, 0.5], [1, 1], [0, 1]], dwell=10)
    assert first(seen) == pytest.approx(at, abs=0.41), reason
    assert keys(seen) == expected, reason


def test_a_parked_car_whose_id_a_passing_car_takes_is_still_one_event() -> None:
    """At 6 s the tracker mixes up both: the passing car goes on as 1, the parked one stays as 2."""
    passing = walks((4, 0.2, 0.8), (8, 0.8, 0.8))
    stage = make("stationary", dwell=5)
    seen = []
    for k, t in enumerate(times(20, 5).tolist()):
        places = {1: PARKED, 2: passing(t)} if t < 6 else {2: PARKED, 1: passing(t)}
        here = {number: place for number, place in places.items() if place is not None}
        found = detections([person(place) for place in here.values()], list(here))
        findings = stage.process(frame_at(t, k), found)
        assert isinstance(findings, Findings)
        seen.append((t, findings))
    assert keys(seen) == ["track/1"]
    silent = [t for t, findings in seen if t >= 5 and not findings.observations]
    assert silent == [t for t in silent if 6 <= t <= 7.5], (
        "it pauses only until the new id has stood for a second"
    )


def test_a_parked_car_is_one_event_in_jitter_and_traffic() -> None:
    rng = np.random.default_rng(3)
    stage = make("stationary", dwell=5)
    seen, ids = [], 1
    for k, t in enumerate(times(120, 5).tolist()):
        if rng.random() < 0.01:
            ids += 1  # the tracker loses it about every 20 s
        shown = [] if rng.random() < 0.3 else [person(PARKED) + rng.normal(0, 2, 4)]
        findings = stage.process(frame_at(t, k), detections([list(box) for box in shown], [ids] * len(shown)))
        assert isinstance(findings, Findings)
        seen.append((t, findings))
    assert ids > 3
    assert keys(seen) == ["track/1"]


def test_a_lost_visitor_that_comes_back_has_a_key_of_its_own() -> None:
    """Track 1 is lost, track 2 takes its place and its key; then track 1 is back beside it."""
    rule = ZonePresence(ZonePresenceParams(inertia=1), FakePredictor())
    here, beside = (100.0, 100.0, 160.0, 300.0), (300.0, 100.0, 360.0, 300.0)
    steps = [[(1, here)], [(2, here)], [(2, here), (1, beside)], [(2, here), (1, beside)]]
    seen = []
    for seq, step in enumerate(steps):
        found = replace(
            boxes(*(("person", 0.9, box) for _, box in step)),
            track_id=np.array([track for track, _ in step], np.int64),
        )
        seen.append([one.key for one in rule.process(shown(seq=seq, at=seq / 5), found).observations])
    assert seen[:2] == [["track/1"], ["track/1"]]  # one visitor, whatever the tracker calls it
    assert seen[2:] == [["track/1", "track/1/again-1"]] * 2
