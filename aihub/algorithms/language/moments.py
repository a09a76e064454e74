"""Dates and times in Chinese and English text, resolved against the moment at which it was said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

_DIGITS = {
    "零": 0,
    "〇": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
_N = r"(?:\d{1,4}|[零一二两三四五六七八九十]{1,3}|半)"
_WEEK = "一二三四五六日"
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH = (
    "(?P<month>"
    + "|".join(f"{name[:3]}(?:{name[3:]})?" if name[3:] else name for name in _MONTHS)
    + r")\b\.?"
)
_SAID = {
    "大前天": -3, "前天": -2, "前晚": -2, "昨天": -1, "昨日": -1, "昨晚": -1, "昨夜": -1, "今天": 0, "今日": 0, "今早": 0, "今晨": 0, "今晚": 0,
    "明天": 1, "明日": 1, "明早": 1, "明晚": 1, "后天": 2,
    "the day before yesterday": -2, "yesterday": -1, "last night": -1, "today": 0, "this morning": 0, "this afternoon": 0, "this evening": 0,
    "tonight": 0, "tomorrow": 1,
}  # fmt: skip
_LATER = frozenset({"下午", "傍晚", "晚上", "夜里", "晚", "夜"})
_EVENINGS = ("晚", "夜", "night", "evening", "afternoon")
_UNIT_S = {
    "分钟": 60, "小时": 3600, "个小时": 3600, "个钟头": 3600, "天": 86400, "日": 86400, "周": 604_800, "个星期": 604_800, "星期": 604_800,
    "minute": 60, "hour": 3600, "day": 86400, "week": 604_800,
}  # fmt: skip
_WORDS = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "half an": 0.5,
}


@dataclass(frozen=True, slots=True)
class Day:
    """A day, or a moment, that a text names.

    Attributes:
        span: where it stands.
        value: None where it is relative and nobody said to what, or where there is no such day.
        exact: whether a time of day is in it.
        possible: False for the 30th of February.
        late: whether it says evening or night, so that eight o'clock after it is 20:00.
    """

    span: tuple[int, int]
    value: datetime | None
    exact: bool = False
    possible: bool = True
    late: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day: where it stands, its hour and minute, and whether it says which half of the day it is in."""

    span: tuple[int, int]
    hour: int
    minute: int
    sure: bool


def number(text: str) -> float:
    """A number in digits or in Chinese up to 99, `半` or an English word.

    >>> number("12"), number("十二"), number("二十"), number("两"), number("半"), number("an")
    (12.0, 12.0, 20.0, 2.0, 0.5, 1.0)
    """
    if text == "半":
        return 0.5
    if text.isdecimal():
        return float(text)
    if text in _WORDS:
        return float(_WORDS[text])
    tens, ten, ones = text.rpartition("十")
    if not ten:
        return float(sum(_DIGITS[sign] * 10**place for place, sign in enumerate(reversed(text))))
    return 10.0 * (_DIGITS.get(tens, 1) if tens else 1) + (_DIGITS.get(ones, 0) if ones else 0)


Resolve = Callable[[re.Match[str], datetime | None], Day]


def _day(year: int, month: int, day: int, span: tuple[int, int]) -> Day:
    try:
        return Day(span, datetime(year, month, day))  # noqa: DTZ001 - as it was said, in the place's own time
    except ValueError:
        return Day(span, None, possible=False)


def _full(match: re.Match[str], _: datetime | None) -> Day:
    return _day(int(match["year"]), int(match["m"]), int(match["d"]), match.span())


def _no_year(match: re.Match[str], now: datetime | None) -> Day:
    month, day = int(number(match["m"])), int(number(match["d"]))
    if now is None:
        # A leap year, so that only days that never are are refused.
        return Day(match.span(), None, possible=_day(2024, month, day, match.span()).possible)
    return _nearest(month, day, now, match.span())


def _english(match: re.Match[str], now: datetime | None) -> Day:
    month = next(i for i, name in enumerate(_MONTHS, 1) if name.startswith(match["month"].lower()[:3]))
    day = int(match["d"])
    if match["year"]:
        return _day(int(match["year"]), month, day, match.span())
    if now is None:
        return Day(match.span(), None, possible=_day(2024, month, day, match.span()).possible)
    return _nearest(month, day, now, match.span())


def _nearest(month: int, day: int, now: datetime, span: tuple[int, int]) -> Day:
    """The day of that name that is nearest to now: in January `December 30th` was last year."""
    near = [_day(year, month, day, span) for year in (now.year - 1, now.year, now.year + 1)]
    real = [one for one in near if one.value is not None]
    if not real:
        return near[1]
    return min(real, key=lambda one: abs((one.value or now) - now))


