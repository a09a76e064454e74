"""Talk time: stretches of speech to turns, and the sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.hearing import hear
from aihub.algorithms.registry import Registry
from aihub.algorithms.sound.turns import TalkTime, TurnParams
from aihub.errors import UnsupportedTypeError
from aihub.testing import FakePredictor
from aihub.types import SAMPLE_RATE, Recording, Sound, SoundEvents
from tests.algorithms.sound.making import LoudEars, talk


def count(stretches: list[tuple[float, float]], duration: float, pause: float = 1.0) -> SoundEvents:
    rows = (("speech", start, end, 0.9) for start, end in stretches)
    stage = TalkTime(TurnParams(pause=pause), FakePredictor({}))
    return stage.hear(Sound(np.zeros(round(duration * SAMPLE_RATE), np.float32)), SoundEvents.of(rows))


def test_short_pauses_belong_to_a_turn() -> None:
    found = count([(1, 3), (3.5, 5), (7, 8)], 10)
    assert list(zip(found.start.tolist(), found.end.tolist(), strict=True)) == [(1, 5), (7, 8)]
    assert found.measures == pytest.approx(
        {"talk_s": 4.5, "talk_share": 0.45, "turns": 2, "longest_turn_s": 4, "longest_pause_s": 2}
    )


@pytest.mark.parametrize(("duration", "pause"), [(0.0, 0.0), (5.0, 5.0)])
def test_nobody_speaks(duration: float, pause: float) -> None:
    found = count([], duration)
    assert len(found) == 0
    assert (found.measures["talk_s"], found.measures["longest_pause_s"]) == (0, pause)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.1, 3), min_size=2, max_size=12), st.floats(0, 4))
def test_turns_hold_all_that_was_said(lengths: list[float], pause: float) -> None:
    """Law: speech lies in turns, turns lie a pause apart, and a longer pause never makes more turns."""
    edges = np.cumsum(lengths).tolist()
    stretches = list(zip(edges[::2], edges[1::2], strict=False))
    found = count(stretches, edges[-1], pause)
    assert found.measures["talk_s"] == pytest.approx(sum(b - a for a, b in stretches), abs=1e-3)
    inside = [
        any(s - 1e-3 <= a and b <= e + 1e-3 for s, e in zip(found.start, found.end, strict=True))
        for a, b in stretches
    ]
    assert all(inside)
    assert all(found.start[1:] - found.end[:-1] >= pause - 1e-3)
    assert len(count(stretches, edges[-1], pause + 0.5)) <= len(found)


def test_the_card_listens_for_speech_first() -> None:
    ears = LoudEars()
    sound = Sound(talk((0.5, False), (1.0, True), (2.0, False), (1.5, True), (0.5, False)))
    found = hear(Registry(ears).get("talk-time"), sound, {}, ears)
    assert isinstance(found, SoundEvents)
    assert found.label == ("turn", "turn")
    assert found.measures["talk_s"] == pytest.approx(2.5, abs=0.15)


def test_it_stands_behind_something() -> None:
    with pytest.raises(UnsupportedTypeError):
        TalkTime(TurnParams(), FakePredictor({})).hear(Sound(talk((1, True))), Recording(talk((1, True))))
