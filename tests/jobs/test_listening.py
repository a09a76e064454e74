"""Recordings in jobs: pieces that follow each other without a gap, and the same lines however often they are interrupted."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, shifted
from aihub.algorithms.registry import Registry
from aihub.errors import SoundDecodeError, TooLargeError
from aihub.jobs.lines import read_lines
from aihub.jobs.listening import PIECE_S, pieces_of
from aihub.jobs.work import JobRun
from aihub.jobs.workplace import Desk, Workplace
from aihub.testing import FakePredictor
from aihub.types import SAMPLE_RATE, Segment, Sound, SoundEvents, StreamTask, Transcript, Word, uuid7
from aihub.types.jobs import JobKind, JobProgress, JobSpec
from tests.jobs.films import workplace

CARD = """
id: test-loudness
title: {en: Loud, zh: 响}
summary: Seconds that are loud.
domain: other
input: [audio]
stages: [{test-loudness: {}}]
examples: [{media: "drawn:thing", expect: {}, evidence: synthetic}]
intended_use: tests
limits: none
"""


class LoudnessParams(StageParams):
    limit: float = 0.1


class Loudness(SoundStage[LoudnessParams]):
    """Whole seconds of the sound that are loud."""

    name = "test-loudness"

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:
        rows = []
        for second in range(int(sound.duration)):
            part = sound.cut(second, second + 1).samples
            if float(np.abs(part).max()) > self.params.limit:
                rows.append(("loud", float(second), second + 1.0, 1.0))
        return SoundEvents.of(rows)


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_pieces_cover_all_without_a_gap(seconds: int, seed: int) -> None:
    """Law: every sample is in exactly one piece, and none is longer than it may be."""
    samples = np.random.default_rng(seed).normal(0, 0.1, seconds * 1000).astype(np.float32)
    pieces = pieces_of(samples, 1000)
    assert [first for first, _ in pieces] == [0, *(last for _, last in pieces[:-1])]
    assert pieces[-1][1] == len(samples)
    assert all(0 <= last - first <= PIECE_S * 1000 for first, last in pieces)


def test_cuts_are_made_where_it_is_quiet() -> None:
    samples = np.full(100 * SAMPLE_RATE, 0.5, np.float32)
    samples[55 * SAMPLE_RATE : 56 * SAMPLE_RATE] = 0
    (_, cut), _ = pieces_of(samples)
    assert 55 * SAMPLE_RATE <= cut <= 56 * SAMPLE_RATE


def test_times_are_those_of_the_recording() -> None:
    events = shifted(SoundEvents.of([("a", 1.0, 2.0, 0.5)]), 60.0)
    assert events.to_json()["events"] == [{"label": "a", "start": 61.0, "end": 62.0, "score": 0.5}]
    said = Transcript((Segment("hi", 1.0, 2.0, 0.9, (Word("hi", 1.0, 2.0, 0.9),)),), "en", 10.0)
    moved = shifted(said, 60.0).to_json()
    assert (moved["segments"][0]["start"], moved["segments"][0]["words"][0]["end"]) == (61.0, 62.0)


def recording(path: Path, seconds: int) -> bytes:
    """Every tenth second is loud."""
    samples = np.zeros(seconds * 8000, np.int16)
    for second in range(0, seconds, 10):
        samples[second * 8000 + 2000 : second * 8000 + 6000] = 9000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    return path.read_bytes()


def job(tmp_path: Path, data: bytes, **changes: Any) -> tuple[Workplace, JobSpec]:
    cards = tmp_path / "cards"
    cards.mkdir()
    (cards / "test-loudness.yaml").write_text(CARD, encoding="utf-8")
    eyes = FakePredictor({})
    place = workplace(tmp_path, eyes, registry=Registry(eyes, [cards]), **changes)
    spec = JobSpec(
        id=uuid7(),
        kind=JobKind.AUDIO,
        name="a.wav",
        tasks=(StreamTask(id="loud", algorithm="test-loudness"),),
    )
    folder = place.folders.of(spec.id)
    folder.make()
    folder.input.write_bytes(data)
    return place, spec


class _KillError(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("stops", [[], [1], [60, 120]])
def test_a_recording_gives_a_line_for_every_piece(tmp_path: Path, stops: list[int]) -> None:
    pytest.importorskip("soundfile", reason="decoding sound needs the extra `speech`")
    booked: dict[str, int] = {}

    def book(tenant: str, algorithm: str, *, frames: int, compute_s: float) -> None:
        booked[algorithm] = booked.get(algorithm, 0) + frames

    place, spec = job(tmp_path, recording(tmp_path / "a.wav", 150), book=book)
    for stop in stops:

        def report(progress: JobProgress, stop: int = stop) -> None:
            if progress.frames_done >= stop:
                raise _KillError

        with pytest.raises(_KillError):
            JobRun(spec, place, Desk(report)).run()
    run = JobRun(spec, place, Desk())
    run.run()
    lines = [line for line in read_lines(place.folders.of(spec.id).lines) if "result" in line]
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert len(lines) == 3
    assert sum(line["duration"] for line in lines) == pytest.approx(150, abs=0.01)
    heard = {round(event["start"] / 10) for line in lines for event in line["result"]["events"]}
    assert heard == set(range(15))
    assert run.progress.frames_done == run.progress.frames_total
    if not stops:
        assert 150 <= booked["test-loudness"] <= 153


@pytest.mark.parametrize(
    ("data", "changes", "error"),
    [
        (b"RIFF\x24\0\0\0WAVEfmt broken", {}, SoundDecodeError),
        (None, {"max_sound_s": 5.0}, TooLargeError),
    ],
)
def test_recordings_that_cannot_be_heard_say_so(
    tmp_path: Path, data: bytes | None, changes: dict[str, Any], error: type[Exception]
) -> None:
    pytest.importorskip("soundfile", reason="decoding sound needs the extra `speech`")
    place, spec = job(tmp_path, data or recording(tmp_path / "a.wav", 10), **changes)
    with pytest.raises(error):
        JobRun(spec, place, Desk()).run()
