"""Spoken digits: the grammar's recogniser, what is asked of it, and one real recording of each of some digits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aihub.algorithms.sound import sphinx
from aihub.algorithms.sound.digits import AROUND, GRAMMAR, WORDS, DigitParams, SpokenDigits, surrounded
from aihub.algorithms.sound_files import decode_sound
from aihub.testing import FakePredictor
from aihub.types import SAMPLE_RATE, Samples, Sound, SoundEvents, Word
from tests.algorithms.sound.making import talk


def listen(samples: Samples, **params: object) -> SoundEvents:
    return SpokenDigits(DigitParams.model_validate(params), FakePredictor({})).hear(Sound(samples), None)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A recogniser that counts up, and hears a word that is no digit every fourth time."""
    asked: list[int] = []

    class Counting:
        def words(self, _: Sound, samples: Samples, start: float) -> list[Word]:
            asked.append(len(samples))
            word = "uh" if len(asked) % 4 == 0 else WORDS[len(asked)]
            return [Word(word, start, start + 0.3, 0.1 * len(asked))]

    monkeypatch.setattr(sphinx, "pool", lambda _: Counting())
    return asked


BURSTS = talk(*[(0.6, False), (0.4, True)] * 5, (0.5, False))


def test_each_stretch_is_one_digit(fake: list[int]) -> None:
    found = listen(BURSTS)
    assert found.label == ("1", "2", "3", "5")
    assert found.start.tolist() == pytest.approx([0.6, 1.6, 2.6, 4.6], abs=0.2)
    assert all(length < 1.2 * SAMPLE_RATE for length in fake), "with the noise around it"


def test_what_is_unsure_is_left_out(fake: list[int]) -> None:
    assert listen(BURSTS, confidence=0.25).label == ("3", "5")


def test_what_is_long_is_no_digit(fake: list[int]) -> None:
    assert len(listen(talk((0.5, False), (2.0, True), (0.5, False)))) == 0
    assert fake == [], "nobody was asked"


def test_the_noise_around_is_faint_and_always_the_same() -> None:
    samples = talk((0.2, True))
    made = surrounded(samples)
    assert np.array_equal(made, surrounded(samples))
    assert np.abs(made[:AROUND]).max() < 1e-3
    assert np.allclose(made[AROUND : AROUND + len(samples)], samples, atol=1e-3)


@pytest.fixture
def pool() -> Iterator[sphinx.Pool]:
    pytest.importorskip("pocketsphinx", reason="the extra `speech` is not installed")
    made = sphinx.Pool(1, GRAMMAR)
    yield made
    made.close()


def test_the_grammar_knows_digits_only(pool: sphinx.Pool) -> None:
    media = os.environ.get("AIHUB_TEST_MEDIA", "")
    if not media:
        pytest.skip("needs the real media")
    for digit in (3, 7, 9):
        samples = surrounded(decode_sound((Path(media) / f"audio/digits/{digit}_jackson_7.wav").read_bytes()))
        (word,) = pool.words(Sound(samples), samples, 2.0)
        assert word.text == WORDS[digit]
        assert 2.0 <= word.start < word.end
        assert 0.1 < word.confidence < 1
        assert pool.words(Sound(samples), samples, 2.0) == [word], "nothing is remembered"
    assert pool.words(Sound(samples), samples[:0], 0.0) == []
