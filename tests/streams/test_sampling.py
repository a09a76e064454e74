"""Laws of the sampler, the motion gate, the guard and the slot."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.algorithms.grey import small_grey
from aihub.streams.sampling import MotionGate, RateGuard, RateSampler
from aihub.streams.slot import Slot
from aihub.types import Frame, Image

FPS = st.floats(0.1, 60)
GAPS = st.lists(st.floats(0, 0.5), min_size=1, max_size=300)


def times(gaps: list[float]) -> list[float]:
    return [1000.0 + float(at) for at in np.cumsum(gaps)]


@given(fps=FPS, gaps=GAPS)
def test_never_more_than_the_rate(fps: float, gaps: list[float]) -> None:
    sampler = RateSampler(fps)
    taken = [at for at in times(gaps) if sampler.wants(at)]
    for first in range(0, len(taken), 7):
        for last in range(first, len(taken)):
            assert last - first + 1 < (taken[last] - taken[first]) * fps + 3 + 1e-6


@given(fps=FPS, seconds=st.floats(5, 100), phase=st.floats(0, 1))
def test_exact_over_the_long_run(fps: float, seconds: float, phase: float) -> None:
    """A source at least as fast as the rate, 61 frames a second here, gives the rate without drift."""
    sampler = RateSampler(fps)
    taken = sum(sampler.wants(phase + number / 61) for number in range(round(seconds * 61)))
    assert abs(taken - seconds * fps) <= 2


@given(jitter=st.lists(st.floats(-0.012, 0.012), min_size=100, max_size=200))
def test_jitter_at_the_very_rate_loses_nothing(jitter: list[float]) -> None:
    sampler = RateSampler(25)
    taken = sum(sampler.wants(10 + number / 25 + wobble) for number, wobble in enumerate(jitter))
    assert taken >= len(jitter) - 2


@given(gaps=GAPS)
def test_a_slow_source_loses_nothing(gaps: list[float]) -> None:
    sampler = RateSampler(10)
    assert all(sampler.wants(at) for at in times([0.1001 + gap for gap in gaps]))


def test_no_burst_after_a_gap() -> None:
    sampler = RateSampler(5)
    sampler.wants(0.0)
    taken = [at for at in np.arange(100.0, 101.0, 0.01) if sampler.wants(float(at))]
    assert len(taken) <= 7, "five and two that are owed"


def test_rate_guard_lets_a_burst_through_and_slows_a_flood() -> None:
    guard, now, read = RateGuard(100, burst_s=2), 0.0, 0
    assert all(guard.pause_s(now) == 0 for _ in range(200)), "two seconds' worth at once"
    while now < 10:
        now += guard.pause_s(now) + 1e-6
        read += 1
    assert read == pytest.approx(1000, rel=0.02)


@given(gaps=GAPS)
def test_rate_guard_leaves_cameras_alone(gaps: list[float]) -> None:
    guard = RateGuard(100)
    assert all(guard.pause_s(at) == 0 for at in times([gap + 0.01 for gap in gaps]))


def picture(width: int = 640, height: int = 360, level: int = 100) -> Image:
    return np.full((height, width, 3), level, np.uint8)


def frame(image: Image, at: float) -> Frame:
    return Frame(image, "gate", round(at * 100), at, at)


def noisy(rng: np.random.Generator) -> Image:
    return (
        (picture(320, 180).astype(np.int16) + rng.normal(0, 4, (180, 320, 3))).clip(0, 255).astype(np.uint8)
    )


def test_nothing_moves_one_look_a_second() -> None:
    gate, rng = MotionGate(), np.random.default_rng(1)
    passed = [number for number in range(100) if gate.passes(frame(noisy(rng), number / 10))]
    gaps = np.diff(passed)
    assert len(passed) in range(10, 13), "sensor noise is no motion"
    assert gaps.max() <= 10, "at least one a second"


@given(fps=st.floats(1, 25))
def test_at_least_one_look_a_second(fps: float) -> None:
    gate, image = MotionGate(), picture(160, 90)
    passed = [at for at in np.arange(0, 10, 1 / fps) if gate.passes(frame(image, float(at)))]
    assert np.diff(passed).max(initial=0) <= 1.002


@pytest.mark.parametrize(
    ("side", "why"),
    [(24, "a person far away, 0.25% of the picture"), (120, "a car")],
)
def test_what_moves_passes_at_once(side: int, why: str) -> None:
    gate = MotionGate()
    for number in range(20):
        gate.passes(frame(picture(), number / 10))
    moved = picture()
    moved[100 : 100 + side, 200 : 200 + side] = 220
    assert gate.passes(frame(moved, 2.0)), why


def test_what_was_parked_becomes_background() -> None:
    gate, parked = MotionGate(), picture()
    gate.passes(frame(picture(), 0.0))
    parked[100:220, 200:320] = 220
    passed = [gate.passes(frame(parked, number / 10)) for number in range(1, 200)]
    assert all(passed[:10])
    assert sum(passed[-50:]) <= 6


def test_a_change_of_resolution_is_motion_not_an_error() -> None:
    gate = MotionGate()
    gate.passes(frame(picture(), 0.0))
    assert gate.passes(frame(picture(640, 480), 0.1))


def test_the_gate_shares_the_small_grey_picture_with_the_algorithms() -> None:
    seen = frame(picture(), 0.0)
    MotionGate().passes(seen)
    made = seen.memo.get(("grey", 320), lambda: None)
    assert made is small_grey(seen)


def test_slot_keeps_the_newest_and_counts_the_rest() -> None:
    dropped = {"replaced": 0}
    slot = Slot(dropped)
    frames = [frame(picture(8, 8), float(number)) for number in range(3)]
    assert slot.take() is None
    for one in frames:
        slot.put(one)
    assert (slot.take(), slot.take(), slot.latest) == (frames[2], None, frames[2])
    assert dropped == {"replaced": 2}
    slot.clear()
    assert slot.latest is None
    assert dropped == {"replaced": 2}


def test_slot_loses_no_count_between_threads() -> None:
    dropped = {"replaced": 0}
    slot, taken, rounds = Slot(dropped), 0, 3000

    def fill() -> None:
        for number in range(rounds):
            slot.put(frame(picture(2, 2), float(number)))

    writer = threading.Thread(target=fill)
    writer.start()
    last = -1.0
    while writer.is_alive() or slot.waiting:
        found = slot.take()
        if found is not None:
            assert found.monotonic > last
            last = found.monotonic
            taken += 1
    writer.join()
    assert taken + dropped["replaced"] == rounds
