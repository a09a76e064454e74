"""`classify-text`: what a caller's message is about, by a linear model over character n-grams.

The model is learned from the labelled sentences beside this module when it is first asked, in a fraction of a second: the
sentences are the model, and whoever disagrees with an answer can read why.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.language.grams import grams, is_han, plain, runs
from aihub.algorithms.reading import TextStage
from aihub.types import AnyResult, Labels, Passage

F64 = npt.NDArray[np.float64]

SENTENCES = Path(__file__).parent / "tickets"
RIDGE = 0.1
"""Weight of the penalty on large weights, chosen by five-fold cross-validation on the sentences that are learned from."""

LISTED = 0.5
"""Weight of a list beside the n-grams, chosen the same way."""


def labelled(part: str) -> list[tuple[str, str]]:
    """Label and text of every sentence of `train` or `held-out`."""
    lines = (SENTENCES / f"{part}.tsv").read_text(encoding="utf-8").splitlines()
    return [(label, text) for label, _, text in (line.partition("\t") for line in lines if line)]


def words() -> dict[str, tuple[str, ...]]:
    """By label, what speaks for it: Chinese words, and English ones in small letters."""
    with (SENTENCES / "words.yaml").open(encoding="utf-8") as file:
        listed = yaml.safe_load(file)
    return {label: tuple(dict.fromkeys(plain(text).split())) for label, text in sorted(listed.items())}


class Features:
    """What a text is to the model: which n-grams it has, and how many words of each list.

    Args:
        texts: whose n-grams are known.
        lists: words by label.
    """

    def __init__(self, texts: Sequence[str], lists: Mapping[str, Sequence[str]]) -> None:
        seen = [Counter(grams(text)) for text in texts]
        counts = Counter(gram for one in seen for gram in one)
        self._grams = {gram: index for index, gram in enumerate(sorted(counts))}
        self._rarity = np.array(
            [np.log((1 + len(texts)) / (1 + counts[gram])) + 1 for gram in sorted(counts)]
        )
        self._lists = [
            (
                re.compile(
                    "|".join(sorted(map(re.escape, filter(is_han, one)), key=len, reverse=True)) or "$^"
                ),
                frozenset(word for word in one if not is_han(word)),
            )
            for one in lists.values()
        ]
        self.size = len(self._grams) + len(self._lists)

    def row(self, text: str) -> tuple[npt.NDArray[np.intp], F64] | None:
        """Columns and values of a text; None for one that has nothing that is known."""
        counts = Counter(self._grams[gram] for gram in grams(text) if gram in self._grams)
        places = np.fromiter(counts, np.intp, len(counts))
        values = (1 + np.log(np.fromiter(counts.values(), np.float64, len(counts)))) * self._rarity[places]
        if len(values):
            values /= np.linalg.norm(values)
        hits = self._hits(text)
        if not len(places) and not hits.any():
            return None
        return (
            np.concatenate([places, len(self._grams) + np.arange(len(hits))]),
            np.concatenate([values, LISTED * np.log1p(hits)]),
        )

    def _hits(self, text: str) -> F64:
        said = plain(text)
        latin = {run for run in runs(text) if not is_han(run)}
        return np.array(
            [len(set(han.findall(said))) + len(latin & words) for han, words in self._lists], float
        )


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A multinomial logistic regression.

    Attributes:
        labels: names, in the order of the columns.
        features: what a text is to it.
        weights: `(features, labels)`.
        bias: `(labels,)`.
    """

    labels: tuple[str, ...]
    features: Features
    weights: F64
    bias: F64

    def scores(self, text: str) -> dict[str, float]:
        """Probability of every label; empty for a text that has nothing in common with sentences and lists."""
        row = self.features.row(text)
        if row is None:
            return {}
        places, values = row
        raw = values @ self.weights[places] + self.bias
        odds = np.exp(raw - raw.max())
        return dict(zip(self.labels, (odds / odds.sum()).tolist(), strict=True))


def learned(
    sentences: Sequence[tuple[str, str]], lists: Mapping[str, Sequence[str]], ridge: float = RIDGE
) -> Linear:
    """The model that those sentences make. The same for the same sentences.

    Args:
        sentences: labels and texts.
        lists: words by label; they weigh what the sentences make them weigh.
        ridge: weight of the penalty on large weights.
    """
    from scipy.optimize import minimize

    labels = tuple(sorted({label for label, _ in sentences}))
    features = Features([text for _, text in sentences], lists)
    rows = np.zeros((len(sentences), features.size))
    for index, (_, text) in enumerate(sentences):
        row = features.row(text)
        if row is not None:
            rows[index, row[0]] = row[1]
    truth = np.array([[label == name for name in labels] for label, _ in sentences], np.float64)
    # Few sentences and many n-grams: weights are sums of the rows, so it is solved for one number a sentence and label.
    kernel = rows @ rows.T
    count, shape = len(sentences), truth.shape

    def loss(flat: F64) -> tuple[float, F64]:
        made = flat.reshape(shape[0] + 1, shape[1])
        alpha, bias = made[:-1], made[-1]
        raw = kernel @ alpha + bias
        raw -= raw.max(axis=1, keepdims=True)
        odds = np.exp(raw)
        odds /= odds.sum(axis=1, keepdims=True)
        missed = -float(np.log((odds * truth).sum(axis=1) + 1e-300).mean())
        error = (odds - truth) / count
        size = float((alpha * (kernel @ alpha)).sum())
        slope = np.vstack([kernel @ (error + ridge / count * alpha), error.sum(axis=0)[None]])
        return missed + ridge / (2 * count) * size, slope.ravel()

    start = np.zeros((shape[0] + 1) * shape[1])
    solved = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100})
    made = solved.x.reshape(shape[0] + 1, shape[1])
    return Linear(labels, features, rows.T @ made[:-1], made[-1])


@lru_cache(maxsize=1)
def model() -> Linear:
    """The one of the sentences and lists that come with the project, learned once a process."""
    return learned(labelled("train"), words())


class ClassifyParams(StageParams):
    """Settings of `classify-text`."""

    confidence: float = Field(0.3, ge=0, le=1, description="Probability below which a label is not given.")


class ClassifyText(TextStage[ClassifyParams]):
    """Labels of a text. Where none is sure enough there are none: a person should read it."""

    name = "classify-text"

    def read(self, passage: Passage, found: AnyResult | None) -> Labels:  # noqa: ARG002 - a first stage
        """Every label that is probable enough."""
        scores = model().scores(passage.text)
        return Labels.of({name: p for name, p in scores.items() if p >= self.params.confidence})
