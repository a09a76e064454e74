"""Drawn sounds: form, sameness, and the truth that they claim."""

from __future__ import annotations

import numpy as np
import pytest

from aihub.scenes import load_scenes
from aihub.scenes.tones import in_room, keys, moments, noise, tone
from aihub.scenes.waves import drawn_sound
from aihub.types import SAMPLE_RATE

load_scenes()
NAMES = (
    "dtmf-keys", "dial-tone", "tone-levels", "low-tone", "overdriven", "silent-line", "dead-line", "siren-wail", "smoke-alarm",
    "car-horn", "gunshots", "breaking-glass", "scream", "baby-cry",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_drawn_sound_is_sound_and_always_the_same(name: str) -> None:
    samples = drawn_sound(name)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 1 <= len(samples) / SAMPLE_RATE <= 10
    assert np.abs(samples).max() <= 1
    assert np.array_equal(samples, drawn_sound(name))


def test_levels_are_what_they_say() -> None:
    assert np.abs(tone(440, 1, -20)).max() == pytest.approx(0.1, abs=1e-3)
    rms = np.sqrt(np.square(noise(5, -20)).mean())
    assert rms == pytest.approx(0.1 / np.sqrt(2), rel=0.02)


def test_a_key_has_its_two_tones() -> None:
    spectrum = np.abs(np.fft.rfft(keys("6", tone_s=1.0, pause_s=0.0)[3200 : 3200 + SAMPLE_RATE]))
    assert sorted(np.argsort(spectrum)[-2:].tolist()) == [770, 1477]


def test_the_siren_goes_from_500_to_1500_hz() -> None:
    samples = drawn_sound("siren-wail")
    pitch = []
    for at in range(0, 4 * SAMPLE_RATE, SAMPLE_RATE // 10):
        spectrum = np.abs(np.fft.rfft(samples[at : at + 2048] * np.hanning(2048)))
        pitch.append(float(np.argmax(spectrum) * SAMPLE_RATE / 2048))
    assert min(pitch) == pytest.approx(500, abs=40)
    assert max(pitch) == pytest.approx(1500, abs=40)


def test_a_room_lengthens_a_bang() -> None:
    bang = np.zeros(SAMPLE_RATE)
    bang[0] = 1
    heard = in_room(bang, 0.5, 0.5)
    assert len(heard) == len(bang)
    late = np.square(heard[SAMPLE_RATE // 4 :]).sum()
    assert 0 < late < np.square(heard[1 : SAMPLE_RATE // 4]).sum()
    assert len(moments(0.5)) == SAMPLE_RATE // 2
