"""Stage `fields`: what the lines of a document say, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import Field as Setting

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.fields.business_papers import read_business_licence, read_invoice
from aihub.algorithms.fields.identity_papers import read_identity_card, read_machine_readable_zone
from aihub.algorithms.fields.page import Page
from aihub.algorithms.fields.plain_numbers import read_bank_card, read_container, read_meter, read_vin
from aihub.algorithms.fields.tables import read_table
from aihub.algorithms.fields.validity import read_dates
from aihub.types import AnyResult, Field, Fields, Frame, Texts

Kind = Literal[
    "identity-card", "business-licence", "invoice", "bank-card", "mrz", "container", "meter", "vin", "table"
]

_READERS: dict[str, Callable[[Page], list[Field]]] = {
    "identity-card": read_identity_card,
    "business-licence": read_business_licence,
    "invoice": read_invoice,
    "bank-card": read_bank_card,
    "mrz": read_machine_readable_zone,
    "container": read_container,
    "meter": read_meter,
    "vin": read_vin,
    "table": read_table,
}


class FieldsParams(StageParams):
    """Parameters of `fields`."""

    kind: Kind = Setting(description="Which document it is.")
    confidence: float = Setting(0.0, ge=0, le=1, description="Fields read with less certainty are left out.")


class DocumentFields(Stage[FieldsParams]):
    """Fields of a document of a known kind. A field whose check fails is there, with `valid` false."""

    name = "fields"

    def process(self, frame: Frame, found: AnyResult | None) -> Fields:
        """See the class.

        Raises:
            StageError: the stage before gave no text.
        """
        page = page_of(self.name, frame, found)
        fields = _READERS[self.params.kind](page)
        return within(frame, [one for one in fields if one.confidence >= self.params.confidence])


class DatesParams(StageParams):
    """Parameters of `dates`."""

    utc_offset_h: float = Setting(8.0, ge=-12, le=14, description="Hours of the place's clocks ahead of UTC.")
    day_first: bool = Setting(True, description="Whether 03/04/2026 is the third of April.")
    confidence: float = Setting(0.0, ge=0, le=1, description="Dates read with less certainty are left out.")


class Dates(Stage[DatesParams]):
    """Dates by what they are; an expiry is valid while it is not over, by the time of the frame."""

    name = "dates"

    def process(self, frame: Frame, found: AnyResult | None) -> Fields:
        """See the class.

        Raises:
            StageError: the stage before gave no text.
        """
        page = page_of(self.name, frame, found)
        fields = read_dates(page, utc_offset_h=self.params.utc_offset_h, day_first=self.params.day_first)
        return within(frame, [one for one in fields if one.confidence >= self.params.confidence])


def page_of(stage: str, frame: Frame, found: AnyResult | None) -> Page:
    """The lines that a stage was given.

    Raises:
        StageError: it was given something else.
    """
    if not isinstance(found, Texts):
        kind = "nothing" if found is None else found.task.value
        raise StageError(f"stage {stage!r} reads lines of text, but was given {kind}")
    return Page.of(found, frame.captured_at)


def within(frame: Frame, fields: list[Field]) -> Fields:
    """The fields in reading order: top to bottom by where their lines begin."""
    limit = np.array([frame.width, frame.height], np.float64)
    inside = []
    for one in fields:
        quad = np.clip(np.array(one.quad, np.float64), 0, limit).tolist()
        inside.append(
            Field(
                one.name,
                one.value,
                float(np.clip(one.confidence, 0, 1)),
                one.valid,
                tuple((x, y) for x, y in quad),
            )
        )
    return Fields(tuple(inside))
