"""Citizens' identity numbers of the People's Republic of China (GB 11643-1999): 17 digits and an ISO 7064 MOD 11-2 check."""

from __future__ import annotations

import datetime as dt
import re

from aihub.algorithms.fields.match import Match, apart, halfwidth

NAME = "id-number"
_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))
_CHECKS = "10X98765432"
_PROVINCES = frozenset(
    (
        *map(str, (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55))),
        *map(str, (*range(61, 66), 71, 81, 82, 83)),
    )
)
"""First two digits: provinces, and the residence permits of Hong Kong, Macao and Taiwan residents (81 to 83)."""
_FORM = re.compile(r"(?<![0-9A-Za-z])\d{6}[ -]?\d{8}[ -]?\d{3}[0-9Xx](?![0-9A-Za-z])")
_EIGHTEEN = re.compile(r"\d{17}[0-9X]", re.ASCII)
_FIRST_YEAR = 1850


def check_digit(digits: str) -> str:
    """The last sign for 17 digits.

    >>> check_digit("11010519491231002")
    'X'
    """
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True))
    return _CHECKS[total % 11]


def birth_date(number: str) -> dt.date | None:
    """The date of birth in a number; None when that is no date."""
    try:
        born = dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None
    return born if born.year >= _FIRST_YEAR else None


def holds(number: str) -> bool:
    """Whether region, date of birth and check sign are right.

    >>> holds("11010519491231002X"), holds("110105194912310021"), holds("11010519491331002X")
    (True, False, False)
    """
    return (
        _EIGHTEEN.fullmatch(number) is not None
        and number[:2] in _PROVINCES
        and birth_date(number) is not None
        and check_digit(number[:17]) == number[17]
    )


def find_ids(text: str, *, wrong: bool = False) -> list[Match]:
    """Identity numbers in a text.

    Args:
        text: any.
        wrong: also those whose check fails but which have a province and a date of birth, marked `valid=False`.

    >>> find_ids("身份证：11010519491231002x")
    [Match(name='id-number', value='11010519491231002X', valid=True, span=(4, 22))]
    """
    found = []
    for match in _FORM.finditer(halfwidth(text)):
        number = re.sub(r"[ -]", "", match[0]).upper()
        likely = number[:2] in _PROVINCES and birth_date(number) is not None
        if likely and (wrong or holds(number)):
            found.append(Match(NAME, number, holds(number), match.span()))
    return apart(found)
