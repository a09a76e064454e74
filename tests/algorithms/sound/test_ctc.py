"""The way of networks for speech: their feeding, their spelling, and a tiny graph with random weights through the engine.

The graph knows no language: it shows shapes and speed only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from aihub.algorithms.hearing import hear
from aihub.algorithms.registry import Registry
from aihub.algorithms.sound import sphinx
from aihub.algorithms.sound.ctc import BLANK_SIGN, CtcRecogniser, spell, stacked
from aihub.engine import Engine, ModelStore
from aihub.errors import DecodeError
from aihub.types import Artifact, ModelCard, Sound, Task, Transcript
from tests.algorithms.sound.making import METADATA, TOKENS, LoudEars, talk

TWO = talk((0.5, False), (1.0, True), (1.0, False), (1.0, True), (0.5, False))


def tiny_graph() -> bytes:
    """The inputs and outputs of SenseVoice with one random layer between."""
    weights = np.random.default_rng(0).normal(size=(560, len(TOKENS))).astype(np.float32)
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "t", 560])]
    inputs += [
        helper.make_tensor_value_info(name, TensorProto.INT32, [1])
        for name in ("x_length", "language", "text_norm")
    ]
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, "t", len(TOKENS)])
    node = helper.make_node("MatMul", ["x", "w"], ["logits"])
    graph = helper.make_graph([node], "tiny", inputs, [out], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, METADATA)
    body: bytes = model.SerializeToString()
    return body


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    data = tiny_graph()
    (tmp_path / "tiny.onnx").write_bytes(data)
    card = ModelCard(
        name="tiny-asr",
        task=Task.SPEECH_RECOGNITION,
        summary="Random weights.",
        roles=("asr",),
        artifact=Artifact(
            uri=f"file:{tmp_path / 'tiny.onnx'}",
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            license="Apache-2.0",
        ),
    )
    with Engine(ModelStore([card], cache=tmp_path / "cache")) as made:
        yield made


def test_a_network_whose_weights_are_here_is_taken(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> sphinx.Pool:
        raise AssertionError("PocketSphinx was asked")

    monkeypatch.setattr(sphinx, "pool", refuse)
    monkeypatch.setattr(sphinx, "installed", lambda: True)
    found = hear(Registry(engine).get("speech-to-text"), Sound(TWO), {"language": "en"}, engine)
    assert isinstance(found, Transcript)
    assert found.language == "en"
    for segment in found.segments:
        for word in segment.words:
            assert segment.start - 0.1 <= word.start <= word.end <= segment.end + 0.1


def test_low_frame_rate_puts_frames_side_by_side() -> None:
    ramp = np.repeat(np.arange(14, dtype=np.float32)[:, None], 2, axis=1)
    rows = stacked(ramp, 7, 6)
    assert rows.shape == (3, 14)
    assert rows[0, ::2].tolist() == [0, 0, 0, 0, 1, 2, 3], "the first frame fills up the beginning"
    assert rows[2, ::2].tolist() == [9, 10, 11, 12, 13, 13, 13]
    assert stacked(ramp[:0], 7, 6).shape == (0, 14)


@pytest.mark.parametrize(
    ("rows", "words", "reason"),
    [
        ([0, 0, 0], [], "blanks only"),
        ([1, 1], [], "what is said about the speech"),
        ([2, 2, 2], ["hello"], "repeats are one"),
        ([2, 0, 2], ["hello", "hello"], "unless a blank stands between"),
        ([3, 4], ["world"], "pieces of a word"),
        ([2, 3, 4], ["hello", "world"], "two words"),
    ],
)
def test_spelling(rows: list[int], words: list[str], reason: str) -> None:
    logits = np.full((len(rows), len(TOKENS)), -5, np.float32)
    logits[np.arange(len(rows)), rows] = 5
    made = spell(logits, TOKENS, 1.0, 0.06, end=9.0)
    assert [word.text for word in made] == words, reason
    assert all(1.0 <= word.start < word.end and 0.9 < word.confidence <= 1 for word in made)


def test_chinese_signs_are_words_of_their_own() -> None:
    logits = np.eye(3, dtype=np.float32)[[1, 2]] * 9
    made = spell(logits, ("<blank>", "你", f"{BLANK_SIGN}好"), 0.0, 0.06, end=1.0)
    assert [word.text for word in made] == ["你", "好"]


@pytest.mark.parametrize("missing", ["tokens", "neg_mean", "lfr_window_size"])
def test_metadata_that_lacks_something_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ears = LoudEars()
    left = {key: text for key, text in METADATA.items() if key != missing}
    monkeypatch.setattr(ears, "metadata", lambda model: left)
    with pytest.raises(DecodeError, match=missing):
        CtcRecogniser(ears, "asr", "en")
