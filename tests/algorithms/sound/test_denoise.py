"""Noise suppression: the way to the spectrum and back, what the network remembers, and the real network against its makers' output."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.hearing import hear
from aihub.algorithms.registry import Registry
from aihub.algorithms.sound.denoise import DenoiseParams, SuppressNoise, overlapped, spectra
from aihub.algorithms.sound_files import decode_sound
from aihub.engine import Engine, ModelStore
from aihub.errors import DeadlineError, DecodeError
from aihub.plugins import data_folder
from aihub.types import Recording, Sound, Tensor
from tests.algorithms.sound.making import LoudEars, talk


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
def test_there_and_back_is_the_same_sound(length: int, seed: int) -> None:
    """Law: frames that nobody changed add up to the sound, from its first sample to its last."""
    samples = np.random.default_rng(seed).normal(0, 0.2, length).clip(-1, 1).astype(np.float32)
    assert np.allclose(overlapped(spectra(samples), length), samples, atol=1e-5)


@pytest.mark.parametrize(("strength", "left"), [(1.0, 0.5), (0.5, 0.75), (0.0, 1.0)])
def test_the_network_s_share(strength: float, left: float) -> None:
    samples = talk((0.7, True))
    made = SuppressNoise(DenoiseParams(strength=strength), LoudEars()).hear(Sound(samples), None)
    assert np.allclose(made.samples, samples * left, atol=1e-4)
    assert made.measures["removed_db"] == pytest.approx(-20 * np.log10(left), abs=0.01)


def test_what_it_remembers_goes_from_frame_to_frame() -> None:
    class Counting(LoudEars):
        frames = 0.0

        def _denoise(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            assert {float(value.flat[0]) for name, value in inputs.items() if name != "mix"} == {self.frames}
            self.frames += 1
            return super()._denoise(inputs)

    ears = Counting()
    SuppressNoise(DenoiseParams(), ears).hear(Sound(talk((1.0, True))), None)
    assert ears.frames == pytest.approx(16000 / 256, abs=2)


def test_true_silence_costs_nothing() -> None:
    ears = LoudEars()
    made = SuppressNoise(DenoiseParams(), ears).hear(Sound(talk((1.0, False))), None)
    assert not made.samples.any()
    assert ears.asked == []


def test_faults_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ears = LoudEars()
    late = Sound(talk((0.1, True)), deadline=0.0)
    with pytest.raises(DeadlineError):
        SuppressNoise(DenoiseParams(), ears).hear(late, None)
    monkeypatch.setattr(ears, "_denoise", lambda _: {"other": np.zeros(3, np.float32)})
    with pytest.raises(DecodeError, match="other"):
        SuppressNoise(DenoiseParams(), ears).hear(Sound(talk((0.1, True))), None)


def test_the_real_network_gives_what_its_makers_give(tmp_path: Path) -> None:
    media, mirror = os.environ.get("AIHUB_TEST_MEDIA", ""), os.environ.get("AIHUB_MODEL_MIRROR", "")
    if not media or not mirror:
        pytest.skip("needs the real media and weights")
    mixed, wanted = (
        decode_sound((Path(media) / "audio/enhance" / name).read_bytes())[:32000]
        for name in ("mix.wav", "enh.wav")
    )
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path / "cache", mirror=mirror)
    with Engine(store, profiles=tmp_path / "profiles") as engine:
        made = hear(Registry(engine).get("noise-suppression"), Sound(mixed), {}, engine)
    assert isinstance(made, Recording)
    assert np.corrcoef(made.samples[:30000], wanted[:30000])[0, 1] > 0.999
