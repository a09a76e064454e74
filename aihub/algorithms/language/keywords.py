"""`find-keywords`: the words that a text is about. Chinese by jieba's dictionary and word frequencies, English by TextRank.

Mihalcea and Tarau, "TextRank: Bringing Order into Texts" (2004). jieba is MIT; its dictionary is read here without its cache file,
which it would put where everybody may write.
"""

from __future__ import annotations

import importlib.util
import re
from collections import Counter, defaultdict
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import Field as Setting

from aihub.algorithms.base import StageParams
from aihub.algorithms.reading import TextStage
from aihub.types import AnyResult, Field, Fields, Passage

LONGEST = 10_000
"""Characters that are looked at."""

_WINDOW = 4
_DAMPING = 0.85
_ROUNDS = 30
_HAN = re.compile(r"[\u3400-\u9fff]{2,}")
_LATIN = re.compile(r"[A-Za-z][A-Za-z'-]{2,30}")

_COMMON = Path(__file__).with_name("common-words.txt")


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    """Words that say nothing of what a text is about."""
    return frozenset(_COMMON.read_text(encoding="utf-8").split())


@lru_cache(maxsize=1)
def _words() -> tuple[Any, dict[str, float], float]:
    """jieba's tokenizer, how rare each word is, and what counts for words that are not in that list."""
    tokenizer: Any = import_module("jieba").Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    rarity: dict[str, float] = {}
    with files("jieba").joinpath("analyse/idf.txt").open(encoding="utf-8") as lines:
        for line in lines:
            word, _, value = line.rstrip("\n").partition(" ")
            rarity[word] = float(value)
    return tokenizer, rarity, sorted(rarity.values())[len(rarity) // 2]


class KeywordParams(StageParams):
    """Settings of `find-keywords`."""

    most: int = Setting(8, ge=1, le=100, description="Keywords that are given.")
    confidence: float = Setting(0.0, ge=0, le=1, description="Weight below which a word is not given.")


class FindKeywords(TextStage[KeywordParams]):
    """Words that are frequent here and rare elsewhere, or that stand beside many others."""

    name = "find-keywords"

    @classmethod
    def unavailable(cls) -> str:
        """That jieba is not installed."""
        if importlib.util.find_spec("jieba") is None:
            return "jieba is not installed: pip install 'aihub[language]'"
        return ""

    def read(self, passage: Passage, found: AnyResult | None) -> Fields:  # noqa: ARG002 - a first stage
        """Fields `keyword`, the weightiest first, with the place where each first stands.

        The confidence is the weight beside the weightiest of the same language, so the first has 1.
        """
        text = passage.text[:LONGEST]
        rows = [*_of_han(text), *_of_latin(text)]
        rows.sort(key=lambda row: (-row.confidence, row.span or (0, 0)))
        return Fields(
            tuple(row for row in rows if row.confidence >= self.params.confidence)[: self.params.most]
        )


def _of_han(text: str) -> list[Field]:
    runs = list(_HAN.finditer(text))
    if not runs:
        return []
    tokenizer, rarity, usual = _words()
    common = _common()
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}
    for run in runs:
        at = run.start()
        for word in tokenizer.cut(run[0]):
            if len(word) > 1 and word not in common:
                counts[word] += 1
                first.setdefault(word, at)
            at += len(word)
    return _fields({word: count * rarity.get(word, usual) for word, count in counts.items()}, first)


def _of_latin(text: str) -> list[Field]:
    words: list[str] = []
    common = _common()
    first: dict[str, int] = {}
    for match in _LATIN.finditer(text):
        word = match[0].lower()
        if word not in common:
            words.append(word)
            first.setdefault(word, match.start())
    near: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for index, word in enumerate(words):
        for other in words[index + 1 : index + _WINDOW]:
            if other != word:
                near[word][other] += 1
                near[other][word] += 1
    # A word alone has no neighbours and still is what the text is about.
    ranks = dict.fromkeys(sorted(set(words)), 1.0)
    strength = {word: sum(others.values()) for word, others in near.items()}
    for _ in range(_ROUNDS):
        ranks = {
            word: 1 - _DAMPING + _DAMPING * sum(
                ranks[other] * count / strength[other] for other, count in sorted(near[word].items())
            )
            for word in ranks
        }  # fmt: skip
    return _fields(ranks, first)


def _fields(weights: dict[str, float], first: dict[str, int]) -> list[Field]:
    most = max(weights.values(), default=0.0)
    return [
        Field("keyword", word, weight / most, None, span=(first[word], first[word] + len(word)))
        for word, weight in weights.items()
        if most > 0
    ]
