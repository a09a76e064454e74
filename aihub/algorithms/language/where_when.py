"""`find-place-and-time`: where and when something is or was, out of what a caller says."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field as Setting
from pydantic import field_validator

from aihub.algorithms.base import StageParams
from aihub.algorithms.language.moments import together
from aihub.algorithms.language.places import places
from aihub.algorithms.reading import TextStage
from aihub.types import AnyResult, Field, Fields, Passage

LONGEST = 5000
"""Characters that are looked at."""


class WhereWhenParams(StageParams):
    """Settings of `find-place-and-time`."""

    reference: str = Setting("", description="When it was said, ISO 8601 in the place's own time; empty leaves `yesterday` as it is.")  # fmt: skip
    confidence: float = Setting(0.5, ge=0, le=1, description="Least confidence.")

    @field_validator("reference")
    @classmethod
    def _a_moment(cls, reference: str) -> str:
        if reference:
            datetime.fromisoformat(reference)
        return reference

    def now(self) -> datetime | None:
        """The reference without its zone: what people say is in the time of their place."""
        return datetime.fromisoformat(self.reference).replace(tzinfo=None) if self.reference else None


class FindPlaceAndTime(TextStage[WhereWhenParams]):
    """By the words that addresses end with and the forms that dates have; no map, no model."""

    name = "find-place-and-time"

    def read(self, passage: Passage, found: AnyResult | None) -> Fields:  # noqa: ARG002 - a first stage
        """Fields `place`, `date`, `datetime` and `time`, in reading order. `valid` is False for a day that never is.

        What is relative and has no reference keeps its words and has a confidence of 0.5.
        """
        text = passage.text[:LONGEST]
        rows: list[Field] = []
        rest = text
        for span, name, value, possible in together(text, self.params.now()):
            resolved = value != text[span[0] : span[1]] or name == "time" or value[:4].isdecimal()
            rows.append(Field(name, value, 0.9 if resolved else 0.5, possible, span=span))
            rest = rest[: span[0]] + " " * (span[1] - span[0]) + rest[span[1] :]
        rows += [
            Field("place", value, confidence, None, span=span) for span, value, confidence in places(rest)
        ]
        kept = [row for row in rows if row.confidence >= self.params.confidence]
        return Fields(tuple(sorted(kept, key=lambda row: row.span or (0, 0))))
