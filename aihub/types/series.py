"""Texts and series of numbers on their way through the hub, and what is found in a series: the siblings of `Frame`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from aihub.types.bill import Bill
from aihub.types.frame import Memo
from aihub.types.tasks import Task

Json = dict[str, Any]
F64 = npt.NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Passage:
    """A text.

    Attributes:
        text: as it was sent.
        seq: its place among the texts of its request, from 0.
        memo: shared intermediate results of this text.
        bill: where work on it is put down; None when nobody counts.
    """

    text: str
    seq: int = 0
    memo: Memo = field(default_factory=Memo, repr=False)
    bill: Bill | None = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class Series:
    """Measured values in the order of time.

    Attributes:
        at: `(n,)` float64 seconds since the epoch, rising.
        values: `(n,)` float64; NaN where nothing was measured.
        seq: its place among the series of its request, from 0.
        memo: shared intermediate results of this series.
        bill: where work on it is put down; None when nobody counts.
    """

    at: F64
    values: F64
    seq: int = 0
    memo: Memo = field(default_factory=Memo, repr=False)
    bill: Bill | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.at.shape != self.values.shape or self.at.ndim != 1:
            raise ValueError(f"at {self.at.shape} and values {self.values.shape} must be of one length")

    @classmethod
    def regular(cls, values: Iterable[float], step_s: float = 1.0, start: float = 0.0) -> Self:
        """Values that follow each other every `step_s` seconds from `start` on."""
        column = np.fromiter(values, np.float64)
        return cls(start + step_s * np.arange(len(column), dtype=np.float64), column)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def step_s(self) -> float:
        """Seconds between two values: the median of what there is; 1 for less than two."""
        return float(np.median(np.diff(self.at))) if len(self.at) > 1 else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """What was found in a series, or foretold: points in the order of time.

    Attributes:
        at: `(N,)` float64 seconds since the epoch.
        value: `(N,)` float64: what was measured, or what is foretold.
        low: `(N,)` float64: lower bound of what is expected there; NaN where nothing is said.
        high: `(N,)` float64: upper bound.
        label: what each is: `forecast`, `anomaly`, `change-point`, `gap`, `over`, ...
        score: `(N,)` float64 in [0, 1]: how clearly; for a forecast the probability of its interval.
        measures: figures of the whole, by name with the unit in the name.
    """

    at: F64
    value: F64
    low: F64
    high: F64
    label: tuple[str, ...]
    score: F64
    measures: dict[str, float] = field(default_factory=dict)
    task: ClassVar[Task] = Task.SERIES_ANALYSIS

    def __post_init__(self) -> None:
        for name in ("at", "value", "low", "high", "score"):
            if getattr(self, name).shape != (len(self.label),):
                raise ValueError(
                    f"{name} must have shape ({len(self.label)},), but has {getattr(self, name).shape}"
                )

    @classmethod
    def of(
        cls,
        rows: Iterable[tuple[float, float, float, float, str, float]],
        measures: dict[str, float] | None = None,
    ) -> Self:
        """From rows of at, value, low, high, label and score; put in the order of time."""
        ordered = sorted(rows, key=lambda row: (row[0], row[4]))
        at, value, low, high, score = (
            np.array([row[column] for row in ordered], np.float64) for column in (0, 1, 2, 3, 5)
        )
        return cls(at, value, low, high, tuple(row[4] for row in ordered), score, measures or {})

    def __len__(self) -> int:
        return len(self.label)

    def to_json(self) -> Json:
        """`{"task", "points": [{"at", "value", "low", "high", "label", "score"}], "measures"}`; null where nothing is said."""
        columns = zip(
            self.at.tolist(), _plain(self.value), _plain(self.low), _plain(self.high), self.label,
            self.score.tolist(), strict=True,
        )  # fmt: skip
        return {
            "task": self.task.value,
            "points": [
                {
                    "at": round(at, 3),
                    "value": v,
                    "low": low,
                    "high": high,
                    "label": name,
                    "score": round(s, 4),
                }
                for at, v, low, high, name, s in columns
            ],
            "measures": {name: round(float(value), 4) for name, value in self.measures.items()},
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        rows = body["points"]
        at, value, low, high, score = (
            np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64)
            for name in ("at", "value", "low", "high", "score")
        )
        return cls(at, value, low, high, tuple(row["label"] for row in rows), score, dict(body["measures"]))


def _plain(column: F64) -> list[float | None]:
    """Six significant figures after rounding would hide nothing of a sensor; NaN is null."""
    return [None if np.isnan(value) else float(f"{value:.9g}") for value in column.tolist()]