def _said(match: re.Match[str], now: datetime | None) -> Day:
    word = re.sub(r"\s+", " ", match[0].lower())
    late = word.endswith(_EVENINGS)
    return Day(match.span(), None if now is None else _midnight(now, _SAID[word]), late=late)


def _midnight(now: datetime, days: int) -> datetime:
    return datetime.combine(now.date() + timedelta(days=days), datetime.min.time())


def _ago(match: re.Match[str], now: datetime | None) -> Day:
    count, unit = number(match["n"].lower()), match["unit"].lower()
    seconds = _UNIT_S[unit] * count
    exact = _UNIT_S[unit] < 86400
    if now is None:
        return Day(match.span(), None, exact)
    then = now - timedelta(seconds=seconds)
    return Day(match.span(), then.replace(second=0, microsecond=0) if exact else _midnight(then, 0), exact)


def _weekday(match: re.Match[str], now: datetime | None) -> Day:
    if now is None:
        return Day(match.span(), None)
    which = _WEEK.index("日" if match["w"] == "天" else match["w"])
    shift = {"上": -7, "下": 7}.get(match["which"] or "", 0)
    return Day(match.span(), _midnight(now, which - now.weekday() + shift))


def _english_weekday(match: re.Match[str], now: datetime | None) -> Day:
    """`last Monday` is before today, `next Monday` after it; `on Monday`, `since Monday` is the last one or today."""
    if now is None:
        return Day(match.span(), None)
    which, word = _DAYS.index(match["w"].lower()), (match["which"] or "").lower()
    back = (now.weekday() - which) % 7
    if word == "next":
        return Day(match.span(), _midnight(now, -back + 7))
    return Day(match.span(), _midnight(now, -(back or 7) if word == "last" else -back))


_FORMS: tuple[tuple[re.Pattern[str], Resolve], ...] = tuple(
    (re.compile(form, re.IGNORECASE), resolve)
    for form, resolve in (
        (r"(?<!\d)(?P<year>(?:19|20)\d\d)\s?年\s?(?P<m>\d{1,2})\s?月\s?(?P<d>\d{1,2})\s?[日号]?", _full),
        (r"(?<![\d.-])(?P<year>(?:19|20)\d\d)([-/.])(?P<m>\d{1,2})\2(?P<d>\d{1,2})(?!\d)", _full),
        (r"(?<!\d)(?P<m>\d{1,2}|十[一二]?|[一二三四五六七八九])\s?月\s?(?P<d>\d{1,2}|[一二三]?十[一二三四五六七八九]?|[一二三四五六七八九])\s?[日号]", _no_year),
        (rf"\b{_MONTH}\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s(?P<year>(?:19|20)\d\d))?(?!\d|:)", _english),
        (rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s(?P<year>(?:19|20)\d\d))?", _english),
        (rf"(?P<n>{_N})\s?(?P<unit>分钟|个?小时|个钟头|个?星期|周|天|日)(?:之|以)?前", _ago),
        (r"\b(?P<n>\d{1,4}|an?|one|two|three|four|five|six|seven|eight|nine|ten|half an)\s(?P<unit>minute|hour|day|week)s?\sago\b", _ago),
        (r"(?P<which>[上这本下])?个?(?:周|星期|礼拜)(?P<w>[一二三四五六日天])", _weekday),
        (rf"\b(?:(?P<which>last|next|this|on|since)\s)?(?P<w>{'|'.join(_DAYS)})\b", _english_weekday),
        ("|".join(sorted((word for word in _SAID if word > "\u2e80"), key=len, reverse=True)), _said),
        (r"\b(?:" + "|".join(sorted((re.sub(" ", r"\\s", w) for w in _SAID if w < "\u2e80"), key=len, reverse=True)) + r")\b", _said),
    )
)  # fmt: skip

