"""Stretches of speech: laws of the gate, and the network on real recordings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.sound.voice import STEP, STEP_S, Gate, Listener, Stretch, VoiceRules, speech_in
from aihub.errors import DeadlineError, DecodeError
from aihub.types import Sound
from tests.algorithms.sound.making import LoudEars, talk

LIKELIHOODS = st.lists(st.floats(0, 1, width=32), max_size=300)
RULES = st.builds(
    VoiceRules,
    threshold=st.floats(0.1, 0.9),
    min_speech_s=st.floats(0, 1),
    min_silence_s=st.floats(0.032, 1),
    pad_s=st.floats(0, 0.5),
    max_speech_s=st.floats(1, 4),
)


def stretches(rules: VoiceRules, likelihoods: list[float]) -> list[Stretch]:
    gate = Gate(rules)
    found = [stretch for likelihood in likelihoods if (stretch := gate.push(likelihood))]
    last = gate.finish()
    return [*found, *([last] if last else [])]


@settings(deadline=None)
@given(rules=RULES, likelihoods=LIKELIHOODS)
def test_stretches_are_in_order_and_never_overlap(rules: VoiceRules, likelihoods: list[float]) -> None:
    found = stretches(rules, likelihoods)
    ends = 0.0
    for one in found:
        assert ends <= one.start <= one.end <= len(likelihoods) * STEP_S + 1e-9
        assert one.end - one.start <= rules.max_speech_s + 2 * rules.pad + 2 * STEP_S
        assert 0 <= one.score <= 1
        ends = one.end


@settings(deadline=None)
@given(rules=RULES, likelihoods=LIKELIHOODS)
def test_without_likelihood_there_is_no_speech(rules: VoiceRules, likelihoods: list[float]) -> None:
    quiet = [value * rules.threshold * 0.99 for value in likelihoods]
    assert stretches(rules, quiet) == []


@settings(deadline=None)
@given(count=st.integers(20, 200))
def test_all_speech_is_one_stretch_or_cut_at_the_longest(count: int) -> None:
    found = stretches(VoiceRules(max_speech_s=2.0), [0.9] * count)
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(count * STEP_S) or count * STEP_S - found[-1].end < 0.25
    assert all(one.end - one.start <= 2.0 + STEP_S for one in found)


@pytest.mark.parametrize(
    ("likelihoods", "count", "reason"),
    [
        ([0.9] * 5, 0, "shorter than the shortest"),
        ([0.9] * 10, 1, "long enough"),
        ([0.9] * 10 + [0.4] * 20 + [0.9] * 10, 1, "above the lower threshold it goes on"),
        ([0.9] * 10 + [0.1] * 3 + [0.9] * 10, 1, "a pause of 96 ms is none"),
        ([0.9] * 10 + [0.1] * 12 + [0.9] * 10, 2, "a pause of 384 ms is one"),
    ],
)
def test_when_a_stretch_ends(likelihoods: list[float], count: int, reason: str) -> None:
    assert len(stretches(VoiceRules(), likelihoods)) == count, reason


def test_the_network_sees_what_came_before() -> None:
    seen: list[np.ndarray] = []

    class Ears(LoudEars):
        def _vad(self, inputs):  # type: ignore[no-untyped-def]
            seen.append(np.asarray(inputs["input"])[0])
            return {"output": np.zeros((1, 1), np.float32), "stateN": np.asarray(inputs["state"]) + 1}

    listener = Listener(Ears())
    ramp = np.linspace(-1, 1, 2 * STEP, dtype=np.float32)
    for part in (ramp[:STEP], ramp[STEP:]):
        listener.take(listener.ask(part).result())
    assert not seen[0][:64].any()
    np.testing.assert_array_equal(seen[1][:64], ramp[STEP - 64 : STEP])
    assert listener._state.max() == 2


def test_another_model_is_told_apart() -> None:
    with pytest.raises(DecodeError):
        Listener(LoudEars()).take({"output": np.zeros((1, 1), np.float32)})


def test_nothing_is_heard_after_the_deadline() -> None:
    sound = Sound(talk((3.0, True)), deadline=0.0)
    with pytest.raises(DeadlineError):
        list(speech_in(sound, LoudEars(), VoiceRules()))
