"""Texts and series of numbers through an algorithm: the contracts of stages that read and that study, and running them.

Stages of one request are made once and get its items in order, so a stage may hold an item against those before it
(`sequence: true` in the card says that it does).
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.base import P, Stage, StageError
from aihub.algorithms.behalf import OnBehalf
from aihub.algorithms.chains import make_stage, tried
from aihub.errors import AihubError, DeadlineError, UnsupportedTypeError
from aihub.types import AnyResult, Bill, Frame, InputKind, Passage, Predictor, Series

Item = Passage | Series


class _Sightless(Stage[P]):
    """A stage that takes no pictures."""

    takes: ClassVar[InputKind]

    def process(self, frame: Frame, found: AnyResult | None) -> AnyResult:  # noqa: ARG002 - it has no eyes
        """Refused.

        Raises:
            UnsupportedTypeError: always.
        """
        raise UnsupportedTypeError(f"stage {self.name!r} takes {self.takes}, not pictures")


class TextStage(_Sightless[P]):
    """One step of an algorithm that reads. An instance belongs to one request."""

    takes = InputKind.TEXT
    works_by: ClassVar[str] = "read"

    @abstractmethod
    def read(self, passage: Passage, found: AnyResult | None) -> AnyResult:
        """Read one text.

        Args:
            passage: never written to.
            found: result of the stage before, None for the first.
        """


class SeriesStage(_Sightless[P]):
    """One step of an algorithm that studies numbers. An instance belongs to one request."""

    takes = InputKind.SERIES
    works_by: ClassVar[str] = "study"

    @abstractmethod
    def study(self, series: Series, found: AnyResult | None) -> AnyResult:
        """Study one series.

        Args:
            series: never written to.
            found: result of the stage before, None for the first.
        """


def read_many(
    requests: Sequence[tuple[Algorithm, Mapping[str, Any]]],
    items: Sequence[Item],
    predictor: Predictor,
    *,
    bill: Bill | None = None,
    timeout_s: float = 30.0,
) -> list[list[AnyResult] | AihubError]:
    """Run several algorithms on the same texts, or on the same series. Blocks.

    Args:
        requests: algorithms with their parameters.
        items: all of one kind.
        predictor: whatever runs the models.
        bill: where the work is put down, and who owes what of it where there are several algorithms.
        timeout_s: seconds for all of it.

    Returns:
        For every request, in order, one result an item, or the first error that it met.
    """
    until = time.monotonic() + timeout_s
    answers: list[list[AnyResult] | AihubError] = []
    for algorithm, params in requests:
        spent = Bill()
        try:
            answers.append(_through(algorithm, params, items, predictor, spent, until))
        except AihubError as error:
            answers.append(error)
        if bill is not None:
            total = sum(spent.spent.values())
            for name, seconds in spent.spent.items():
                bill.add(name, seconds)
            if len(requests) > 1:
                bill.owe(algorithm.card.id, total)
    return answers


def read(
    algorithm: Algorithm,
    items: Sequence[Item],
    params: Mapping[str, Any],
    predictor: Predictor,
    *,
    bill: Bill | None = None,
    timeout_s: float = 30.0,
) -> list[AnyResult]:
    """Run one algorithm on texts or series; one result each, in order.

    Raises:
        ParamsError: a parameter is wrong.
        UnsupportedTypeError: the algorithm takes something else.
        AihubError: a stage failed, or the time is over.
    """
    (answer,) = read_many([(algorithm, params)], items, predictor, bill=bill, timeout_s=timeout_s)
    if isinstance(answer, AihubError):
        raise answer
    return answer


def _through(
    algorithm: Algorithm,
    params: Mapping[str, Any],
    items: Sequence[Item],
    predictor: Predictor,
    bill: Bill,
    until: float,
) -> list[AnyResult]:
    asking = OnBehalf(predictor, bill=bill, deadline=until)
    stages = [make_stage(kind, settings, asking) for kind, settings in algorithm.resolve(params).stages]
    results: list[AnyResult] = []
    for item in items:
        found: AnyResult | None = None
        for stage in stages:
            if time.monotonic() > until:
                raise DeadlineError("the request took longer than it may", hint="send fewer at once")
            found = _step(stage, item, found, bill)
        if found is None:
            raise StageError(f"{algorithm.card.id} has no stages")
        results.append(found)
    return results


def _step(stage: Stage[Any], item: Item, found: AnyResult | None, bill: Bill) -> AnyResult:
    with tried(stage.name, bill):
        if isinstance(stage, TextStage) and isinstance(item, Passage):
            return stage.read(item, found)
        if isinstance(stage, SeriesStage) and isinstance(item, Series):
            return stage.study(item, found)
    kind = "text" if isinstance(item, Passage) else "series"
    raise UnsupportedTypeError(f"stage {stage.name!r} does not take {kind}")
