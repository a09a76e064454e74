"""The Luhn check of card numbers (ISO/IEC 7812-1, annex B): catches each wrong digit and nearly each swap."""

from __future__ import annotations

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def holds(digits: str) -> bool:
    """Whether the last digit checks the others.

    >>> holds("79927398713"), holds("79927398710"), holds("")
    (True, False, False)
    """
    if len(digits) < 2 or not (digits.isascii() and digits.isdigit()):
        return False
    return check_digit(digits[:-1]) == digits[-1]


def check_digit(digits: str) -> str:
    """The digit to put behind.

    >>> check_digit("7992739871")
    '3'
    """
    total = sum(
        _DOUBLED[int(digit)] if place % 2 == 0 else int(digit) for place, digit in enumerate(reversed(digits))
    )
    return str(-total % 10)
