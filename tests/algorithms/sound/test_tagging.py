"""Kinds of sound under one name: the base of alarms on single sounds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.sound.tagging import TagParams, TagSound, kinds
from aihub.errors import ParamsError
from aihub.plugins import data_folder
from aihub.types import Sound, SoundEvents, Tensor
from tests.algorithms.sound.making import LoudEars, talk

CARDS = (
    "scream", "glass-break", "gunshot-or-explosion", "siren", "alarm-bell", "dog-bark", "baby-cry", "engine-or-horn",
)  # fmt: skip


class Kennel(LoudEars):
    """Hears a dog in the first second, a bark in the second, and both in the third."""

    def __init__(self, scores: Mapping[str, tuple[float, ...]]) -> None:
        super().__init__()
        self._given, self._at = scores, 0

    def _audio_tag(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        row = np.zeros((1, len(kinds())), np.float32)
        for name, scores in self._given.items():
            row[0, kinds().index(name)] = scores[self._at] if self._at < len(scores) else 0.0
        self._at += 1
        return {"Identity": row}


def tag(scores: Mapping[str, tuple[float, ...]], seconds: float = 4.0, **params: object) -> SoundEvents:
    return TagSound(TagParams.model_validate(params), Kennel(scores)).hear(Sound(talk((seconds, True))), None)


def test_kinds_under_one_name_are_one_event() -> None:
    scores = {"Bark": (0.5, 0.0, 0.9), "Yip": (0.0, 0.6, 0.0), "Speech": (0.9, 0.9, 0.9)}
    found = tag(scores, confidence=0.4, labels=["Bark", "Yip"], name="dog-bark")
    assert found.label == ("dog-bark",)
    assert found.score[0] == pytest.approx(0.9)
    apart = tag(scores, confidence=0.4, labels=["Bark", "Yip"])
    assert sorted(apart.label) == ["Bark", "Bark", "Yip"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1, width=16), min_size=3, max_size=8), st.floats(0.05, 0.95))
def test_a_name_is_heard_where_any_of_its_kinds_is(scores: list[float], confidence: float) -> None:
    """Law: windows in which the name is heard are those in which the highest score is high enough."""
    given = {"Bark": tuple(scores), "Yip": tuple(reversed(scores))}
    found = tag(given, 0.4875 * (len(scores) + 1), confidence=confidence, labels=["Bark", "Yip"], name="dog")
    high = [max(pair) >= np.float32(confidence) for pair in zip(scores, reversed(scores), strict=True)]
    runs = sum(here and not before for here, before in zip(high, [False, *high], strict=False))
    assert len(found) == runs


def test_a_kind_nobody_knows_is_refused() -> None:
    with pytest.raises(ParamsError, match="Woof"):
        tag({}, labels=["Woof"], name="dog")


@pytest.mark.parametrize("name", CARDS)
def test_cards_name_kinds_that_there_are(name: str) -> None:
    card = yaml.safe_load((data_folder("pipelines") / "speech" / f"{name}.yaml").read_text(encoding="utf-8"))
    (stage,) = card["stages"]
    assert stage["tag-sound"]["name"] == name == card["event"]["type"]
    assert set(stage["tag-sound"]["labels"]) <= set(kinds())