_CLOCKS = (
    re.compile(
        r"(?P<part>凌晨|早上|早晨|清晨|上午|中午|下午|傍晚|晚上|夜里|半夜|深夜|早|晚|夜)?\s?(?<!\d)"
        r"(?P<h>[01]?\d|2[0-4]|[二两三四五六七八九]|十[一二]?|一)\s?(?:点钟?(?!建议|意见|要求|问题|原因|理由|看法|诉求|疑问)|时(?!间|候|常|段|不))(?:(?P<half>半)|(?P<m>[0-5]?\d|[一二三四五]?十[一二三四五六七八九]?)分?)?"
    ),
    re.compile(
        r"(?P<part>凌晨|早上|上午|中午|下午|傍晚|晚上)?\s?(?<![\d:.])(?P<h>[01]?\d|2[0-3]):(?P<m>[0-5]\d)(?::[0-5]\d)?(?![\d:])\s?(?P<ap>[ap]\.?m\b)?",
        re.IGNORECASE,
    ),
    re.compile(r"(?<![\d:.])(?P<h>1[0-2]|[1-9])\s?(?P<ap>[ap]\.?m\b)", re.IGNORECASE),
)


def days(text: str, now: datetime | None) -> list[Day]:
    """Every day that is named, in reading order; of forms that overlap the one that was looked for first."""
    found: list[Day] = []
    for form, resolve in _FORMS:
        for match in form.finditer(text):
            start, end = match.span()
            if all(end <= one.span[0] or start >= one.span[1] for one in found):
                found.append(_resolved(resolve, match, now))
    return sorted(found, key=lambda one: one.span)


def _resolved(resolve: Resolve, match: re.Match[str], now: datetime | None) -> Day:
    try:
        return resolve(match, now)
    except OverflowError:  # 9999 weeks before the year 1
        return Day(match.span(), None, possible=False)


def clocks(text: str) -> list[Clock]:
    """Every time of day, in reading order."""
    found: list[Clock] = []
    for form in _CLOCKS:
        for match in form.finditer(text):
            start, end = match.span()
            if all(end <= one.span[0] or start >= one.span[1] for one in found):
                found.append(_clock(match))
    return sorted(found, key=lambda one: one.span)


def _clock(match: re.Match[str]) -> Clock:
    said = match.groupdict()
    hour = int(number(said["h"])) % 24
    minute = 30 if said.get("half") else int(number(said["m"])) if said.get("m") else 0
    part, half = said.get("part") or "", (said.get("ap") or "").lower().replace(".", "")
    if part in _LATER and part not in ("下午", "傍晚") and hour == 12:
        hour = 0
    elif half == "pm" or part in _LATER:
        hour += 12 if hour < 12 else 0
    elif half == "am":
        hour %= 12
    elif part == "中午":
        hour += 12 if hour < 3 else 0
    elif part in ("半夜", "深夜"):
        hour = 0 if hour == 12 else hour + 12 if 6 <= hour < 12 else hour
    blanks = len(match[0]) - len(match[0].lstrip())
    end = match.start() + len(match[0].rstrip())
    return Clock((match.start() + blanks, end), hour % 24, minute, bool(part or half) or hour > 12)


def together(text: str, now: datetime | None) -> Iterator[tuple[tuple[int, int], str, str, bool]]:
    """Span, name, value and possibility of every moment: a day and a time of day side by side are one.

    Names are `date`, `datetime` and `time`; values ISO 8601, or the words themselves where nobody said what they are relative to.
    """
    left = clocks(text)
    for day in days(text, now):
        near = None if day.exact else next((one for one in left if _beside(text, day.span, one.span)), None)
        if near is not None:
            left.remove(near)
        yield _moment(text, day, near)
    for clock in left:
        yield clock.span, "time", f"{clock.hour:02}:{clock.minute:02}", True


def _moment(text: str, day: Day, clock: Clock | None) -> tuple[tuple[int, int], str, str, bool]:
    span = day.span if clock is None else (min(day.span[0], clock.span[0]), max(day.span[1], clock.span[1]))
    name = "datetime" if clock is not None or day.exact else "date"
    if day.value is None:
        return span, name, text[span[0] : span[1]], day.possible
    if clock is not None:
        hour = clock.hour + (12 if day.late and not clock.sure and 5 <= clock.hour < 12 else 0)
        return (
            span,
            name,
            day.value.replace(hour=hour, minute=clock.minute).isoformat(timespec="minutes"),
            True,
        )
    form: date = day.value if day.exact else day.value.date()
    return (
        span,
        name,
        form.isoformat(timespec="minutes") if isinstance(form, datetime) else form.isoformat(),
        True,
    )


_GLUE = re.compile(r"[\s,的,]{0,2}(?:at|on|around|about|since)?\s?", re.IGNORECASE)


def _beside(text: str, day: tuple[int, int], clock: tuple[int, int]) -> bool:
    first, second = sorted((day, clock))
    return bool(_GLUE.fullmatch(text[first[1] : second[0]]))
