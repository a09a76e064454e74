"""Stages that read and study, made for tests: small enough that their answers are known without running them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from pydantic import Field as Setting

from aihub.algorithms.base import StageParams
from aihub.algorithms.reading import SeriesStage, TextStage
from aihub.types import AnyResult, Field, Fields, Labels, Passage, Points, Predictor, Series

WORK_S = 0.02


class LengthParams(StageParams):
    limit: int = Setting(0, ge=0, le=1000, description="Characters above which a text is long.")


class Length(TextStage[LengthParams]):
    """Says `long` or `short`; fails on the text `bug`, and works a while on `work`."""

    name = "test-length"

    def read(self, passage: Passage, found: AnyResult | None) -> Labels:
        if passage.text == "bug":
            raise ZeroDivisionError("a bug")
        if passage.text == "work":
            until = time.thread_time() + WORK_S
            while time.thread_time() < until:
                pass
        size = len(passage.text)
        name = "long" if size > self.params.limit else "short"
        return Labels.of({name: 1.0}, {"characters": float(size)})


class Before(TextStage[StageParams]):
    """Every text before this one, as fields: remembers."""

    name = "test-before"
    stateful = True

    def __init__(self, params: StageParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._seen: list[str] = []

    def read(self, passage: Passage, found: AnyResult | None) -> Fields:
        fields = Fields(tuple(Field(f"before-{i}", text) for i, text in enumerate(self._seen)))
        self._seen.append(passage.text)
        return fields


class Highest(SeriesStage[StageParams]):
    """The highest value of a series."""

    name = "test-highest"

    def study(self, series: Series, found: AnyResult | None) -> Points:
        if not np.isfinite(series.values).any():
            return Points.of([])
        top = int(np.nanargmax(series.values))
        row: Any = (float(series.at[top]), float(series.values[top]), np.nan, np.nan, "highest", 1.0)
        return Points.of([row], {"step_s": series.step_s})


class BoundParams(StageParams):
    bound: float = 0.0


class Above(SeriesStage[BoundParams]):
    """Of the points before, those above a bound."""

    name = "test-above"

    def study(self, series: Series, found: AnyResult | None) -> Points:
        assert isinstance(found, Points)
        keep = [row for row in zip(found.at, found.value, found.low, found.high, found.label, found.score,
                                   strict=True) if row[1] > self.params.bound]  # fmt: skip
        return Points.of(keep, found.measures)
