"""The tracker on generated scenes with known truth."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import linear_sum_assignment

from aihub.errors import ConfigError
from aihub.streams.assignment import assign
from aihub.streams.kalman import BoxFilters
from aihub.streams.tracking import Track, TrackParams
from aihub.types import Detections, Frame, Quality
from aihub.types.geometry import box_iou
from tests.streams.scenes import (
    BLANK,
    START,
    Flaws,
    Path,
    detected,
    detections,
    frame_at,
    person,
    stands,
    times,
    walks,
)

NO_MODELS: Any = None
PERFECT = Flaws(jitter=0, missed=0, ghosts=0, hidden=1)


def tracker(**params: Any) -> Track:
    return Track(TrackParams(**params), NO_MODELS)


def ids(found: Detections) -> list[int]:
    assert found.track_id is not None
    numbers: list[int] = found.track_id.tolist()
    return numbers


def follow(paths: list[Path], seconds: float, fps: float, seed: int, flaws: Flaws) -> tuple[int, float]:
    """Identity switches (as CLEAR-MOT counts them) and the share of true boxes that were covered."""
    track, known = tracker(), dict[int, int]()
    switches = covered = total = 0
    for frame, found, truth in detected(paths, seconds, fps, np.random.default_rng(seed), flaws):
        out = track.process(frame, found)
        numbers = ids(out)
        total += len(truth)
        worth = box_iou(np.array(list(truth.values())).reshape(-1, 4), out.xyxy).astype(np.float64)
        worth[worth < 0.4] = 0
        for row, name in enumerate(truth):
            if known.get(name) in numbers and worth[row, numbers.index(known[name])]:
                worth[row, numbers.index(known[name])] += 10
        pairs = np.stack(linear_sum_assignment(-worth), axis=1).tolist()
        for row, column in pairs:
            if worth[row, column]:
                name = list(truth)[row]
                covered += 1
                switches += known.get(name, numbers[column]) != numbers[column]
                known[name] = numbers[column]
    return switches, covered / total


boxes = st.tuples(st.integers(0, 600), st.integers(0, 300), st.integers(1, 200), st.integers(1, 200)).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)
rows = st.lists(st.tuples(boxes, st.floats(0, 1, width=32), st.integers(0, 1)), max_size=8)
scenes = st.lists(rows, min_size=1, max_size=10)


def as_detections(given_rows: list[Any]) -> Detections:
    return detections(
        [r[0] for r in given_rows], None, [r[1] for r in given_rows], classes=[r[2] for r in given_rows]
    )


@settings(max_examples=60, deadline=None)
@given(scenes, st.sampled_from([0.04, 0.2, 0.5]))
def test_ids_are_unique_on_a_frame_and_never_come_back_under_another_object(
    scene: list[Any], dt: float
) -> None:
    track, highest, gone = tracker(max_age=1.0), 0, set[int]()
    previous: set[int] = set()
    for k, now in enumerate(scene):
        found = as_detections(now)
        out = track.process(frame_at(k * dt), found)
        numbers = ids(out)
        assert len(numbers) == len(set(numbers))
        assert set(map(tuple, out.xyxy.tolist())) <= set(map(tuple, found.xyxy.tolist()))
        assert not gone & set(numbers)
        assert all(number >= 1 for number in numbers)
        alive = set(track._tracks.id.tolist())
        assert all(number > highest for number in alive - previous)
        gone |= previous - alive
        previous, highest = alive, max([highest, *alive])


@settings(max_examples=60, deadline=None)
@given(scenes, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(scene: list[Any], random: Any) -> None:
    straight, shuffled = tracker(), tracker()
    for k, now in enumerate(scene):
        distinct = list({(tuple(r[0]), r[1], r[2]): r for r in now}.values())
        mixed = random.sample(distinct, len(distinct))
        one = straight.process(frame_at(k * 0.2), as_detections(distinct))
        other = shuffled.process(frame_at(k * 0.2), as_detections(mixed))
        assert {(i, *b) for i, b in zip(ids(one), one.xyxy.tolist(), strict=True)} == {
            (i, *b) for i, b in zip(ids(other), other.xyxy.tolist(), strict=True)
        }
        assert [tuple(b) for b in other.xyxy.tolist()] == [
            tuple(map(float, r[0]))
            for r in mixed
            if tuple(map(float, r[0])) in set(map(tuple, other.xyxy.tolist()))
        ] or len({tuple(r[0]) for r in distinct}) < len(distinct), (
            "rows come out in the order in which they came in"
        )


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 2, 5, 25]),
    st.floats(0.05, 0.6),
    st.floats(0, 0.2),
    st.floats(0, 0.04),
)
def test_who_stands_still_keeps_one_id(
    seed: int, fps: float, height: float, missed: float, jitter: float
) -> None:
    flaws = Flaws(jitter=jitter, missed=missed, ghosts=0)
    seen = set[int]()
    track = tracker(max_age=20)
    rng = np.random.default_rng(seed)
    for frame, found, _ in detected([stands(0.5, 0.8)], 40 if fps < 25 else 6, fps, rng, flaws, height):
        seen |= set(ids(track.process(frame, found)))
    assert len(seen) == 1


def crossing(rng: np.random.Generator) -> tuple[list[Path], float]:
    """Two people at 0.4 to 0.9 of their height a second, from both sides, on near or equal depth."""
    high, low = rng.uniform(0.5, 0.8, 2)
    across, back = 0.8 / rng.uniform(0.055, 0.125, 2)
    return [walks((0, 0.1, high), (across, 0.9, high)), walks((0, 0.9, low), (back, 0.1, low))], min(
        across, back
    )


@pytest.mark.parametrize("fps", [2, 3, 5, 10, 25])
def test_two_who_cross_keep_their_ids(fps: float) -> None:
    kept = []
    for seed in range(20):
        paths, seconds = crossing(np.random.default_rng(seed))
        switches, covered = follow(paths, seconds, fps, seed, Flaws())
        kept.append(switches == 0)
        assert covered > 0.8
    assert np.mean(kept) >= 0.9


def strollers(rng: np.random.Generator, number: int, seconds: float) -> list[Path]:
    """Walk to random places and stop there now and then."""
    paths = []
    for _ in range(number):
        t, (x, y) = 0.0, rng.uniform((0.1, 0.4), (0.9, 0.95))
        stops = [(t, float(x), float(y))]
        while t < seconds:
            x2, y2 = rng.uniform((0.1, 0.4), (0.9, 0.95))
            t += float(np.hypot((x2 - x) * 640, (y2 - y) * 360) / rng.uniform(40, 110))
            x, y = x2, y2
            stops.append((t, float(x), float(y)))
            if rng.random() < 0.5:
                t += float(rng.uniform(1, 4))
                stops.append((t, float(x), float(y)))
        paths.append(walks(*stops))
    return paths


@pytest.mark.parametrize(("fps", "most"), [(3, 4.0), (5, 2.0), (10, 1.0), (25, 1.0)])
def test_switches_in_a_crowd_stay_few(fps: float, most: float) -> None:
    """Five people with sudden turns, hiding one another, under a detector with misses and ghosts: switches a person-minute."""
    switches = [follow(strollers(np.random.default_rng(s), 5, 30), 30, fps, s, Flaws())[0] for s in range(4)]
    assert sum(switches) / (4 * 5 * 0.5) <= most


@pytest.mark.parametrize("fps", [2, 3, 5])
def test_a_walker_who_no_longer_overlaps_with_themselves_keeps_the_id(fps: float) -> None:
    """At 2 frames a second a person moves by more than their width from frame to frame."""
    path = walks((0, 0.1, 0.8), (8, 0.9, 0.8))
    track = tracker()
    seen = [
        (ids(track.process(frame, found)), found)
        for frame, found, _ in detected([path], 8, fps, rng_of(0), PERFECT)
    ]
    if fps == 2:
        assert all(box_iou(a[1].xyxy, b[1].xyxy)[0, 0] < 0.1 for a, b in pairwise(seen))
    assert {number for numbers, _ in seen for number in numbers} == {1}


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_single_picture_shows_all_that_is_certain() -> None:
    found = detections(
        [person((0.2, 0.8)), person((0.5, 0.8)), person((0.8, 0.8))], confidence=[0.9, 0.3, 0.5]
    )
    assert ids(tracker().process(frame_at(0), found)) == [1, 2]


def test_later_a_track_needs_a_second_look() -> None:
    track, one = tracker(), detections([person((0.5, 0.8))])
    none = Detections.empty(("person",))
    assert not len(track.process(frame_at(0), none))
    assert not len(track.process(frame_at(0.2), one))
    assert ids(track.process(frame_at(0.4), one)) == [1]


def test_a_weak_detection_continues_a_track_but_starts_none() -> None:
    track = tracker()
    strong, weak = detections([person((0.5, 0.8))]), detections([person((0.5, 0.8))], confidence=0.15)
    assert not any(len(track.process(frame_at(k / 5), weak)) for k in range(5))
    confidences = [
        track.process(frame_at(1 + k / 5), f).confidence.tolist()
        for k, f in enumerate([strong, strong, weak])
    ]
    assert confidences == [[], [pytest.approx(0.9)], [pytest.approx(0.15)]]


def test_a_gap_longer_than_max_age_ends_all_tracks_and_a_shorter_one_none() -> None:
    one = detections([person((0.5, 0.8))])
    for gap, expected in [(1.9, [1]), (2.1, [2]), (-1.0, [2])]:
        track = tracker(max_age=2)
        track.process(frame_at(10), one)
        assert ids(track.process(frame_at(10 + gap), one)) == expected


def test_a_change_of_resolution_ends_all_tracks() -> None:
    track, one = tracker(), detections([person((0.5, 0.8))])
    track.process(frame_at(0), one)
    half = Frame(np.ascontiguousarray(BLANK[::2, ::2]), monotonic=START + 0.2)
    assert ids(track.process(half, one)) == [2]


def test_unlike_classes_are_not_mixed_up_but_a_van_may_be_a_truck_for_a_moment() -> None:
    van = [100.0, 100.0, 300.0, 220.0]
    far = [250.0, 100.0, 450.0, 220.0]
    track = tracker()
    track.process(frame_at(0), detections([van], classes=[0]))
    assert ids(track.process(frame_at(0.2), detections([van], classes=[1]))) == [1]
    assert not len(track.process(frame_at(0.4), detections([far], classes=[0])))


def test_keypoints_and_labels_go_along() -> None:
    found = detections([person((0.5, 0.8))])
    posed = Detections(
        found.xyxy, found.confidence, found.class_id, found.labels, None, np.ones((1, 17, 3), np.float32)
    )
    out = tracker().process(frame_at(0), posed)
    assert out.labels == posed.labels
    assert out.keypoints is not None
    assert out.keypoints.shape == (1, 17, 3)


def test_it_needs_detections() -> None:
    with pytest.raises(ConfigError, match="track"):
        tracker().process(frame_at(0), Quality(False, 0.0))
    with pytest.raises(ConfigError, match="track"):
        tracker().process(frame_at(0), None)


def test_low_above_high_is_refused() -> None:
    with pytest.raises(ValidationError, match="low"):
        TrackParams(high=0.3, low=0.5)


@given(st.floats(0, 5), st.integers(1, 25))
def test_predicting_in_one_step_or_in_many_ends_in_the_same_place(seconds: float, steps: int) -> None:
    once, often = BoxFilters(), BoxFilters()
    for filters in (once, often):
        filters.start(np.array([[100.0, 100, 140, 200]]))
        filters.predict(0.2)
        filters.correct(np.array([0]), np.array([[110.0, 100, 150, 200]]), np.array([0.9], np.float32))
    once.predict(seconds)
    for _ in range(steps):
        often.predict(seconds / steps)
    assert once.boxes() == pytest.approx(often.boxes(), abs=1e-6)


def test_the_filter_learns_a_constant_speed() -> None:
    filters, box = BoxFilters(), np.array([[100.0, 100, 140, 200]])
    filters.start(box)
    for _ in range(25):
        box = box + np.array([10.0, 0, 10, 0])
        filters.predict(0.2)
        filters.correct(np.array([0]), box, np.array([0.9], np.float32))
    filters.predict(0.2)
    assert filters.boxes()[0, 0] == pytest.approx(box[0, 0] + 10, abs=2)


def test_a_perfect_pair_is_not_given_up_for_two_bad_ones() -> None:
    rows_, columns = assign(np.array([[0.1, 0.95], [0.95, 5.0]]))
    assert list(zip(rows_.tolist(), columns.tolist(), strict=True)) == [(0, 0)]


def test_times_are_regular() -> None:
    assert times(1, 5).tolist() == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
