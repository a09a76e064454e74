"""Numbers of payment cards: issuer's prefix and length (ISO/IEC 7812), Luhn check."""

from __future__ import annotations

import re

from aihub.algorithms.fields import luhn
from aihub.algorithms.fields.match import Match, apart, digits_of, halfwidth

NAME = "card-number"
_SCHEMES: tuple[tuple[str, int, int, tuple[int, ...]], ...] = (
    ("amex", 34, 34, (15,)),
    ("amex", 37, 37, (15,)),
    ("diners", 36, 36, (14,)),
    ("diners", 38, 39, (14,)),
    ("jcb", 3528, 3589, (16,)),
    ("visa", 4, 4, (13, 16, 19)),
    ("mastercard", 51, 55, (16,)),
    ("mastercard", 2221, 2720, (16,)),
    ("discover", 6011, 6011, (16,)),
    ("discover", 65, 65, (16,)),
    ("unionpay", 62, 62, (16, 17, 18, 19)),
    ("unionpay", 81, 81, (16, 17, 18, 19)),
)
"""Name, first and last prefix, lengths. As the schemes publish them."""
_FORM = re.compile(r"(?<![0-9A-Za-z.])\d(?:[ -]?\d){12,18}(?![0-9A-Za-z])")


def scheme(digits: str) -> str:
    """Whose card that is by its prefix and length; empty for none that is known.

    >>> scheme("4111111111111111"), scheme("6222020000000000000"), scheme("1234567890123456")
    ('visa', 'unionpay', '')
    """
    for name, first, last, lengths in _SCHEMES:
        head = digits[: len(str(first))]
        if len(digits) in lengths and head.isdigit() and first <= int(head) <= last:
            return name
    return ""


def holds(digits: str) -> bool:
    """Whether prefix, length and Luhn check are those of a payment card."""
    return bool(scheme(digits)) and luhn.holds(digits)


def find_cards(text: str, *, wrong: bool = False) -> list[Match]:
    """Card numbers in a text, groups of digits apart or not.

    Args:
        text: any.
        wrong: also those whose Luhn check fails but whose prefix and length fit, marked `valid=False`.

    >>> find_cards("card 4111 1111 1111 1111.")
    [Match(name='card-number', value='4111111111111111', valid=True, span=(5, 24))]
    """
    found = []
    for match in _FORM.finditer(halfwidth(text)):
        digits = digits_of(match[0])
        if scheme(digits) and (wrong or luhn.holds(digits)):
            found.append(Match(NAME, digits, luhn.holds(digits), match.span()))
    return apart(found)
