"""Letters and digits that readers of print take for each other, put right where a form says which of them stands there.

A repair counts only when the check of the form then holds: a guess is never given out as read.
"""

from __future__ import annotations

from collections.abc import Callable

_TO_DIGIT = str.maketrans("OoQDUIilL|!ZzSsBGbTAq", "000001111112255866749")
_TO_LETTER = str.maketrans("012568|", "OIZSGBI")
LETTER, DIGIT, EITHER = "A", "9", "*"


def repair(text: str, form: str, holds: Callable[[str], bool]) -> tuple[str, bool]:
    """The text, put right where that makes its check hold.

    Args:
        text: as read, without spaces.
        form: one sign a character: `A` a letter, `9` a digit, `*` either.
        holds: the check.

    Returns:
        What is to be used and whether its check holds; the text itself where no repair helps.

    >>> repair("OO1I", "9999", lambda text: text == "0011")
    ('0011', True)
    >>> repair("OO1I", "9999", lambda text: text == "0012")
    ('OO1I', False)
    """
    if holds(text) or len(text) != len(form):
        return text, holds(text)
    better = "".join(_as(sign, kind) for sign, kind in zip(text, form, strict=True))
    return (better, True) if holds(better) else (text, False)


def _as(sign: str, kind: str) -> str:
    if kind == DIGIT and not sign.isdigit():
        return sign.translate(_TO_DIGIT)
    if kind == LETTER and not sign.isalpha():
        return sign.translate(_TO_LETTER)
    return sign


def digits(text: str) -> str:
    """Every look-alike of a digit as that digit.

    >>> digits("2O26-O1-3l")
    '2026-01-31'
    """
    return text.translate(_TO_DIGIT)


def letters(text: str) -> str:
    """Every look-alike of a letter as that letter, for elements that have no digits.

    >>> letters("ER1KSS0N<")
    'ERIKSSON<'
    """
    return text.translate(_TO_LETTER)
