"""Voices: pieces, features, groups, and both cards through a tiny graph that hears how much each band moves."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from aihub.algorithms.sound.mel import F32
from aihub.algorithms.sound.voices import (
    LONGEST_S,
    SHORTEST_S,
    CountParams,
    SpeakerCount,
    SpeakerVerification,
    VerifyParams,
    features,
    grouped,
    pieces_of,
)
from aihub.engine import Engine, ModelStore
from aihub.errors import DecodeError, UnsupportedTypeError
from aihub.types import SAMPLE_RATE, Artifact, ModelCard, Samples, Sound, SoundEvents, Task
from tests.algorithms.sound.making import LoudEars, talk


def voice(low: float, high: float, seconds: float, seed: int) -> Samples:
    """Syllables of noise between two frequencies: what a tiny network can tell apart."""
    length = round(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, length))
    hertz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    sound = np.fft.irfft(spectrum * ((hertz > low) & (hertz < high)), length)
    syllables = 0.2 + np.abs(np.sin(2 * np.pi * 3 * np.arange(length) / SAMPLE_RATE))
    murmur = np.random.default_rng(seed + 1).normal(0, 0.003, length)
    return np.asarray(0.3 * sound / np.abs(sound).max() * syllables + murmur, np.float32)


def said(*lengths: float) -> SoundEvents:
    """Stretches that follow each other without a gap."""
    edges = np.cumsum((0.0, *lengths)).tolist()
    return SoundEvents.of(("speech", a, b, 0.9) for a, b in itertools.pairwise(edges))


def tiny_graph() -> bytes:
    """The layout of WeSpeaker: the mean over time of how far each band lies from its mean, held against all bands."""
    weights = (np.eye(80, 256) - np.pad(np.full((80, 80), 1 / 80), ((0, 0), (0, 176)))).astype(np.float32)
    given = helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["n", "t", 80])
    out = helper.make_tensor_value_info("embs", TensorProto.FLOAT, ["n", 256])
    nodes = [
        helper.make_node("Abs", ["feats"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["embs"]),
    ]
    graph = helper.make_graph(nodes, "tiny", [given], [out], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    body: bytes = model.SerializeToString()
    return body


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    data = tiny_graph()
    (tmp_path / "tiny.onnx").write_bytes(data)
    artifact = Artifact(
        uri=f"file:{tmp_path / 'tiny.onnx'}",
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        license="MIT",
    )
    card = ModelCard(
        name="tiny-speaker",
        task=Task.SOUND_EVENT_DETECTION,
        summary="Tiny.",
        roles=("speaker",),
        artifact=artifact,
    )
    with Engine(ModelStore([card], cache=tmp_path / "cache")) as made:
        yield made


LOW, HIGH = (200.0, 900.0), (2500.0, 6000.0)


def test_two_voices_are_two(engine: Engine) -> None:
    sound = np.concatenate([voice(*LOW, 3, 1), voice(*HIGH, 3, 2), voice(*LOW, 3, 3), voice(*HIGH, 2, 4)])
    stage = SpeakerCount(CountParams(threshold=0.9), engine)
    found = stage.hear(Sound(sound), said(3, 3, 3, 2))
    assert found.label == ("speaker-1", "speaker-2", "speaker-1", "speaker-2")
    assert found.measures == pytest.approx({"speakers": 2, "compared_s": 11})
    one = stage.hear(Sound(sound[: 3 * SAMPLE_RATE]), said(1.5, 1.5))
    assert one.measures["speakers"] == 1


def test_who_says_little_is_not_counted(engine: Engine) -> None:
    sound = np.concatenate([voice(*LOW, 3, 1), voice(*HIGH, 1.5, 2)])
    found = SpeakerCount(CountParams(threshold=0.9, min_talk=2), engine).hear(Sound(sound), said(3, 1.5))
    assert found.label == ("speaker-1",)


def test_the_voice_at_the_beginning_is_known_again(engine: Engine) -> None:
    sound = np.concatenate([voice(*LOW, 4, 1), voice(*LOW, 3, 5), voice(*HIGH, 3, 2)])
    stage = SpeakerVerification(VerifyParams(reference=4, threshold=0.9), engine)
    found = stage.hear(Sound(sound), said(4, 3, 3))
    assert found.label == ("same-voice", "other-voice")
    same = stage.hear(Sound(sound[: 7 * SAMPLE_RATE]), said(7))
    assert same.label == ("same-voice",)
    assert same.measures["likeness"] > 0.95 > found.measures["likeness"]
    assert all(0.5 <= score <= 1 for score in found.score)


def test_too_little_speech_says_nothing() -> None:
    stage = SpeakerVerification(VerifyParams(reference=4), LoudEars())
    found = stage.hear(Sound(talk((6, True))), said(4.5))
    assert (len(found), found.measures) == (0, {"reference_s": 4.0, "compared_s": 0.0})


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.1, 30), max_size=8))
def test_pieces_are_long_enough_and_not_too_long(lengths: list[float]) -> None:
    """Law: every stretch that is long enough is compared as a whole, in parts that are not too long."""
    found = said(*lengths)
    pieces = list(pieces_of(found))
    assert all(SHORTEST_S - 1e-3 <= b - a <= LONGEST_S + 1e-3 for a, b in pieces)
    kept = (found.end - found.start)[found.end - found.start >= SHORTEST_S].sum() if len(found) else 0
    assert sum(b - a for a, b in pieces) == pytest.approx(kept, abs=1e-3)


def test_the_colour_of_a_line_makes_no_difference() -> None:
    samples = voice(*LOW, 1, 1)
    assert np.allclose(features(samples), features(samples * np.float32(0.25)), atol=2e-3)
    assert features(samples[:10]).shape == (0, 80)


@pytest.mark.parametrize(
    ("rows", "groups"), [([], 0), ([[1, 0]], 1), ([[1, 0], [1, 0.01], [0, 1]], 2), ([[1, 0], [-1, 0]], 2)]
)
def test_groups(rows: list[list[float]], groups: int) -> None:
    vectors: F32 = np.array(rows, np.float32).reshape(-1, 2)
    assert len(set(grouped(vectors, 0.5).tolist())) == groups


def test_faults_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ears = LoudEars()
    monkeypatch.setattr(ears, "_speaker", lambda _: {"embs": np.zeros((1, 3, 4), np.float32)})
    with pytest.raises(DecodeError, match="vector"):
        SpeakerCount(CountParams(), ears).hear(Sound(talk((2, True))), said(2))
    with pytest.raises(UnsupportedTypeError):
        SpeakerCount(CountParams(), ears).hear(Sound(talk((2, True))), None)
