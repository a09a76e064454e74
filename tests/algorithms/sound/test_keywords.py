"""Spotting words: the stage on a network that hears loudness, and the bundled network, which needs no other weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.hearing import hear
from aihub.algorithms.registry import Registry
from aihub.algorithms.sound.keywords import (
    BATCH,
    STEP,
    TOGETHER,
    WINDOW,
    SpotKeywords,
    SpotParams,
    batches,
    smoothed,
)
from aihub.algorithms.sound_files import decode_sound
from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.errors import DecodeError
from aihub.plugins import data_folder
from aihub.types import SAMPLE_RATE, Sound, SoundEvents, Tensor
from tests.algorithms.sound.making import LoudEars, talk


def spot(ears: LoudEars, samples: np.ndarray, **params: object) -> SoundEvents:
    stage = SpotKeywords(SpotParams.model_validate(params), ears)
    return stage.hear(Sound(samples), None)


def test_a_word_is_told_once_where_it_is() -> None:
    found = spot(LoudEars(), talk((1.5, False), (0.5, True), (2.0, False)))
    assert found.label == ("yes",)
    assert found.start[0] == pytest.approx(1.5, abs=0.4)
    assert found.end[0] == pytest.approx(2.0, abs=0.4)


def test_what_shows_in_one_window_only_is_no_word() -> None:
    class Once(LoudEars):
        def _kws(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            scores = np.zeros((len(inputs["samples"]), 4), np.float32)
            scores[len(scores) // 2, 1] = 1.0
            return {"shares": scores}

    assert len(spot(Once(), talk((2.0, True)))) == 0
    assert len(spot(Once(), talk((2.0, True)), confidence=1 / TOGETHER - 0.01)) == 1


def test_silence_and_what_it_does_not_know_are_no_words() -> None:
    class Sure(LoudEars):
        def _kws(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            scores = np.zeros((len(inputs["samples"]), 4), np.float32)
            scores[:, 2:] = 1.0
            return {"shares": scores}

    assert len(spot(Sure(), talk((2.0, True)))) == 0


def test_the_network_is_not_asked_about_silence() -> None:
    ears = LoudEars()
    assert len(spot(ears, talk((3.0, False)))) == 0
    assert ears.asked == []


def test_only_wanted_words_are_told() -> None:
    assert len(spot(LoudEars(), talk((2.0, True)), words=["no"])) == 0
    assert spot(LoudEars(), talk((2.0, True)), words=["yes"]).label == ("yes",)


def test_a_network_that_does_not_name_its_labels_is_refused() -> None:
    class Nameless(LoudEars):
        def metadata(self, model: str) -> Mapping[str, str]:
            return {}

    with pytest.raises(DecodeError, match="labels"):
        spot(Nameless(), talk((1.0, True)))


def test_scores_of_another_shape_are_refused() -> None:
    class Short(LoudEars):
        def run(self, model: str, inputs: Mapping[str, Tensor], **more: object) -> Future[dict[str, Tensor]]:
            future: Future[dict[str, Tensor]] = Future()
            future.set_result({"shares": np.zeros((1, 4), np.float32)})
            return future

    with pytest.raises(DecodeError, match="shape"):
        spot(Short(), talk((2.0, True)))


@settings(deadline=None)
@given(length=st.integers(1, 12 * SAMPLE_RATE))
def test_windows_cover_the_whole_recording(length: int) -> None:
    ramp = np.arange(1, length + 1, dtype=np.float32)
    parts = list(batches(ramp))
    assert all(0 < len(part) <= BATCH and part.shape[1] == WINDOW for part in parts)
    windows = np.concatenate(parts)
    assert windows.max() == length
    line = np.concatenate([windows[0], *(window[-STEP:] for window in windows[1:])])
    np.testing.assert_array_equal(line[line > 0], ramp)
    assert list(batches(ramp[:0])) == []


def test_the_mean_of_neighbours() -> None:
    scores = np.array([[0.0], [0.9], [0.0], [0.0]], np.float32)
    np.testing.assert_allclose(smoothed(scores)[:, 0], [0.3, 0.3, 0.3, 0.0], atol=1e-6)


# --- the network that comes with the hub


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Without a mirror: what is bundled is all there is."""
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path_factory.mktemp("cache"))
    with Engine(store, threads=1) as made:
        yield made


def test_it_is_ready_without_other_weights(engine: Engine) -> None:
    algorithm = Registry(engine).get("keyword-spotting")
    assert algorithm.readiness()[0] == "ready"
    assert algorithm.card.version == 2


def test_the_file_and_the_card_name_the_same_labels(engine: Engine) -> None:
    (card,) = [card for card in engine.store.cards() if card.name == "keywords"]
    assert engine.metadata("kws")["labels"].split(",") == list(card.labels)
    assert engine.metadata("kws")["license"] == "Apache-2.0"
    assert len(card.labels) == 32


def test_shares_sum_to_one_and_loudness_does_not_count(engine: Engine) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, (5, WINDOW)).astype(np.float32)
    (loud,) = engine.run("kws", {"samples": noise}).result(60).values()
    (faint,) = engine.run("kws", {"samples": noise * np.float32(0.05)}).result(60).values()
    shares = np.asarray(loud, np.float32)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(np.asarray(faint, np.float32), shares, atol=0.02)


def test_noise_and_tones_hold_no_words(engine: Engine) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, 5 * SAMPLE_RATE).clip(-1, 1).astype(np.float32)
    algorithm = Registry(engine).get("keyword-spotting")
    for samples in (noise, talk((5.0, True)), talk((1.0, False), (1.0, True), (1.0, False))):
        found = hear(algorithm, Sound(samples), {}, engine)
        assert isinstance(found, SoundEvents)
        assert len(found) == 0


@pytest.mark.media
def test_a_word_is_heard_and_only_it(engine: Engine, media: Path) -> None:
    assert heard_in(engine, media, "yes") == {"yes"}
    assert heard_in(engine, media, "no") <= {"no"}, (
        "it is not sure of this one; another word it must not report"
    )


def heard_in(engine: Engine, media: Path, word: str) -> set[str]:
    samples = decode_sound((media / "audio/keywords" / f"{word}_1000ms.wav").read_bytes())
    found = hear(Registry(engine).get("keyword-spotting"), Sound(samples), {}, engine)
    assert isinstance(found, SoundEvents)
    return set(found.label)
