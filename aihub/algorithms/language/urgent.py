"""`find-urgent-words`: what in a message asks for help at once, danger to life first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import Field as Setting

from aihub.algorithms.base import StageParams
from aihub.algorithms.reading import TextStage
from aihub.types import AnyResult, Field, Fields, Passage

LONGEST = 20_000
"""Characters that are looked at."""

_LISTS = Path(__file__).with_name("urgent.yaml")
_BEFORE_HAN, _BEFORE_LATIN = 4, 16
"""Characters before a word in which a negation takes its weight away."""
_NEGATED = 0.25
CRITICAL, HIGH = 0.85, 0.5
"""Urgency from which a message is critical, and high."""


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists, ready to be looked for.

    Attributes:
        kinds: pattern, kind and weight.
        negated: pattern of what takes the weight away, at the end of what stands before a word.
    """

    kinds: tuple[tuple[re.Pattern[str], str, float], ...]
    negated: re.Pattern[str]


def _pattern(entry: dict[str, str]) -> str:
    han = sorted(entry["words"].split(), key=len, reverse=True)
    latin = [phrase.strip() for phrase in entry["english"].split("|") if phrase.strip()]
    latin.sort(key=len, reverse=True)
    whole = (
        rf"\b{re.escape(phrase.removesuffix('*'))}" + (r"\w*\b" if phrase.endswith("*") else r"\b")
        for phrase in latin
    )
    return "|".join([*map(re.escape, han), *whole])


@lru_cache(maxsize=1)
def lists() -> Lists:
    """Those of `urgent.yaml`, read once."""
    with _LISTS.open(encoding="utf-8") as file:
        said = yaml.safe_load(file)
    negations = _pattern(said.pop("negations"))
    kinds = tuple(
        (re.compile(_pattern(entry), re.IGNORECASE), kind, float(entry["weight"]))
        for kind, entry in said.items()
    )
    return Lists(kinds, re.compile(negations, re.IGNORECASE))


class UrgentParams(StageParams):
    """Settings of `find-urgent-words`."""

    confidence: float = Setting(0.3, ge=0, le=1, description="Weight below which a word is not given.")


class FindUrgentWords(TextStage[UrgentParams]):
    """Lists of words with weights; a negation close before a word leaves a quarter of its weight."""

    name = "find-urgent-words"

    def read(self, passage: Passage, found: AnyResult | None) -> Fields:  # noqa: ARG002 - a first stage
        """`urgency` (critical, high) first where there is any, with the urgency of the whole as confidence; then every word by kind, with its place.

        Several kinds together are more urgent than each: what is left to certainty is multiplied.
        """
        text = passage.text[:LONGEST]
        rows: list[Field] = []
        strongest: dict[str, float] = {}
        taken: list[tuple[int, int]] = []
        for pattern, kind, weight in lists().kinds:
            for match in pattern.finditer(text):
                start, end = match.span()
                if any(start < last and end > first for first, last in taken):
                    continue
                taken.append((start, end))
                value = weight * (_NEGATED if _negated(text, start) else 1.0)
                strongest[kind] = max(strongest.get(kind, 0.0), value)
                if value >= self.params.confidence:
                    rows.append(Field(kind, match[0], value, None, span=(start, end)))
        rows.sort(key=lambda row: row.span or (0, 0))
        urgency = _together([*strongest.values()])
        if rows and urgency >= max(HIGH, self.params.confidence):
            level = "critical" if urgency >= CRITICAL else "high"
            rows.insert(0, Field("urgency", level, urgency))
        return Fields(tuple(rows))


def _negated(text: str, start: int) -> bool:
    han = text[start : start + 1] > "\u2e80"
    before = text[max(0, start - (_BEFORE_HAN if han else _BEFORE_LATIN)) : start]
    clause = re.split(r"[,.;!?\n,。;!?、]", before)[-1]
    return bool(lists().negated.search(clause))


def _together(weights: list[float]) -> float:
    """The strongest, and a little more for every other kind.

    >>> _together([]), _together([0.5]), round(_together([0.5, 0.4]), 3)
    (0.0, 0.5, 0.6)
    """
    rest = 1.0
    for rank, weight in enumerate(sorted(weights, reverse=True)):
        rest *= 1 - (weight if rank == 0 else weight / 2)
    return 1 - rest
