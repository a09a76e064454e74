"""Unified social credit codes of China (GB 32100-2015): registrar, kind, region, organisation, check character."""

from __future__ import annotations

import re

from aihub.algorithms.fields.match import Match, apart, halfwidth

NAME = "credit-code"
_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_FORM = re.compile(rf"[{_SIGNS}]{{2}}[0-9]{{6}}[{_SIGNS}]{{10}}")
_NEVER = str.maketrans("IOZSV", "1025Y")
"""Letters that no code has, and what they were read for."""
_REGION = str.maketrans("DQLBGTA", "0018674")
_LIKELY = re.compile(r"(?<![A-Z0-9])[A-Z0-9]{18}(?![A-Z0-9])")


def check_digit(stem: str) -> str:
    """The character to put behind 17.

    >>> check_digit("91350100M000100Y4")
    '3'
    """
    total = sum(weight * _SIGNS.index(sign) for weight, sign in zip(_WEIGHTS, stem, strict=True))
    return _SIGNS[-total % 31]


def holds(code: str) -> bool:
    """Whether form and check character are right.

    >>> holds("91350100M000100Y43"), holds("91350100M000100Y44")
    (True, False)
    """
    return _FORM.fullmatch(code) is not None and check_digit(code[:17]) == code[17]


def find_codes(text: str) -> list[Match]:
    """Codes in a text; wrong ones are marked.

    >>> [(one.value, one.valid) for one in find_codes("代码:9135O100M000100Y43")]
    [('91350100M000100Y43', True)]
    """
    found = []
    for match in _LIKELY.finditer(halfwidth(text).upper()):
        read = match[0].translate(_NEVER)
        better = read[:2] + read[2:8].translate(_REGION) + read[8:]
        code = better if holds(better) else match[0]
        if holds(code) or _FORM.fullmatch(code):
            found.append(Match(NAME, code, holds(code), match.span()))
    return apart(found)
