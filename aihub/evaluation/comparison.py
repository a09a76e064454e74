"""Two models on the same pictures: the difference, and whether it is more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from aihub.errors import InputError
from aihub.evaluation.figures import ALL, Json, Tally
from aihub.evaluation.report import Column, Report
from aihub.evaluation.truth import F64

RESAMPLES = 200
SEED = 20_260_101
"""Fixed, so that the same models on the same pictures give the same interval."""
FEWEST = 10
"""Resamples in which a figure must exist for an interval to be told."""
_INSIDE = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first of one figure.

    Attributes:
        first: the figure of the first model, None where there is nothing to divide by.
        second: of the second.
        low: lower end of the 95 % interval of the difference over resampled pictures; None when it cannot be told.
        high: upper end.
    """

    first: float | None
    second: float | None
    low: float | None = None
    high: float | None = None

    @property
    def difference(self) -> float | None:
        """Second minus first."""
        return None if self.first is None or self.second is None else self.second - self.first

    @property
    def clear(self) -> bool | None:
        """Whether the interval leaves out zero; None without an interval."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0

    def to_json(self) -> Json:
        """Plain values; `interval` None for a figure that is not resampled."""
        interval = None if self.low is None or self.high is None else [_told(self.low), _told(self.high)]
        return {
            "first": _told(self.first), "second": _told(self.second), "difference": _told(self.difference),
            "interval": interval, "clear": self.clear,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two reports side by side.

    Attributes:
        first: of the one model.
        second: of the other.
        figures: label (`all` first) -> name of a figure -> its difference.
        resamples: how often the pictures were drawn anew.
    """

    first: Report
    second: Report
    figures: dict[str, dict[str, Difference]]
    resamples: int

    def to_json(self) -> Json:
        """`differences` by label and figure, then both reports whole."""
        return {
            "resamples": self.resamples,
            "seed": SEED,
            "differences": {
                label: {name: value.to_json() for name, value in row.items()}
                for label, row in self.figures.items()
            },
            "first": self.first.to_json(),
            "second": self.second.to_json(),
        }


def compare(first: Report, second: Report, *, resamples: int = RESAMPLES, seed: int = SEED) -> Comparison:
    """Set two models side by side, each at its own operating point.

    F1 and the recall of pictures get a 95 % interval of the difference: pictures are drawn anew with replacement, the same
    for both models. Thresholds stay as they are, so the interval is that of running the models as chosen.

    Args:
        first: of the one model.
        second: of the other, on the same pictures and labels.
        resamples: how often pictures are drawn.
        seed: of the draws.

    Raises:
        InputError: other pictures or other labels.
    """
    if first.truth.pictures != second.truth.pictures:
        raise InputError(
            "the two reports are of different pictures", field="data", hint="measure both on the same"
        )
    if first.truth.labels != second.truth.labels:
        raise InputError(
            f"{first.model} was measured on {', '.join(first.truth.labels)}; {second.model} on {', '.join(second.truth.labels)}",
            field="labels", hint="name the labels that both know with --labels",
        )  # fmt: skip
    pictures = len(first.truth.pictures)
    draws = np.random.default_rng(seed).multinomial(pictures, np.full(pictures, 1 / pictures), size=resamples)
    figures = {
        one.label: _row(one, other, draws) for one, other in zip(first.columns, second.columns, strict=True)
    }
    speed = figures[ALL]
    speed["ms_per_picture"] = Difference(first.ms_per_picture, second.ms_per_picture)
    speed["file_mb"] = Difference(first.file_mb, second.file_mb)
    return Comparison(first, second, figures, resamples)


def _row(one: Column, other: Column, draws: npt.NDArray[np.int64]) -> dict[str, Difference]:
    mine, theirs = one.tally.to_json(), other.tally.to_json()

    def plain(*path: str) -> Difference:
        a: Any = mine
        b: Any = theirs
        for name in path:
            a, b = a[name], b[name]
        return Difference(a, b)

    def drawn(value: Difference, a: F64, b: F64) -> Difference:
        spread = (b - a)[np.isfinite(b - a)]
        if len(spread) < FEWEST:
            return value
        low, high = np.percentile(spread, _INSIDE)
        return Difference(value.first, value.second, float(low), float(high))

    return {
        "map50": Difference(one.ap50, other.ap50),
        "map50_95": Difference(one.ap, other.ap),
        "threshold": Difference(one.point.threshold, other.point.threshold),
        "precision": plain("precision"),
        "recall": plain("recall"),
        "f1": drawn(plain("f1"), _f1(one.tally, draws), _f1(other.tally, draws)),
        "picture_recall": drawn(
            plain("pictures", "recall"),
            _picture_recall(one.tally, draws),
            _picture_recall(other.tally, draws),
        ),
        "false_alarms_per_1000": plain("pictures", "false_alarms_per_1000"),
    }


def _f1(tally: Tally, draws: npt.NDArray[np.int64]) -> F64:
    """`(resamples,)`; NaN where neither boxes nor things were drawn."""
    return _ratio(draws @ (2 * tally.right), draws @ (tally.right + tally.wrong + tally.things))


def _picture_recall(tally: Tally, draws: npt.NDArray[np.int64]) -> F64:
    return _ratio(
        draws @ (tally.present & tally.raised).astype(np.int64), draws @ tally.present.astype(np.int64)
    )


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> F64:
    return cast("F64", np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def _told(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
