"""Numbers of freight containers (ISO 6346): owner, category U, J or Z, six digits, check digit."""

from __future__ import annotations

import re

from aihub.algorithms.fields.lookalikes import repair
from aihub.algorithms.fields.match import Match, apart, halfwidth

NAME = "container-number"
FORM = "AAAA9999999"
_CODE = re.compile(r"[A-Z]{3}[UJZ][0-9]{7}")
_VALUE = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (*range(11), *range(12, 22), *range(23, 33), *range(34, 39)),
        strict=True,
    )
)
"""Letters skip the multiples of 11."""
_LIKELY = re.compile(
    r"(?<![A-Z0-9])(?=([A-Z0-9|]{3}\s?[A-Z0-9]\s?[A-Z0-9|](?:\s?[A-Z0-9|]){5}[\s\[\]()|-]{0,3}[A-Z0-9])(?![A-Z0-9]))"
)
_UNCHECKED = re.compile(r"(?<![A-Z0-9])([A-Z]{3}[UJZ])\s?([0-9]{6})(?![0-9])")


def check_digit(stem: str) -> str:
    """The digit to put behind owner, category and six digits.

    >>> check_digit("CSQU305438")
    '3'
    """
    total = sum(_VALUE[sign] << place for place, sign in enumerate(stem))
    return str(total % 11 % 10)


def holds(code: str) -> bool:
    """Whether form and check digit are right.

    >>> holds("CSQU3054383"), holds("CSQU3054384"), holds("CSQX3054383")
    (True, False, False)
    """
    return _CODE.fullmatch(code) is not None and check_digit(code[:10]) == code[10]


def find_containers(text: str) -> list[Match]:
    """Container numbers in a text, parts apart or not; wrong ones only where letters and digits stand as they must.

    Where the check digit was not read, which often stands in a box, what was read is told as not valid.

    >>> [(one.value, one.valid) for one in find_containers("CSQU 3O5438 3 22G1")]
    [('CSQU3054383', True)]
    >>> [(one.value, one.valid) for one in find_containers("CSQU 305438 22G1")]
    [('CSQU305438', False)]
    """
    plain = halfwidth(text).upper()
    found = []
    for match in _LIKELY.finditer(plain):
        read = re.sub(r"[^A-Z0-9|]", "", match[1])
        code, right = repair(read, FORM, holds)
        if right or _CODE.fullmatch(code):
            found.append(Match(NAME, code, right, match.span(1)))
    found += [Match(NAME, one[1] + one[2], False, one.span()) for one in _UNCHECKED.finditer(plain)]
    return apart(found)
