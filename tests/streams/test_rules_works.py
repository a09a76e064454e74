"""Rules about attributes, machines and what runs about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.base import Stage
from aihub.errors import ParamsError
from aihub.streams.rules.proximity import gaps_in_metres
from aihub.testing import boxes
from aihub.types import AnyResult, Detections, Findings, Frame
from tests.streams.scenes import HEIGHT, START, WIDTH, frame_at
from tests.streams.watching import first, keys, make


def findings_of(stage: Stage[Any], frame: Frame, found: AnyResult) -> Findings:
    """What a rule makes of one frame."""
    findings = stage.process(frame, found)
    assert isinstance(findings, Findings)
    return findings


def cars(*plates: str, ids: list[int] | None = None) -> Detections:
    found = boxes(
        *(("car", 0.9 - 0.01 * k, (60.0 * k, 50.0, 60.0 * k + 50, 90.0)) for k in range(len(plates)))
    )
    known = tuple({"plate": plate} if plate else {} for plate in plates)
    tracks = np.array(ids if ids is not None else range(len(plates)), np.int64)
    return replace(found, attributes=known, track_id=tracks)


def told(results: list[Detections], **params: Any) -> list[list[str]]:
    stage = make("attribute-seen", attribute="plate", **params)
    return [
        [one.key for one in findings_of(stage, frame_at(k / 5), found).observations]
        for k, found in enumerate(results)
    ]


ATTRIBUTES = [
    ("one alarm a track", [cars("A", "B")], {}, [["track/0", "track/1"]]),
    ("one alarm a value", [cars("A", "A")], {"each": "value"}, [["plate/A"]]),
    ("only those asked for", [cars("A", "B")], {"each": "value", "values": ["B"]}, [["plate/B"]]),
    ("unknown is nothing", [cars("", "B")], {}, [["track/1"]]),
    ("inertia counts each key by itself", [cars("A"), cars("A", "B")], {"each": "value", "inertia": 2}, [[], ["plate/A"]]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "results", "params", "expected"), ATTRIBUTES, ids=[r[0] for r in ATTRIBUTES]
)
def test_attribute_seen(reason: str, results: Any, params: dict[str, Any], expected: list[list[str]]) -> None:
    assert told(results, **params) == expected, reason


def test_what_was_not_read_is_counted() -> None:
    findings = findings_of(make("attribute-seen", attribute="plate"), frame_at(0), cars("A", "", ""))
    assert findings.measures == {"count": 3.0, "known": 1.0, "unknown": 2.0}


def test_keys_do_not_pile_up() -> None:
    stage: Any = make("attribute-seen", attribute="plate", each="value")
    for k in range(3000):
        findings_of(stage, frame_at(k / 5), cars(f"P{k}"))
    assert len(stage._streaks) <= 2000


PERSON, MACHINE = (300.0, 100.0, 360.0, 270.0), (400.0, 60.0, 600.0, 270.0)
GAPS = [
    ("beside it, 40 pixels away", PERSON, 0.4),
    ("touching", (350.0, 100.0, 410.0, 270.0), 0.0),
    ("behind it, as deep as half their height", (450.0, 15.0, 510.0, 185.0), 1.7),
    ("the driver: high within the box", (450.0, 80.0, 490.0, 150.0), np.inf),
]


@pytest.mark.parametrize(("reason", "person", "metres"), GAPS, ids=[row[0] for row in GAPS])
def test_gaps(reason: str, person: tuple[float, ...], metres: float) -> None:
    gap = gaps_in_metres(np.array([person]), np.array([MACHINE]), 1.7)
    assert gap.item() == pytest.approx(metres, abs=0.01), reason


@given(st.floats(0.1, 10))
@settings(max_examples=30, deadline=None)
def test_metres_do_not_depend_on_the_size_of_the_picture(scale: float) -> None:
    one = gaps_in_metres(np.array([PERSON]), np.array([MACHINE]), 1.7)
    other = gaps_in_metres(np.array([PERSON]) * scale, np.array([MACHINE]) * scale, 1.7)
    assert other.item() == pytest.approx(one.item(), rel=1e-6)


def test_who_is_near_for_long_enough_is_told() -> None:
    stage = make("proximity", machines=["digger"], distance=1, dwell=1)
    seen = []
    for k in range(20):
        x = 100.0 + 20 * k
        found = boxes(
            ("person", 0.9, (min(x, 300.0), 100, min(x, 300.0) + 60, 270)), ("digger", 0.8, MACHINE)
        )
        found = replace(found, track_id=np.array([5, 6], np.int64))
        findings = findings_of(stage, frame_at(k / 5), found)
        seen.append((k / 5, findings))
    assert keys(seen) == ["track/5"]
    near = next(t for t, findings in seen if findings.measures["nearest_m"] <= 1)
    assert first(seen) == pytest.approx(near + 1, abs=0.01)
    assert seen[-1][1].observations[0].data["machine"] == "digger"


def test_without_machines_nobody_is_near() -> None:
    findings = findings_of(
        make("proximity", machines=["digger"]), frame_at(0), boxes(("person", 0.9, PERSON))
    )
    assert findings.measures == {"count": 1.0, "machines": 0.0}
    assert not findings.observations


SQUARE = [[0.5, 0.3], [0.8, 0.3], [0.8, 0.8], [0.5, 0.8]]


def workshop(at: float, *, runs: bool) -> Frame:
    image = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    phase = round(at * 90) % 60 if runs else 0
    for x in range(320 + phase, 512, 60):
        image[110:280, x : x + 24] = 220
    return Frame(image, "scene", 0, 1.7e9 + at, START + at)


NOBODY = boxes(labels=("person",))
SOMEBODY = boxes(("person", 0.9, (50, 100, 120, 340)))
RUNS = [
    ("runs and nobody is there", True, NOBODY, True),
    ("runs, and somebody is there", True, SOMEBODY, False),
    ("stands still", False, NOBODY, False),
]


@pytest.mark.parametrize(("reason", "runs", "people", "alarm"), RUNS, ids=[row[0] for row in RUNS])
@pytest.mark.parametrize("fps", [3.0, 10.0])
def test_unattended(reason: str, runs: bool, people: Detections, alarm: bool, fps: float) -> None:
    stage = make("unattended", machine=SQUARE, dwell=2)
    frames = [findings_of(stage, workshop(k / fps, runs=runs), people) for k in range(round(6 * fps))]
    assert any(one.observations for one in frames) is alarm, reason


def test_a_machine_needs_a_place() -> None:
    with pytest.raises(ParamsError, match="polygon around the machine"):
        make("unattended", machine=[])


def mover(x: float, size: float = 20.0) -> Detections:
    return replace(boxes(("moving", 0.9, (x, 300.0, x + size, 300 + size))), track_id=np.array([1], np.int64))


def grey(level: int, at: float) -> Frame:
    return Frame(np.full((HEIGHT, WIDTH, 3), level, np.uint8), "scene", 0, 1.7e9 + at, START + at)


ROAMS = [
    ("small, far, dark", 40, 25.0, 20.0, True),
    ("by day", 200, 25.0, 20.0, False),
    ("stirs in its place", 40, 0.5, 20.0, False),
    ("as large as a person", 40, 25.0, 150.0, False),
]


@pytest.mark.parametrize(("reason", "level", "step", "size", "alarm"), ROAMS, ids=[row[0] for row in ROAMS])
def test_roaming(reason: str, level: int, step: float, size: float, alarm: bool) -> None:
    stage = make("roaming")
    frames = [findings_of(stage, grey(level, k / 5), mover(10 + step * k, size)) for k in range(12)]
    assert any(one.observations for one in frames) is alarm, reason
