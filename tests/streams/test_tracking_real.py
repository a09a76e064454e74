"""Tracker and rules on real clips, through a real detector. Truth was established by looking at the frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aihub.algorithms.base import stage_type
from aihub.plugins import load_group
from aihub.streams.tracking import Track, TrackParams
from aihub.types import Detections, Findings, Frame
from tests.streams.seeing import Yolox, clip

load_group("aihub.rules")
pytestmark = [pytest.mark.media, pytest.mark.weights]
NO_MODELS: Any = None
Watch = Callable[[str, float, int], list[tuple[Frame, Detections]]]
FLOOR = [[0.0, 0.55], [0.5, 0.55], [0.5, 1.0], [0.0, 1.0]]


@pytest.fixture(scope="module")
def people(media: Path, mirror: Path) -> Watch:
    """Tracked people of a clip: name, frames a second, frames of the clip."""
    detector = Yolox(mirror / "models" / "detect" / "yolox_nano_coco.onnx")

    @cache
    def watch(name: str, fps: float, frames: int = 100_000) -> list[tuple[Frame, Detections]]:
        track = Track(TrackParams(), NO_MODELS)
        pictures = clip(media / "video" / name, fps, frames)
        return [(frame, track.process(frame, detector(frame.image).select(["person"]))) for frame in pictures]

    return watch


def apply(rule: str, seen: list[tuple[Frame, Detections]], **params: Any) -> list[tuple[float, Findings]]:
    kind = stage_type(rule)
    stage = kind(kind.params_type.model_validate(params), NO_MODELS)
    made = []
    for frame, found in seen:
        findings = stage.process(frame, found)
        assert isinstance(findings, Findings)
        made.append((frame.monotonic - 1000, findings))
    return made


def sightings(seen: list[tuple[Frame, Detections]]) -> Counter[int]:
    """Track id -> frames on which it was seen."""
    return Counter(
        number for _, found in seen if found.track_id is not None for number in found.track_id.tolist()
    )


@pytest.mark.parametrize("fps", [15, 5])
def test_three_shoppers_are_three_tracks(people: Watch, fps: float) -> None:
    seen = people("store-aisle-detection_preview.mp4", fps, 100)
    frames = sightings(seen)
    lasting = [number for number, count in frames.items() if count >= len(seen) / 4]
    assert len(lasting) == 3
    assert len(frames) <= 4


def test_three_who_come_one_by_one_are_three_tracks(people: Watch) -> None:
    seen = people("one-by-one-person-detection.mp4", 5, 705)
    frames = sightings(seen)
    assert len([number for number, count in frames.items() if count >= 10]) == 3


def test_all_three_leave_over_the_line_on_the_right(people: Watch) -> None:
    """They come from below and leave to the right in seconds 18.9, 44.0 and 69.0."""
    seen = people("one-by-one-person-detection.mp4", 5, 705)
    made = apply("line-crossing", seen, line=[[0.75, 1.0], [0.75, 0.5]])
    crossings = [(t, o.data["direction"]) for t, findings in made for o in findings.observations]
    assert [direction for _, direction in crossings] == ["left-to-right"] * 3
    assert [t for t, _ in crossings] == pytest.approx([18.9, 44.0, 69.0], abs=0.8)
    assert made[-1][1].measures == {"left_to_right": 3.0, "right_to_left": 0.0}


def test_the_table_is_empty_for_more_than_four_seconds_twice(people: Watch) -> None:
    """Nobody until 6.4 s, from 19.5 to 23.0 s (too short), and from 44.7 to 50.6 s."""
    seen = people("one-by-one-person-detection.mp4", 5, 705)
    empty = [t for t, findings in apply("absence", seen, dwell=4.0) if findings.observations]
    assert empty[0] == pytest.approx(4.0, abs=0.21)
    begins = [empty[0], *(b for a, b in pairwise(empty) if b - a > 1)]
    assert begins == pytest.approx([4.0, 48.7], abs=0.5)


def test_each_stands_at_the_table_for_long(people: Watch) -> None:
    seen = people("one-by-one-person-detection.mp4", 5, 705)
    made = apply("stationary", seen, dwell=8.0, zone=[[0.4, 0.6], [0.8, 0.6], [0.8, 1.0], [0.4, 1.0]])
    keys = {o.key for _, findings in made for o in findings.observations}
    assert len({key.split("/")[1] for key in keys}) == 3
    assert len(keys) <= 4


def test_the_worker_walks_into_the_zone_once(people: Watch) -> None:
    """He enters the left half of the floor in second 0.7 and stays."""
    seen = people("worker-zone-detection_preview.mp4", 5, 100)
    made = apply("zone-presence", seen, zone=FLOOR)
    inside = [t for t, findings in made if findings.observations]
    assert {o.key for _, findings in made for o in findings.observations} == {"track/1"}
    assert inside[0] == pytest.approx(1.2, abs=0.5)
    assert inside[-1] == made[-1][0]
    loitering = apply("zone-presence", seen, zone=FLOOR, loitering_time=2.5)
    assert next(t for t, f in loitering if f.observations) == pytest.approx(0.7 + 2.5, abs=0.5)
    elsewhere = apply("zone-presence", seen, zone=[[0.7, 0.0], [1, 0.0], [1, 0.5], [0.7, 0.5]])
    assert not any(findings.observations for _, findings in elsewhere)
