"""Faults of a microphone: nothing, silence and too much, each where it is and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.sound.faults import FaultParams, SoundFaults
from aihub.scenes.tones import noise, silence, tone, whole
from aihub.testing import FakePredictor
from aihub.types import Samples, Sound, SoundEvents


def look(samples: Samples, **params: object) -> SoundEvents:
    return SoundFaults(FaultParams.model_validate(params), FakePredictor({})).hear(Sound(samples), None)


@pytest.mark.parametrize(
    ("samples", "labels", "reason"),
    [
        (whole(noise(3, -30)), (), "a quiet room is no fault"),
        (whole(tone(440, 1, 0)), (), "as loud as can be, and not cut"),
        (whole(tone(60, 1, 0)), (), "nor is a low one, whose tops are nearly flat"),
        (whole(tone(440, 1, 6)), ("clipping",), "cut at full scale"),
        (whole(silence(3)), ("no-signal",), "all zero"),
        (whole(silence(3) + 0.2), ("no-signal",), "stuck elsewhere"),
        (whole(noise(3, -90)), ("silence",), "a microphone that hears nothing"),
        (whole(tone(50, 3, -45)), ("silence",), "the mains only: -75 dB to the ear"),
        (whole(tone(50, 3, -20)), (), "loud hum is heard"),
        (whole(noise(1.5, -90)), (), "too short"),
        (np.array([1, 1, -1, 0.2], np.float32), (), "two samples at the end of the scale are a peak"),
    ],
)
def test_each_fault_and_no_other(samples: Samples, labels: tuple[str, ...], reason: str) -> None:
    assert look(samples).label == labels, reason


def test_faults_are_where_they_are() -> None:
    found = look(whole(noise(1, -30), noise(3, -80), noise(1, -30, seed=6), tone(440, 1, 12), noise(1, -30)))
    assert found.label == ("silence", "clipping")
    assert found.start.tolist() == pytest.approx([1.0, 5.0], abs=0.05)
    assert found.end.tolist() == pytest.approx([4.0, 6.0], abs=0.05)
    assert 0.05 < found.measures["clipped_share"] < 0.2
    assert found.measures["peak_dbfs"] == pytest.approx(0, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.floats(1, 40), st.floats(0.3, 1))
def test_what_is_driven_over_the_scale_is_cut(over_db: float, seconds: float) -> None:
    """Law: any tone a decibel over full scale shows, and one a decibel under it does not."""
    assert look(whole(tone(300, seconds, over_db))).label == ("clipping",)
    assert look(whole(tone(300, seconds, -1))).label == ()


def test_levels_are_those_of_the_sound() -> None:
    made = look(whole(tone(500, 2, -6) + 0.05))
    assert made.measures["offset"] == pytest.approx(0.05, abs=1e-3)
    assert made.measures["peak_dbfs"] == pytest.approx(20 * np.log10(10 ** (-6 / 20) + 0.05), abs=0.01)
    assert look(np.zeros(0, np.float32)).measures == {}
