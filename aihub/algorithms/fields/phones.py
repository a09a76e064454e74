"""Telephone numbers: Chinese mobiles and landlines as they are written there, others in the form of ITU-T E.123 with `+`."""

from __future__ import annotations

import re

from aihub.algorithms.fields.match import Match, apart, digits_of, halfwidth

NAME = "phone"
_BEFORE, _AFTER = r"(?<![0-9A-Za-z+.])", r"(?![0-9A-Za-z]|\.\d)"
_CHINA = r"(?:(?:\+|00)86[ -]?)?"
_MOBILE = re.compile(rf"{_BEFORE}{_CHINA}(1[3-9]\d(?:[ -]?\d{{4}}){{2}}){_AFTER}", re.ASCII)
_LANDLINE = re.compile(
    rf"{_BEFORE}{_CHINA}(\(0\d{{2,3}}\)[ ]?|0\d{{2,3}}[ -])([2-8]\d{{2,3}}[ -]?\d{{4}})(?:[ -]?(?:转|ext\.? ?)(\d{{1,5}}))?{_AFTER}",
    re.ASCII,
)
_TOGETHER = re.compile(rf"{_BEFORE}(0(?:10|2\d|[3-9]\d\d))([2-8]\d{{6,7}}){_AFTER}", re.ASCII)
_SERVICE = re.compile(rf"{_BEFORE}([48]00[ -]?\d{{3,4}}[ -]?\d{{3,4}}){_AFTER}", re.ASCII)
_ABROAD = re.compile(rf"(?<![0-9A-Za-z+.])\+(?!86)([1-9](?:[ -]?\(?\d\)?){{7,14}}){_AFTER}", re.ASCII)


def find_phones(text: str) -> list[Match]:
    """Telephone numbers in a text: `valid` is None, for a telephone number has no check digit.

    Values are digits only, with `+` and country where the text has one, `x` before an extension.

    >>> [(one.value, one.span) for one in find_phones("请拨 138 0013 8000 或 010-62345678 转 12")]
    [('13800138000', (3, 16)), ('01062345678', (19, 31))]
    """
    plain = halfwidth(text)
    found = [Match(NAME, digits_of(one[1]), None, one.span()) for one in _MOBILE.finditer(plain)]
    for form in (_LANDLINE, _TOGETHER):
        for one in form.finditer(plain):
            more = one[3] if form is _LANDLINE and one[3] else ""
            value = digits_of(one[1] + one[2]) + (f"x{more}" if more else "")
            if 10 <= len(digits_of(one[1] + one[2])) <= 12:
                found.append(Match(NAME, value, None, one.span()))
    found += [
        Match(NAME, digits_of(one[1]), None, one.span())
        for one in _SERVICE.finditer(plain)
        if len(digits_of(one[1])) == 10
    ]
    found += [Match(NAME, f"+{digits_of(one[1])}", None, one.span()) for one in _ABROAD.finditer(plain)]
    return apart(found)
