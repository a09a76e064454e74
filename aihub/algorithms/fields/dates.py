"""Dates and clock times as they are written in Chinese and English."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from aihub.algorithms.fields.match import halfwidth

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_YEAR = r"((?:19|20)\d\d)"
_CN = {
    sign: str(value)
    for value, signs in enumerate(("零〇○", "一", "二", "三", "四", "五", "六", "七", "八", "九"))
    for sign in signs
}
_A, _Z = r"(?<![0-9])", r"(?![0-9])"
_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ymd", re.compile(rf"{_A}{_YEAR} ?年 ?(\d{{1,2}}) ?月 ?(\d{{1,2}}) ?日?{_Z}")),
    ("ymd", re.compile(rf"{_A}{_YEAR}([-/. ])(\d{{1,2}})\2(\d{{1,2}}){_Z}")),
    ("ymd", re.compile(rf"{_A}{_YEAR}(\d\d)(\d\d){_Z}")),
    ("dmy", re.compile(rf"{_A}(\d{{1,2}})(?:st|nd|rd|th)?[ -.]*{_MONTH},?[ -]*{_YEAR}{_Z}", re.IGNORECASE)),
    ("mdy", re.compile(rf"(?<![a-z]){_MONTH} ?(\d{{1,2}})(?:st|nd|rd|th)?,? *{_YEAR}{_Z}", re.IGNORECASE)),
    ("num", re.compile(rf"{_A}(\d{{1,2}})([-/.])(\d{{1,2}})\2{_YEAR}{_Z}")),
    ("ym", re.compile(rf"{_A}{_YEAR} ?年 ?(\d{{1,2}}) ?月")),
    ("ym", re.compile(rf"{_A}{_YEAR}[-/.](\d{{1,2}})(?![-/.]?[0-9])")),
    ("my", re.compile(rf"(?<![-/.0-9])(\d{{1,2}})[-/.]{_YEAR}(?![-/.]?[0-9])")),
    ("my", re.compile(rf"(?<![a-z]){_MONTH}[ -]*{_YEAR}{_Z}", re.IGNORECASE)),
)
_CLOCK = re.compile(r"(?<![0-9:])([01]?\d|2[0-3])[:：∶]([0-5]\d)[:：∶]([0-5]\d)(?![0-9:])")
_NUMERALS = re.compile(
    r"([一二三四五六七八九〇零○]{4}) ?年 ?([一二三四五六七八九十]{1,2}) ?月 ?([一二三四五六七八九十]{1,3}) ?日"
)


@dataclass(frozen=True, slots=True)
class Dated:
    """A date in a text.

    Attributes:
        date: for a month without a day, its last day.
        whole: whether the day was written too.
        span: first character in the text and the one after the last.
    """

    date: dt.date
    whole: bool
    span: tuple[int, int]

    def __str__(self) -> str:
        """As ISO 8601 has it, to the day or to the month."""
        return self.date.isoformat() if self.whole else f"{self.date:%Y-%m}"


def find_dates(text: str, *, day_first: bool = True) -> list[Dated]:
    """Dates in a text, in its order; what is no day of the calendar is left out.

    Args:
        text: any.
        day_first: how 03/04/2026 is meant; 31/01/2026 and 01/31/2026 say it themselves.

    >>> [str(one) for one in find_dates("2026年1月31日 31 Jan 2026 EXP 01/2027 二〇二六年十二月三日")]
    ['2026-01-31', '2026-01-31', '2027-01', '2026-12-03']
    """
    plain = halfwidth(text)
    found: list[Dated] = []
    for kind, form in _FORMS:
        for match in form.finditer(plain):
            if (one := _dated(kind, match, day_first=day_first)) and _free(one, found):
                found.append(one)
    found += _in_numerals(plain)
    return sorted(found, key=lambda one: one.span)


def _free(one: Dated, found: list[Dated]) -> bool:
    return all(one.span[1] <= other.span[0] or one.span[0] >= other.span[1] for other in found)


def _dated(kind: str, match: re.Match[str], *, day_first: bool) -> Dated | None:
    parts = [part for part in match.groups() if part not in ("-", "/", ".", " ")]
    numbers = [_MONTHS[part[:3].lower()] if part[:3].lower() in _MONTHS else int(part) for part in parts]
    if kind in ("ym", "my"):
        year, month = numbers if kind == "ym" else numbers[::-1]
        if not 1 <= month <= 12:
            return None
        return Dated(dt.date(year, month, calendar.monthrange(year, month)[1]), False, match.span())
    if kind == "ymd":
        year, month, day = numbers
    else:
        one, other, year = numbers
        day, month = (one, other) if kind == "dmy" else (other, one)
        if kind == "num":
            swapped = one > 12 or (day_first and other <= 12)
            day, month = (one, other) if swapped else (other, one)
    try:
        return Dated(dt.date(year, month, day), True, match.span())
    except ValueError:
        return None


def _in_numerals(text: str) -> Iterator[Dated]:
    for match in _NUMERALS.finditer(text):
        year = int("".join(_CN[sign] for sign in match[1]))
        try:
            yield Dated(dt.date(year, _small(match[2]), _small(match[3])), True, match.span())
        except ValueError:
            continue


def _small(text: str) -> int:
    """1 to 39 in Chinese numerals."""
    tens, _, ones = text.rpartition("十") if "十" in text else ("", "", text)
    high = (int(_CN[tens]) if tens in _CN else 1) if "十" in text else 0
    return high * 10 + (int(_CN[ones]) if ones in _CN else 0)


def find_clock(text: str) -> tuple[dt.time, tuple[int, int]] | None:
    """The first time of day with seconds, and where it stands; None where there is none.

    >>> find_clock("2026-01-31 08:15:30")
    (datetime.time(8, 15, 30), (11, 19))
    """
    match = _CLOCK.search(text)
    if match is None:
        return None
    return dt.time(int(match[1]), int(match[2]), int(match[3])), match.span()
