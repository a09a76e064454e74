"""Paraformer: spelling, tokens beside the graph, and a tiny graph of its layout from the card to the text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from aihub.algorithms.hearing import hear
from aihub.algorithms.registry import Registry
from aihub.algorithms.sound import sphinx
from aihub.algorithms.sound.paraformer import ParaformerRecogniser, spell
from aihub.algorithms.sound.vocabulary import read_tokens
from aihub.engine import Engine, ModelStore
from aihub.errors import ArtifactError, DecodeError, ParamsError, WeightsMissingError
from aihub.types import Artifact, ModelCard, Sound, Task, Transcript
from tests.algorithms.sound.making import METADATA, LoudEars, talk

SIGNS = ("<blank>", "<s>", "</s>", "你", "好", "he@@", "llo")
TEXT = "".join(f"{sign} {at}\n" for at, sign in enumerate(SIGNS))
TOLD = {key: METADATA[key] for key in ("lfr_window_size", "lfr_window_shift", "neg_mean", "inv_stddev")} | {
    "model_type": "paraformer"
}
TWO = talk((0.5, False), (1.0, True), (1.0, False), (1.0, True), (0.5, False))


def tiny_graph(said: tuple[int, ...]) -> bytes:
    """The layout of Paraformer; it always says the same."""
    logits = np.full((1, len(said) + 2, len(SIGNS)), -9, np.float32)
    logits[0, np.arange(len(said)), said] = 9
    inputs = [
        helper.make_tensor_value_info("speech", TensorProto.FLOAT, [1, "t", 560]),
        helper.make_tensor_value_info("speech_lengths", TensorProto.INT32, [1]),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, "n", len(SIGNS)]),
        helper.make_tensor_value_info("token_num", TensorProto.INT32, [1]),
    ]
    nodes = [
        helper.make_node("ReduceSum", ["speech"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "none"], ["nothing"]),
        helper.make_node("Add", ["fixed", "nothing"], ["logits"]),
        helper.make_node("Sub", ["speech_lengths", "speech_lengths"], ["zero"]),
        helper.make_node("Add", ["zero", "count"], ["token_num"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(0, np.float32), "none"),
        numpy_helper.from_array(logits, "fixed"),
        numpy_helper.from_array(np.array([len(said)], np.int32), "count"),
    ]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, TOLD)
    body: bytes = model.SerializeToString()
    return body


def card(folder: Path, name: str, data: bytes, role: str) -> ModelCard:
    (folder / name).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    artifact = Artifact(uri=f"file:{folder / name}", sha256=digest, bytes=len(data), license="MIT")
    return ModelCard(
        name=name.replace(".", "-"),
        task=Task.SPEECH_RECOGNITION,
        summary="Tiny.",
        roles=(role,),
        artifact=artifact,
    )


def test_from_the_card_to_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sphinx, "installed", lambda: True)
    cards = [
        card(tmp_path, "tiny.onnx", tiny_graph((3, 4, 5, 6, 2)), "asr"),
        card(tmp_path, "tokens.txt", TEXT.encode(), "asr-tokens"),
    ]
    with Engine(ModelStore(cards, cache=tmp_path / "cache")) as engine:
        found = hear(Registry(engine).get("speech-to-text"), Sound(TWO), {"language": "zh"}, engine)
    assert isinstance(found, Transcript)
    assert found.language == "zh"
    assert {segment.text for segment in found.segments} == {"你好 hello"}
    for segment in found.segments:
        starts = [word.start for word in segment.words]
        assert segment.start <= starts[0] <= starts[-1] < segment.words[-1].end <= segment.end + 1e-6
        assert [word.text for word in segment.words] == ["你", "好", "hello"]


def test_without_its_tokens_it_says_what_to_bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sphinx, "installed", lambda: True)
    cards = [card(tmp_path, "tiny.onnx", tiny_graph((3,)), "asr")]
    with (
        Engine(ModelStore(cards, cache=tmp_path / "cache")) as engine,
        pytest.raises(WeightsMissingError) as missing,
    ):
        hear(Registry(engine).get("speech-to-text"), Sound(TWO), {}, engine)
    assert "asr-tokens" in str(missing.value.hint)


@pytest.mark.parametrize(
    "data", [b"<!DOCTYPE html><p>no", b"version https://git-lfs.github.com/spec/v1\n", b"\xff\xfe", b" "]
)
def test_what_is_no_text_is_not_taken_for_one(tmp_path: Path, data: bytes) -> None:
    cards = [card(tmp_path, "tokens.txt", data, "asr-tokens")]
    with Engine(ModelStore(cards, cache=tmp_path / "cache")) as engine, pytest.raises(ArtifactError):
        engine.metadata("asr-tokens")


@pytest.mark.parametrize(
    ("rows", "words", "reason"),
    [
        ([], [], "nothing"),
        ([1, 2], [], "what is said about the speech"),
        ([3, 4], ["你", "好"], "signs are words"),
        ([5, 6, 3], ["hello", "你"], "pieces of a word"),
        ([5], ["he"], "a word that is cut off"),
        ([6, 6], ["llo", "llo"], "repeats are said twice: this is no CTC"),
    ],
)
def test_spelling(rows: list[int], words: list[str], reason: str) -> None:
    logits = np.full((len(rows), len(SIGNS)), -5, np.float32)
    logits[np.arange(len(rows)), rows] = 5
    made = spell(logits, SIGNS, 1.0, 3.0)
    assert [word.text for word in made] == words, reason
    assert all(1 <= word.start < word.end <= 3 and 0.9 < word.confidence <= 1 for word in made)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a\nb\n", ("a", "b")),
        ("a 1\nb 0\n", ("b", "a")),
        ("▁the 0\n▁a 1", ("▁the", "▁a")),
        ("x y\nz\n", ("x y", "z")),
    ],
)
def test_token_files(text: str, tokens: tuple[str, ...]) -> None:
    assert read_tokens(text) == tokens


def test_gaps_in_the_numbers_are_a_fault() -> None:
    with pytest.raises(DecodeError, match="gap"):
        read_tokens("a 0\nb 2\n")


class _Ears(LoudEars):
    told: Mapping[str, str] = TOLD | {"tokens": "\n".join(SIGNS)}

    def metadata(self, model: str) -> Mapping[str, str]:
        return self.told

    def _asr(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"logits": np.zeros((1, 2, 3), np.float32)}


def test_faults_are_told() -> None:
    ears = _Ears()
    with pytest.raises(ParamsError):
        ParaformerRecogniser(ears, "asr", "fr")
    with pytest.raises(DecodeError, match="7 tokens"):
        ParaformerRecogniser(ears, "asr", "auto").words(Sound(TWO), TWO, 0.0)
    ears.told = {"model_type": "paraformer"}
    with pytest.raises(DecodeError, match="lfr_window_size"):
        ParaformerRecogniser(ears, "asr", "auto")
