"""`find-duplicates`: which of the texts before says the same. Reports of one burst pipe come in by the dozen."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

from pydantic import Field as Setting

from aihub.algorithms.base import StageParams
from aihub.algorithms.language.grams import is_han, runs
from aihub.algorithms.reading import TextStage
from aihub.types import AnyResult, Field, Fields, Passage, Predictor

REMEMBERED = 4096
"""Texts that are held against a new one; older ones are forgotten."""

_COMMON = 0.3
"""Pieces that more than this share of all texts have say nothing about which text it is, once there are enough texts to tell."""
_ENOUGH = 30
_ELSEWHERE = 0.6
"""What is left of the similarity of two texts that both name numbers (houses, buildings, phones) and share none."""


class DuplicateParams(StageParams):
    """Settings of `find-duplicates`."""

    similarity: float = Setting(0.55, ge=0.05, le=1, description="Least similarity of a duplicate.")
    most: int = Setting(3, ge=1, le=100, description="Earlier texts that are named, the most similar first.")


class FindDuplicates(TextStage[DuplicateParams]):
    """Cosine of the sets of pieces: two characters in a row of Chinese, words of English. An inverted index finds who shares any."""

    name = "find-duplicates"
    stateful = True

    def __init__(self, params: DuplicateParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._texts: deque[tuple[int, frozenset[str], frozenset[str]]] = deque()
        self._holders: defaultdict[str, set[int]] = defaultdict(set)
        self._known: dict[int, tuple[frozenset[str], frozenset[str]]] = {}

    def read(self, passage: Passage, found: AnyResult | None) -> Fields:  # noqa: ARG002 - a first stage
        """Fields `duplicate-of`: the place of an earlier text in the request, from 0, as value; the similarity as confidence."""
        pieces, numbers = _pieces(passage.text)
        shared: Counter[int] = Counter()
        for piece in pieces:
            holders = self._holders.get(piece, set())
            if len(self._known) < _ENOUGH or len(holders) <= _COMMON * len(self._known):
                shared.update(holders)
        rows: list[tuple[float, int]] = []
        for seq in shared:
            others, their_numbers = self._known[seq]
            score = len(pieces & others) / (len(pieces) * len(others)) ** 0.5
            if numbers and their_numbers and not numbers & their_numbers:
                score *= _ELSEWHERE
            if score >= self.params.similarity:
                rows.append((score, seq))
        rows.sort(key=lambda row: (-row[0], row[1]))
        self._remember(passage.seq, pieces, numbers)
        return Fields(
            tuple(Field("duplicate-of", str(seq), score) for score, seq in rows[: self.params.most])
        )

    def _remember(self, seq: int, pieces: frozenset[str], numbers: frozenset[str]) -> None:
        if not pieces or seq in self._known:
            return
        self._texts.append((seq, pieces, numbers))
        self._known[seq] = (pieces, numbers)
        for piece in pieces:
            self._holders[piece].add(seq)
        if len(self._texts) > REMEMBERED:
            oldest, theirs, _ = self._texts.popleft()
            del self._known[oldest]
            for piece in theirs:
                self._holders[piece].discard(oldest)
                if not self._holders[piece]:
                    del self._holders[piece]


def _pieces(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Pieces of a text, and the numbers in it."""
    pieces: set[str] = set()
    numbers: set[str] = set()
    for run in runs(text):
        if run.isdigit():
            numbers.add(run)
            pieces.add(run)
        elif is_han(run):
            pieces.update(run[i : i + 2] for i in range(max(1, len(run) - 1)))
        else:
            pieces.add(_stem(run))
    return frozenset(pieces), frozenset(numbers)


def _stem(word: str) -> str:
    """Without the commonest endings: `leaks` and `leaking` are one."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
