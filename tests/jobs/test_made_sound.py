"""Made sound in jobs: every piece of a long recording comes back, and together they are as long as it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage
from aihub.algorithms.registry import Registry
from aihub.jobs.lines import read_lines
from aihub.jobs.work import JobRun
from aihub.jobs.workplace import Desk
from aihub.testing import FakePredictor
from aihub.types import SAMPLE_RATE, Recording, Sound, StreamTask, Task, result_from_json, uuid7
from aihub.types.jobs import JobKind, JobSpec
from tests.jobs.films import workplace
from tests.jobs.test_listening import recording

CARD = """
id: test-half
title: {en: Half, zh: 半}
summary: Half as loud.
domain: other
input: [audio]
stages: [{test-half: {}}]
examples: [{media: "drawn:thing", expect: {}, evidence: synthetic}]
intended_use: tests
limits: none
"""


class HalfParams(StageParams):
    share: float = 0.5


class Half(SoundStage[HalfParams]):
    """Half as loud."""

    name = "test-half"
    gives = Task.SOUND

    def hear(self, sound: Sound, found: HeardResult | None) -> Recording:
        return Recording(sound.samples * self.params.share, {"share": self.params.share})


def test_pieces_of_made_sound_are_as_long_as_the_recording(tmp_path: Path) -> None:
    pytest.importorskip("soundfile", reason="decoding sound needs the extra `speech`")
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "test-half.yaml").write_text(CARD, encoding="utf-8")
    eyes = FakePredictor({})
    place = workplace(tmp_path, eyes, registry=Registry(eyes, [tmp_path / "cards"]))
    tasks = (StreamTask(id="half", algorithm="test-half"),)
    spec = JobSpec(id=uuid7(), kind=JobKind.AUDIO, name="a.wav", tasks=tasks)
    folder = place.folders.of(spec.id)
    folder.make()
    folder.input.write_bytes(recording(tmp_path / "a.wav", 130))
    JobRun(spec, place, Desk()).run()
    lines = [line for line in read_lines(folder.lines) if "result" in line]
    made = [result_from_json(line["result"]) for line in lines]
    assert len(made) == 3
    lengths = []
    for line, one in zip(lines, made, strict=True):
        assert isinstance(one, Recording)
        assert one.measures == {"share": 0.5}
        assert len(one.samples) / SAMPLE_RATE == pytest.approx(line["duration"], abs=1e-3)
        assert len(json.dumps(line)) < 4 << 20, "a line stays readable"
        lengths.append(len(one.samples))
    assert sum(lengths) == pytest.approx(130 * SAMPLE_RATE, abs=10)
