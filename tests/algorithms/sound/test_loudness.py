"""Levels: the curves of the standard, meters on tones of known level, and the stretches that are too loud."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.sound.loudness import Loudness, LoudnessParams
from aihub.algorithms.sound.weighting import Curve, decibels, energies, gains, levels
from aihub.scenes.tones import noise, silence, tone, whole
from aihub.testing import FakePredictor
from aihub.types import SAMPLE_RATE, Samples, Sound, SoundEvents

IEC = [
    (31.5, -39.4, -3.0), (63, -26.2, -0.8), (125, -16.1, -0.2), (250, -8.6, 0.0), (500, -3.2, 0.0),
    (1000, 0.0, 0.0), (2000, 1.2, -0.2), (4000, 1.0, -0.8),
]  # fmt: skip
"""Hz, dB of curve A, dB of curve C: IEC 61672-1, table 3, where 31.5 stands for 31.62."""


def meter(samples: Samples, **params: object) -> SoundEvents:
    return Loudness(LoudnessParams.model_validate(params), FakePredictor({})).hear(Sound(samples), None)


@pytest.mark.parametrize(("hz", "a", "c"), IEC)
def test_the_curves_are_those_of_the_standard(hz: float, a: float, c: float) -> None:
    assert 20 * np.log10(gains(hz, "A")) == pytest.approx(a, abs=0.15)
    assert 20 * np.log10(gains(hz, "C")) == pytest.approx(c, abs=0.1)


@pytest.mark.parametrize(("hz", "a", "c"), IEC)
def test_a_tone_is_weighed_as_the_standard_says(hz: float, a: float, c: float) -> None:
    """Well within the tolerances of class 2, 1.4 to 3.5 dB: the filter in the way of real sound."""
    samples = whole(tone(hz, 3, -20))
    assert meter(samples, curve="A").measures["p10_db"] == pytest.approx(100 + a, abs=0.35)
    assert meter(samples, curve="C").measures["p10_db"] == pytest.approx(100 + c, abs=0.35)
    assert meter(samples, curve="Z").measures["p10_db"] == pytest.approx(100, abs=0.1)


@settings(max_examples=15, deadline=None)
@given(st.floats(-60, -1), st.floats(40, 160), st.floats(200, 4000))
def test_leq_follows_level_and_calibration(peak_db: float, calibration: float, hz: float) -> None:
    """Law: so much fainter is so much less, and the calibration is added."""
    made = meter(whole(tone(hz, 1.5, peak_db)), curve="Z", calibration=calibration)
    assert made.measures["leq_db"] == pytest.approx(peak_db + calibration, abs=0.2)


@pytest.mark.parametrize("curve", ["A", "C", "Z"])
def test_long_sound_is_weighed_as_short_sound(curve: Curve) -> None:
    """Law: where blocks meet nothing is heard of it."""
    samples = whole(noise(10, -20))
    made = energies(samples, curve)
    assert len(made) == 1000
    late = energies(samples[4 * SAMPLE_RATE :], curve)
    assert np.allclose(made[430:], late[30:], rtol=1e-6)


def test_slow_shows_less_of_a_short_bang() -> None:
    """A burst of 200 ms: -1 dB fast and -7.4 dB slow (IEC 61672-1, table 4)."""
    burst = whole(silence(1), tone(4000, 0.2, -10), silence(1))
    steady = meter(whole(tone(4000, 10, -10))).measures["max_db"]
    assert meter(burst, speed="fast").measures["max_db"] - steady == pytest.approx(-1.0, abs=0.2)
    assert meter(burst, speed="slow").measures["max_db"] - steady == pytest.approx(-7.4, abs=0.2)


def test_what_is_too_loud_is_told_with_its_times() -> None:
    found = meter(whole(tone(1000, 2, -50), tone(1000, 2, -30), tone(1000, 2, -50)), limit=85)
    assert found.label == ("loud",)
    assert found.start[0] == pytest.approx(2.0, abs=0.1)
    assert found.end[0] == pytest.approx(4.2, abs=0.2), "a fast meter falls by 35 dB a second"
    assert found.score[0] == pytest.approx(0.5 + 5 / 40, abs=0.02)
    assert len(meter(whole(tone(1000, 1, -30)), limit=85, min_duration=2)) == 0


def test_silence_has_a_level_and_nothing_has_none() -> None:
    assert meter(whole(silence(1))).measures["max_db"] == pytest.approx(0, abs=1e-6)
    assert meter(np.zeros(0, np.float32)).measures == {}
    assert np.isfinite(decibels(0.0, 94))
    assert len(levels(np.zeros(0), "slow")) == 0
