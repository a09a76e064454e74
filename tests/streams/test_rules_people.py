"""Rules on what people do: hands up, climbing, not stirring, being alone, lacking equipment, coming back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.base import Stage
from aihub.algorithms.embedded import EmbeddedDetections, with_vectors
from aihub.errors import ConfigError
from aihub.streams.joints import JOINTS, hands_up
from aihub.testing import boxes
from aihub.types import AnyResult, Detections, Findings, Frame
from tests.streams.scenes import HEIGHT, START, WIDTH, frame_at
from tests.streams.watching import Seen, first, keys, make


def findings_of(stage: Stage[Any], frame: Frame, found: AnyResult) -> Findings:
    """What a rule makes of one frame."""
    findings = stage.process(frame, found)
    assert isinstance(findings, Findings)
    return findings


def posed(
    *, left: float = 200, right: float = 200, x: float = 300, foot: float = 330, tall: float = 200
) -> Detections:
    """Somebody upright whose wrists are at these heights, pixels from the top."""
    top = foot - tall
    joints = np.full((JOINTS, 3), 0.9, np.float32)
    joints[:, 0] = x
    joints[:5, 1] = top + 0.08 * tall
    joints[5:7, 1], joints[11:13, 1] = top + 0.2 * tall, top + 0.5 * tall
    joints[7:9, 1] = top + 0.3 * tall
    joints[13:15, 1], joints[15:17, 1] = top + 0.75 * tall, foot
    for side, height in ((0, left), (1, right)):
        joints[9 + side, 1] = height
        joints[7 + side, 1] = (height + joints[5, 1]) / 2 + 5
    found = boxes(("person", 0.9, (x - tall / 5, top, x + tall / 5, foot)), labels=("person",))
    return replace(found, track_id=np.array([1], np.int64), keypoints=joints[None])


def run(rule: str, results: Iterable[tuple[float, Any]], **params: Any) -> Seen:
    stage = make(rule, **params)
    seen = []
    for at, found in results:
        findings = findings_of(stage, frame_at(at), found)
        seen.append((at, findings))
    return seen


def shown(seconds: float, what: Callable[[float], Any], fps: float = 5.0) -> Iterable[tuple[float, Any]]:
    return ((step / fps, what(step / fps)) for step in range(round(seconds * fps) + 1))


UP, DOWN = 105.0, 230.0
HANDS = [
    ("both up", UP, UP, 2),
    ("one up", UP, DOWN, 1),
    ("none", DOWN, DOWN, 0),
    ("at the shoulders", 172.0, 172.0, 0),
]


@pytest.mark.parametrize(("reason", "left", "right", "count"), HANDS, ids=[row[0] for row in HANDS])
def test_hands_above_the_head(reason: str, left: float, right: float, count: int) -> None:
    keypoints = posed(left=left, right=right).keypoints
    assert keypoints is not None
    assert hands_up(keypoints).tolist() == [count], reason


@given(st.floats(0.2, 3), st.floats(-100, 100))
@settings(max_examples=30, deadline=None)
def test_hands_up_knows_no_size_and_no_place(scale: float, shift: float) -> None:
    for left in (UP, DOWN):
        keypoints = posed(left=left).keypoints
        assert keypoints is not None
        moved = keypoints.copy()
        moved[..., :2] = moved[..., :2] * scale + shift
        assert hands_up(moved).tolist() == hands_up(keypoints).tolist()


UP_SCENES = [
    ("held for the dwell", lambda t: posed(left=UP, right=UP), {"dwell": 1}, 1.0),
    ("one hand when two are asked for", lambda t: posed(left=UP), {"dwell": 0}, None),
    ("one hand when one is", lambda t: posed(left=UP), {"dwell": 0, "hands": 1}, 0.4),
    ("a wave of half a second", lambda t: posed(left=UP, right=UP) if t < 0.5 else posed(), {"dwell": 1}, None),
    ("a miss of 0.4 s in between", lambda t: posed(left=UP, right=UP) if not 0.5 < t < 0.9 else posed(), {"dwell": 2}, 2.0),
    ("outside the zone", lambda t: posed(left=UP, right=UP), {"dwell": 0, "zone": [[0, 0], [0.2, 0], [0.2, 1], [0, 1]]}, None),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "scene", "params", "at"), UP_SCENES, ids=[row[0] for row in UP_SCENES])
def test_hands_up(reason: str, scene: Any, params: dict[str, Any], at: float | None) -> None:
    assert first(run("hands-up", shown(4, scene), **params)) == at, reason


def test_rules_over_poses_say_what_they_need() -> None:
    with pytest.raises(ConfigError, match="stage `pose`"):
        run("hands-up", [(0, boxes(("person", 0.9, (0, 0, 9, 9))))])


def climber(t: float) -> Detections:
    return posed(foot=330 - 60 * min(max(t - 1, 0), 2), tall=150)


CLIMBS = [
    ("rises with the same size", climber, True),
    ("walks away: rises and shrinks", lambda t: posed(foot=330 - 40 * t, tall=200 - 24 * t), False),
    ("stays on the ground", lambda t: posed(x=100 + 80 * t, foot=330, tall=150), False),
    ("was up there from the begin", lambda t: posed(foot=210, tall=150), False),
    ("cut off below, then walks away", lambda t: posed(foot=min(430 - 50 * t, 359), tall=min(430 - 50 * t, 359) - 170 + 12 * t), False),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "scene", "climbs"), CLIMBS, ids=[row[0] for row in CLIMBS])
def test_climbing(reason: str, scene: Any, climbs: bool) -> None:
    seen = run("climbing", shown(4, scene), line=((0, 0.75), (1, 0.75)))
    assert bool(keys(seen)) is climbs, reason


def test_climbing_beyond_the_ends_of_the_fence_is_no_matter() -> None:
    assert not keys(run("climbing", shown(4, climber), line=((0.6, 0.75), (1, 0.75))))


def noisy(at: float, stirs: bool) -> Frame:
    rng = np.random.default_rng(round(at * 1000))
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    if stirs:
        left = int(270 + 20 * np.sin(5 * at))
        image[200:260, left : left + 40] = 30
    noise = rng.normal(0, 3, image.shape)
    return Frame(np.clip(image + noise, 0, 255).astype(np.uint8), "scene", 0, 1.7e9 + at, START + at)


@pytest.mark.parametrize("fps", [2.0, 5.0, 10.0])
def test_who_does_not_stir_is_told_after_the_dwell_at_any_rate(fps: float) -> None:
    stage = make("still", dwell=3)
    told = []
    for step in range(round(8 * fps) + 1):
        at = step / fps
        findings = findings_of(stage, noisy(at, at < 2), posed())
        told += [at] if findings.observations else []
    assert told
    assert 5 <= told[0] <= 6.6, "still since 2 s, compared with the picture of a second ago"


def test_who_stirs_is_never_told() -> None:
    stage = make("still", dwell=1)
    assert not any(findings_of(stage, noisy(k / 5, True), posed()).observations for k in range(30))


def group(number: int) -> Detections:
    return boxes(
        *(("person", 0.9, (50.0 * k, 100.0, 50.0 * k + 40, 300.0)) for k in range(number)), labels=("person",)
    )


ALONE = [
    ("alone all the time", lambda t: group(1), 2.0),
    ("nobody", lambda t: group(0), None),
    ("two", lambda t: group(2), None),
    ("the other leaves at 2 s", lambda t: group(2 if t < 2 else 1), 4.0),
    ("a ghost of one frame", lambda t: group(2 if abs(t - 1) < 0.05 else 1), 2.0),
]


@pytest.mark.parametrize(("reason", "scene", "at"), ALONE, ids=[row[0] for row in ALONE])
def test_alone(reason: str, scene: Any, at: float | None) -> None:
    assert first(run("alone", shown(6, scene), dwell=2)) == at, reason


def wearing(**attributes: str) -> Detections:
    return replace(posed(), attributes=(attributes,))


LACKS = [
    ("all is worn", {"helmet": "yes", "vest": "yes"}, ["helmet", "vest"], None),
    ("no vest", {"helmet": "yes", "vest": "no"}, ["helmet", "vest"], ["vest"]),
    ("no vest, but none is asked for", {"helmet": "yes", "vest": "no"}, ["helmet"], None),
    ("nobody knows", {}, ["helmet", "vest"], None),
]


@pytest.mark.parametrize(("reason", "attributes", "required", "lacks"), LACKS, ids=[row[0] for row in LACKS])
def test_lacking(
    reason: str, attributes: dict[str, str], required: list[str], lacks: list[str] | None
) -> None:
    seen = run("lacking", shown(2, lambda t: wearing(**attributes)), required=required)
    told = [one for _, findings in seen for one in findings.observations]
    assert first(seen) == (0.8 if lacks else None), reason
    assert all(one.data["lacks"] == lacks and one.key == "track/1" for one in told)


def look(*angles: float, tracks: list[int] | None = None) -> EmbeddedDetections:
    """People whose looks are points on a circle: the cosine of their angle is how alike they are."""
    found = group(len(angles))
    vectors = np.array([[np.cos(a), np.sin(a)] for a in angles], np.float32).reshape(-1, 2)
    if tracks is not None:
        found = replace(found, track_id=np.array(tracks, np.int64))
    return with_vectors(found, vectors)


def numbers(findings: Findings) -> list[Any]:
    assert isinstance(findings.found, Detections)
    return [row.get("person") for row in findings.found.attributes or ()]


def test_who_comes_back_is_told_and_who_is_new_is_not() -> None:
    scenes = [(0.0, look(0.0, 1.6)), (1.0, look(0.1)), (10.0, look(1.5, 3.1)), (11.0, look(1.55))]
    seen = run("seen-again", scenes, away=5)
    assert [numbers(findings) for _, findings in seen] == [[1, 2], [1], [2, 3], [2]]
    assert keys(seen) == ["person/2"]
    assert seen[2][1].observations[0].data["away_s"] == 10.0
    assert seen[3][1].measures == {"count": 1.0, "known": 3.0, "again": 1.0}


SIMILAR = [
    ("clearly the same", 0.3, [1]),
    ("neither clearly known nor clearly new", 1.0, [None]),
    ("clearly another", 1.4, [2]),
]


@pytest.mark.parametrize(("reason", "angle", "named"), SIMILAR, ids=[row[0] for row in SIMILAR])
def test_doubt(reason: str, angle: float, named: list[int | None]) -> None:
    seen = run("seen-again", [(0.0, look(0.0)), (1.0, look(angle))])
    assert numbers(seen[1][1]) == named, reason


def test_on_one_track_somebody_may_look_a_little_different_but_not_like_another() -> None:
    same = run("seen-again", [(0.0, look(0.0, tracks=[1])), (0.2, look(1.0, tracks=[1]))])
    assert numbers(same[1][1]) == [1]
    swapped = run("seen-again", [(0.0, look(0.0, tracks=[1])), (0.2, look(1.5, tracks=[1]))])
    assert numbers(swapped[1][1]) == [2], "pictures of one request that only look like a stream"


def test_people_are_forgotten_and_bounded_and_rows_without_a_look_have_no_number() -> None:
    assert numbers(run("seen-again", [(0.0, look(0.0)), (100.0, look(0.0))], remember=50)[1][1]) == [2]
    many = run("seen-again", [(float(k), look(0.0 if k % 2 else 1.57)) for k in range(6)], most=1)
    assert many[-1][1].measures["known"] <= 2
    blank = with_vectors(group(1), np.zeros((1, 2), np.float32))
    assert numbers(run("seen-again", [(0.0, blank)])[0][1]) == [None]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(0, 6.2), max_size=5), max_size=8))
def test_no_number_comes_twice_on_a_frame(frames: list[list[float]]) -> None:
    for _, findings in run("seen-again", [(float(k), look(*angles)) for k, angles in enumerate(frames)]):
        named = [number for number in numbers(findings) if number is not None]
        assert len(set(named)) == len(named)
