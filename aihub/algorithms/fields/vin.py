"""Vehicle identification numbers (ISO 3779) with the check digit that North America (49 CFR 565) and China (GB 16735) ask for."""

from __future__ import annotations

import re

from aihub.algorithms.fields.match import Match, apart, halfwidth

NAME = "vin"
_VALUE = dict(
    zip(
        "0123456789ABCDEFGHJKLMNPRSTUVWXYZ",
        (*range(10), *range(1, 9), *range(1, 6), 7, 9, *range(2, 10)),
        strict=True,
    )
)
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
CHECK_PLACE = 8
_FORM = re.compile(r"[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-Z0-9]{4}[A-HJ-NPR-Z0-9]{4}")
_NEVER = str.maketrans("OQI", "001")
"""The letters that no number has, for just that reason."""
_LIKELY = re.compile(r"(?<![A-Z0-9])[A-Z0-9](?:[ ]?[A-Z0-9]){16}(?![A-Z0-9])")


def check_digit(code: str) -> str:
    """The ninth sign of a number, whatever stands there now.

    >>> check_digit("1M8GDM9A_KP042788")
    'X'
    """
    total = sum(
        weight * _VALUE[sign]
        for place, (weight, sign) in enumerate(zip(_WEIGHTS, code, strict=True))
        if place != CHECK_PLACE
    )
    return "0123456789X"[total % 11]


def holds(code: str) -> bool:
    """Whether form and check digit are right. Numbers of European makers may be real and have no check digit.

    >>> holds("1M8GDM9AXKP042788"), holds("1M8GDM9A1KP042788")
    (True, False)
    """
    return _FORM.fullmatch(code) is not None and check_digit(code) == code[CHECK_PLACE]


def find_vins(text: str) -> list[Match]:
    """Numbers in a text; I, O and Q, which none has, are taken for 1 and 0. Wrong checks are marked.

    >>> [(one.value, one.valid) for one in find_vins("VIN: 1M8GDM9AXKPO42788")]
    [('1M8GDM9AXKP042788', True)]
    """
    found = []
    for match in _LIKELY.finditer(halfwidth(text).upper()):
        code = match[0].replace(" ", "").translate(_NEVER)
        told = sum(sign.isdigit() for sign in code)
        if holds(code) or (_FORM.fullmatch(code) and 3 <= told <= 15):
            found.append(Match(NAME, code, holds(code), match.span()))
    return apart(found)
