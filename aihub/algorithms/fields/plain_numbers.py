"""Numbers that stand alone: on a bank card, a container, a vehicle, a meter's display."""

from __future__ import annotations

import re
from collections.abc import Callable

from aihub.algorithms.fields import bank_card, luhn
from aihub.algorithms.fields.iso6346 import find_containers
from aihub.algorithms.fields.lookalikes import digits, repair
from aihub.algorithms.fields.match import Match
from aihub.algorithms.fields.page import Page, around, tight
from aihub.algorithms.fields.vin import find_vins
from aihub.types import Field

_SIGNS = re.compile(r"[0-9OoDIl|SBZ]{13,19}")
_EXPIRY = re.compile(r"(?<![0-9/])(0[1-9]|1[0-2])\s?/\s?(\d{2})(?![0-9/])")
_METER = re.compile(r"\d{1,10}(?:[.,]\d{1,4})?")


def read_bank_card(page: Page) -> list[Field]:
    """Number with its Luhn check, scheme, end of validity as MM/YY."""
    fields = _best(page, _cards, 4)
    fields = [one for one in fields if one.name == bank_card.NAME]
    if fields and (scheme := bank_card.scheme(fields[0].value)):
        fields.append(Field("scheme", scheme, fields[0].confidence, None, fields[0].quad))
    for line in page.lines:
        for match in _EXPIRY.finditer(line.text):
            fields.append(line.field("valid-until", f"20{match[2]}-{match[1]}"))
    return fields


def _cards(text: str) -> list[Match]:
    """Numbers with their look-alikes; wrong ones only where prefix and length are those of a scheme."""
    found = []
    for match in _SIGNS.finditer(tight(text)):
        value, right = repair(match[0], "9" * len(match[0]), bank_card.holds)
        if not right and luhn.holds(value):
            right = True
        if right or bank_card.scheme(digits(value)):
            found.append(Match(bank_card.NAME, value if right else digits(value), right, match.span()))
    return found


def read_container(page: Page) -> list[Field]:
    """The container's number, in one line or in up to three beside or under each other."""
    return _best(page, find_containers, 3)


def read_vin(page: Page) -> list[Field]:
    """The vehicle identification number."""
    return _best(page, find_vins, 2)


def _best(page: Page, find: Callable[[str], list[Match]], most: int) -> list[Field]:
    """All numbers whose check holds, each once; where none does, the longest that has the form.

    Lines that hold a right number are not put together with others: that would make new ones by chance.
    """
    right: dict[str, Field] = {}
    wrong: list[Field] = []
    used: set[int] = set()
    for text, rows in page.runs(most):
        if not used.isdisjoint(rows):
            continue
        lines = [page.lines[row] for row in rows]
        for match in find(text):
            sure = min(line.confidence for line in lines)
            one = Field(match.name, match.value, sure, match.valid, around(lines))
            if match.valid:
                right.setdefault(match.value, one)
                used.update(rows)
            else:
                wrong.append(one)
    longest = sorted(wrong, key=lambda one: -len(one.value))
    return list(right.values()) or longest[:1]


def read_meter(page: Page) -> list[Field]:
    """The digits of a display: of all lines, the tallest that has digits; look-alikes are digits there."""
    best: tuple[float, Field] | None = None
    for line, box in zip(page.lines, page.boxes.tolist(), strict=True):
        shown = digits(tight(line.text))
        match = _METER.fullmatch(shown) or (_METER.search(tight(line.text)))
        height = box[3] - box[1]
        if match and (best is None or height > best[0]):
            best = (height, line.field("reading", match[0].replace(",", ".")))
    return [] if best is None else [best[1]]
