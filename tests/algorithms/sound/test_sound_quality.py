"""The measures of `benchmarks.sound_quality`: word errors and the ratio of signal to distortion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sound_quality import distance, si_sdr

WORDS = st.lists(st.sampled_from("abcd"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(WORDS, WORDS)
def test_word_errors_are_a_distance(one: list[str], other: list[str]) -> None:
    """Law: none to itself, the same both ways, between the difference of the lengths and the longer of them."""
    assert distance(one, one) == 0
    assert distance(one, other) == distance(other, one)
    assert abs(len(one) - len(other)) <= distance(one, other) <= max(len(one), len(other))


def test_word_errors() -> None:
    assert distance(["the", "small", "dog"], ["a", "small", "dog", "ran"]) == 2


@pytest.mark.parametrize("snr", [0.0, 10.0, 20.0])
def test_the_ratio_is_that_of_the_mixture_at_any_loudness(snr: float) -> None:
    rng = np.random.default_rng(3)
    clean, under = rng.normal(0, 0.1, (2, 50_000)).astype(np.float32)
    mixed = clean + under * np.float32(10 ** (-snr / 20))
    assert si_sdr(clean, mixed) == pytest.approx(snr, abs=0.15)
    assert si_sdr(clean, mixed * np.float32(0.1)) == pytest.approx(si_sdr(clean, mixed), abs=0.01)
