"""Telephone keys: every key, in noise, badly balanced, too short; and tones that are no keys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.sound.dtmf import DtmfParams, DtmfTones, keys_in
from aihub.scenes.tones import NUMBER, keys, noise, silence, tone, whole
from aihub.testing import FakePredictor
from aihub.types import SAMPLE_RATE, Samples, Sound, SoundEvents


def listen(samples: Samples, **params: object) -> SoundEvents:
    return DtmfTones(DtmfParams.model_validate(params), FakePredictor({})).hear(Sound(samples), None)


@settings(max_examples=15, deadline=None)
@given(st.text(NUMBER, min_size=1, max_size=12), st.floats(-40, -8), st.integers(0, 400))
def test_any_number_is_read_at_any_level(number: str, peak_db: float, late: int) -> None:
    """Law: what is dialled is heard, key by key, wherever its samples begin."""
    pressed = np.concatenate([np.zeros(late), keys(number, peak_db=peak_db)])
    assert "".join(listen(whole(pressed)).label) == number


def test_keys_are_where_they_were_pressed() -> None:
    found = listen(whole(keys("19", tone_s=0.1, pause_s=0.1)))
    assert found.start.tolist() == pytest.approx([0.2, 0.4], abs=0.02)
    assert (found.end - found.start).tolist() == pytest.approx([0.1, 0.1], abs=0.03)
    assert min(found.score) > 0.9


@pytest.mark.parametrize(
    ("samples", "heard", "reason"),
    [
        (tone(697, 0.1, -10) + tone(1209, 0.1, -16), "1", "6 dB of twist"),
        (tone(697, 0.1, -10) + tone(1209, 0.1, -24), "", "14 dB of twist"),
        (tone(697, 0.1, -10), "", "one tone only"),
        (tone(697, 0.1, -10) + tone(770, 0.1, -10), "", "both of the low group"),
        (tone(730, 0.1, -10) + tone(1270, 0.1, -10), "", "between the frequencies"),
        (tone(703, 0.1, -10) + tone(1200, 0.1, -10), "1", "0.8 % beside them"),
        (tone(697, 0.02, -10) + tone(1209, 0.02, -10), "", "20 ms"),
        (tone(425, 1, -10), "", "the tone of a free line"),
        (tone(697, 0.1, -70) + tone(1209, 0.1, -70), "", "too faint"),
        (noise(1, -10), "", "noise"),
    ],
)
def test_what_is_a_key_and_what_is_none(samples: np.ndarray, heard: str, reason: str) -> None:
    assert "".join(listen(whole(silence(0.1), samples, silence(0.1))).label) == heard, reason


def test_a_key_held_is_pressed_once_and_pressed_twice_is_two() -> None:
    assert listen(whole(keys("5", tone_s=2.0))).label == ("5",)
    assert listen(whole(keys("55"))).label == ("5", "5")


def test_noise_under_the_keys() -> None:
    clean = keys(NUMBER)
    mixed = clean + noise(len(clean) / SAMPLE_RATE, -21)[: len(clean)]
    assert "".join(listen(whole(mixed)).label) == NUMBER, "10 dB under the two tones together"


def test_nothing_is_no_key() -> None:
    found, share = keys_in(np.zeros((3, 410), np.float32))
    assert (found.tolist(), share.tolist()) == ([-1, -1, -1], [0, 0, 0])
    assert len(listen(np.zeros(0, np.float32))) == 0
