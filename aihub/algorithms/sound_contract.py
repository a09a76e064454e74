"""The promises that every algorithm for sound makes, tried on recordings of every awkward kind with the real models."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.contract import CONFIDENCES, ContractError, check_wire
from aihub.algorithms.hearing import HeardResult, hear
from aihub.types import (
    SAMPLE_RATE,
    AnyResult,
    Predictor,
    Recording,
    Samples,
    Segment,
    Sound,
    SoundEvents,
    Transcript,
    Word,
)

LATE = 0.05
"""Seconds by which a time may lie beyond the end: rounding, and the length of one step."""


def recordings() -> Iterator[tuple[str, Samples]]:
    """Sound of every awkward kind: nothing, one sample, silence, noise, full loudness, odd lengths."""
    rng = np.random.default_rng(7)
    noise = rng.normal(0, 0.2, 3 * SAMPLE_RATE + 17).clip(-1, 1).astype(np.float32)
    moments = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    yield "empty", np.zeros(0, np.float32)
    yield "one sample", np.full(1, 0.5, np.float32)
    yield "a tenth of a second", noise[: SAMPLE_RATE // 10]
    yield "silent", np.zeros(SAMPLE_RATE, np.float32)
    yield "noisy", noise
    yield "as loud as can be", np.sign(np.sin(2 * np.pi * 440 * moments)).astype(np.float32)


def check_sounds(algorithm: Algorithm, predictor: Predictor) -> None:
    """Every recording gives a sound result that survives the wire, twice the same; recordings are not written to.

    Raises:
        ContractError: what is not so, and on which recording.
        AihubError: a stage failed.
    """
    for name, samples in recordings():
        before = samples.copy()
        first, second = (hear(algorithm, Sound(samples), {}, predictor) for _ in range(2))
        if not np.array_equal(before, samples):
            raise ContractError(f"the {name} recording was written to")
        if problem := unsound_heard(first, len(samples) / SAMPLE_RATE):
            raise ContractError(f"on the {name} recording: {problem}")
        if first.to_json() != second.to_json():
            raise ContractError(f"the {name} recording gives something else the second time")
        check_wire(first)


def check_sound_confidence(algorithm: Algorithm, predictor: Predictor) -> None:
    """Asking for more confidence never makes things heard for longer.

    Raises:
        ContractError: it did.
    """
    for name, samples in recordings():
        lengths = [
            _heard_for(hear(algorithm, Sound(samples), {"confidence": step}, predictor))
            for step in CONFIDENCES
        ]
        if any(more > less + 1e-3 for less, more in itertools.pairwise(lengths)):
            raise ContractError(f"on the {name} recording confidence {CONFIDENCES} hears {lengths} s")


def _heard_for(result: HeardResult) -> float:
    if isinstance(result, Recording):
        return 0.0
    if isinstance(result, SoundEvents):
        return float((result.end - result.start).sum())
    return sum(segment.end - segment.start for segment in result.segments)


def unsound_heard(result: AnyResult, duration: float) -> str:
    """What is wrong with a result for a recording of that length, seconds; empty when nothing is."""
    if isinstance(result, Recording | SoundEvents) and not np.isfinite([*result.measures.values()]).all():
        return "a measure that is no number"
    if isinstance(result, Recording):
        fine = np.isfinite(result.samples).all() and abs(len(result.samples) / SAMPLE_RATE - duration) <= LATE
        return "" if fine else "sound of another length, or with samples that are no numbers"
    if isinstance(result, SoundEvents):
        rows = list(zip(result.start.tolist(), result.end.tolist(), result.score.tolist(), strict=True))
        return _wrong_times(rows, duration)
    if not isinstance(result, Transcript):
        return f"a stage gave {type(result).__name__}, which is nothing that is heard"
    segments = _wrong_times([_row(segment) for segment in result.segments], duration)
    words = [_row(word) for segment in result.segments for word in segment.words]
    return segments or _wrong_times(words, duration)


def _row(said: Segment | Word) -> tuple[float, float, float]:
    return said.start, said.end, said.confidence


def _wrong_times(rows: list[tuple[float, float, float]], duration: float) -> str:
    if any(not 0 <= start <= end <= duration + LATE for start, end, _ in rows):
        return "a time outside the recording, or an end before its start"
    if any(not 0 <= score <= 1 for _, _, score in rows):
        return "a score outside 0 to 1"
    if [start for start, _, _ in rows] != sorted(start for start, _, _ in rows):
        return "times that are not in order"
    return ""
