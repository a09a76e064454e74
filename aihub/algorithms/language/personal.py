"""`find-personal-data`: phone numbers, identity numbers, bank cards, e-mail addresses and plates in a text, with where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pydantic import Field as Setting

from aihub.algorithms.base import StageParams
from aihub.algorithms.fields import cn_id, luhn
from aihub.algorithms.fields.match import halfwidth
from aihub.algorithms.reading import TextStage
from aihub.types import AnyResult, Field, Fields, Passage

LONGEST = 20_000
"""Characters that are looked at."""

_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_CARD_WORDS = re.compile(r"卡号|银行卡|信用卡|账号|帐号|card|account", re.IGNORECASE)
_NEAR = 12
"""Characters before a number in which a word may say what it is."""


class PersonalParams(StageParams):
    """Settings of `find-personal-data`."""

    kinds: tuple[str, ...] = Setting((), description="Kinds to look for; none looks for all.")
    confidence: float = Setting(0.5, ge=0, le=1, description="Least confidence.")


class FindPersonalData(TextStage[PersonalParams]):
    """Forms and check digits; nothing is looked up anywhere."""

    name = "find-personal-data"

    def read(self, passage: Passage, found: AnyResult | None) -> Fields:  # noqa: ARG002 - a first stage
        """Fields `id-number`, `bank-card`, `phone`, `email`, `plate`, in reading order; none overlaps another.

        `valid` tells whether check digits are right, None for what has none.
        """
        text = halfwidth(passage.text[:LONGEST])
        taken: list[tuple[int, int]] = []
        rows: list[Field] = []
        for look in (_emails, _id_numbers, _cards, _phones, _plates):
            for row in look(text):
                start, end = row.span or (0, 0)
                if all(end <= first or start >= last for first, last in taken):
                    taken.append((start, end))
                    rows.append(row)
        wanted = self.params.kinds
        kept = [
            row
            for row in rows
            if row.confidence >= self.params.confidence and (not wanted or row.name in wanted)
        ]
        return Fields(tuple(sorted(kept, key=lambda row: row.span or (0, 0))))


_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}(?![\w-])", re.ASCII)  # fmt: skip
_ID = re.compile(r"(?<![0-9A-Za-z])[1-8]\d{5}(?:18|19|20)\d{9}[0-9Xx](?![0-9A-Za-z])")
_CARD = re.compile(r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-]?\d)")
_MOBILE = re.compile(r"(?<![\d-])(?:\+?86[ -]?)?(1[3-9]\d(?:[ -]?\d{4}){2})(?!\d)")
_FIXED = re.compile(r"(?<![\d-])(?:\(0\d{2,3}\)|0\d{2,3}[ -])[ ]?[2-9]\d{6,7}(?:-\d{1,5})?(?!\d)")
_FREE = re.compile(r"(?<![\d-])(?:400|800)-?\d{3}-?\d{4}(?!\d)")
_WORLD = re.compile(r"(?<![\d+])\+(?!86)\d{1,3}(?:[ -]?\d{2,4}){2,4}(?!\d)")
_PLATE = re.compile(rf"[{_PROVINCES}][A-HJ-NP-Z][ ·.-]?(?:[A-HJ-NP-Z0-9]{{4}}[A-HJ-NP-Z0-9挂学警港澳]|[DF][A-HJ-NP-Z0-9]\d{{4}}|\d{{5}}[DF])(?![A-Za-z0-9])")  # fmt: skip


def _emails(text: str) -> Iterator[Field]:
    for match in _EMAIL.finditer(text):
        yield Field("email", match[0].lower(), 0.95, None, span=match.span())


def _id_numbers(text: str) -> Iterator[Field]:
    for match in _ID.finditer(text):
        right = cn_id.holds(match[0].upper())
        yield Field("id-number", match[0].upper(), 0.99 if right else 0.6, right, span=match.span())


def _cards(text: str) -> Iterator[Field]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        said = bool(_CARD_WORDS.search(text[max(0, match.start() - _NEAR) : match.start()]))
        right = luhn.holds(digits) and len(set(digits)) > 1
        if right and (said or len(digits) >= 16):
            yield Field("bank-card", digits, 0.95 if said else 0.8, True, span=match.span())
        elif said:
            yield Field("bank-card", digits, 0.55, False, span=match.span())


def _phones(text: str) -> Iterator[Field]:
    forms: tuple[tuple[re.Pattern[str], float, Callable[[re.Match[str]], str]], ...] = (
        (_MOBILE, 0.95, lambda match: re.sub(r"\D", "", match[1])),
        (_FIXED, 0.9, lambda match: re.sub(r"[^\d-]", "", match[0].replace(")", "-"))),
        (_FREE, 0.8, lambda match: re.sub(r"\D", "", match[0])),
        (_WORLD, 0.8, lambda match: "+" + re.sub(r"\D", "", match[0])),
    )
    for form, confidence, value in forms:
        for match in form.finditer(text):
            yield Field("phone", value(match), confidence, None, span=match.span())


def _plates(text: str) -> Iterator[Field]:
    for match in _PLATE.finditer(text):
        yield Field("plate", re.sub(r"[ ·.-]", "", match[0]), 0.9, None, span=match.span())
