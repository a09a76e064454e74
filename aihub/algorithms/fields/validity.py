"""Dates on packages and papers: when made, until when good, and whether that is over."""

from __future__ import annotations

import calendar
import datetime as dt
import re

from aihub.algorithms.fields.dates import Dated, find_dates
from aihub.algorithms.fields.page import Line, Page, tight
from aihub.types import Field

_UNTIL = re.compile(
    r"有效期[至限]?|失效|到期|截止|此日期前|保质期至|EXP|BEST|BBE?(?![A-Z])|USEBY|VALIDUNTIL|VALIDTHRU",
    re.IGNORECASE,
)
_MADE = re.compile(r"生产日期|制造日期|出厂|生产|MFG|MFD|PROD|PRODUCED|MANUFACTURED", re.IGNORECASE)
_SPAN = re.compile(
    r"(?:保质期|有效期|SHELFLIFE)[:：]?(\d{1,4})(个月|月|天|日|年|MONTHS?|DAYS?|YEARS?)", re.IGNORECASE
)
DAY_S = 86400.0


def read_dates(page: Page, *, utc_offset_h: float, day_first: bool) -> list[Field]:
    """Every date: `expiry-date`, `production-date` or `date` by the words before it.

    An expiry is valid until its last day is over at the place of the camera. Where only the day of production and the time
    that it keeps are written, the expiry is reckoned.

    Args:
        page: `when` says what day it is.
        utc_offset_h: of the clocks there, hours.
        day_first: how 03/04/2026 is meant.
    """
    today = dt.datetime.fromtimestamp(page.when + utc_offset_h * 3600, dt.UTC).date()
    fields: list[Field] = []
    made: tuple[dt.date, Line] | None = None
    for index, line in enumerate(page.lines):
        for one in find_dates(line.text, day_first=day_first):
            kind = _kind(page, index, one)
            valid = today <= one.date if kind == "expiry-date" else None
            fields.append(line.field(kind, str(one), valid))
            made = (one.date, line) if kind == "production-date" else made
    if made and not any(one.name == "expiry-date" for one in fields):
        for line in page.lines:
            if match := _SPAN.search(tight(line.text)):
                end = _later(made[0], int(match[1]), match[2].lower())
                fields.append(line.field("expiry-date", end.isoformat(), today <= end))
    return fields


def _kind(page: Page, index: int, one: Dated) -> str:
    """By the last word before the date in its line, else in the line before."""
    for words in (page.lines[index].text[: one.span[0]], page.lines[index - 1].text if index else ""):
        last = {"expiry-date": -1, "production-date": -1}
        for name, form in (("expiry-date", _UNTIL), ("production-date", _MADE)):
            for match in form.finditer(tight(words)):
                last[name] = match.start()
        if max(last.values()) >= 0:
            return max(last, key=lambda name: last[name])
    return "date"


def _later(begin: dt.date, count: int, unit: str) -> dt.date:
    if unit[0] in "天日d":
        return begin + dt.timedelta(days=count)
    months = begin.month - 1 + count * (12 if unit[0] in "年y" else 1)
    year, month = min(begin.year + months // 12, 9999), months % 12 + 1
    return dt.date(year, month, min(begin.day, calendar.monthrange(year, month)[1]))
