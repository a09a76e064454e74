"""Texts as bags of character n-grams: enough for short messages in Chinese and English, without a tokenizer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_RUNS = re.compile(r"[\u3400-\u9fff]+|[a-z]+(?:'[a-z]+)?|\d+")
_HAN = re.compile(r"[\u3400-\u9fff]")

LONGEST = 5000
"""Characters of a text that are looked at."""


def plain(text: str) -> str:
    """One form for what looks alike: full width as half width, capitals as small letters."""
    return unicodedata.normalize("NFKC", text[:LONGEST]).lower()


def runs(text: str) -> list[str]:
    """Stretches of Chinese characters, words of Latin letters, and numbers, in order.

    >>> runs("A区3栋 Elevator坏了")
    ['a', '区', '3', '栋', 'elevator', '坏了']
    """
    return _RUNS.findall(plain(text))


def is_han(run: str) -> bool:
    """Whether a run is of Chinese characters."""
    return bool(_HAN.match(run))


def grams(text: str) -> Iterator[str]:
    """Of Chinese one to three characters in a row; of Latin words the word, its neighbours, and pieces of four and five letters."""
    before = ""
    for run in runs(text):
        if is_han(run):
            for size in (1, 2, 3):
                yield from (run[i : i + size] for i in range(len(run) - size + 1))
            before = ""
        elif run.isdigit():
            before = ""  # house numbers say nothing about the matter
        else:
            yield f"<{run}>"
            if before:
                yield f"<{before} {run}>"
            for size in (4, 5):
                yield from (f"<{run}>"[i : i + size] for i in range(len(run) + 3 - size))
            before = run
