"""A piece of text that has a known form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """Something of a known form in a text.

    Attributes:
        name: of the form, such as `id-number`, `phone`.
        value: as it is to be used: without spaces, with look-alikes put right.
        valid: whether its check holds; None where the form has none.
        span: first character in the text and the one after the last.
    """

    name: str
    value: str
    valid: bool | None
    span: tuple[int, int]


def halfwidth(text: str) -> str:
    """Full-width letters, digits and signs as plain ones; as many characters as before, so that places stay.

    >>> halfwidth("ＡＢ１２：ㄅ")
    'AB12:ㄅ'
    """
    return "".join(_plain(sign) for sign in text)


def _plain(sign: str) -> str:
    if sign.isascii():
        return sign
    plain = unicodedata.normalize("NFKC", sign)
    return plain if len(plain) == 1 and plain.isascii() else sign


def apart(matches: Iterable[Match]) -> list[Match]:
    """Those that do not overlap, in the order of the text: valid before unchecked before wrong, then the longer."""
    rank = {True: 0, None: 1, False: 2}
    chosen: list[Match] = []
    for one in sorted(matches, key=lambda m: (rank[m.valid], m.span[0] - m.span[1], m.span)):
        if all(one.span[1] <= other.span[0] or one.span[0] >= other.span[1] for other in chosen):
            chosen.append(one)
    return sorted(chosen, key=lambda m: m.span)


def digits_of(text: str) -> str:
    """Only the digits 0 to 9.

    >>> digits_of("6222 0200-1")
    '622202001'
    """
    return re.sub(r"[^0-9]", "", text)
