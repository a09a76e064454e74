"""The promises that every algorithm for texts or series makes, tried on items of every awkward kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.contract import CONFIDENCES, ContractError, check_wire
from aihub.algorithms.reading import Item, read
from aihub.types import AnyResult, Fields, InputKind, Labels, Passage, Points, Predictor, Series

CLOSE = 1e-9


def passages() -> Iterator[tuple[str, Passage]]:
    """Texts of every awkward kind: nothing, blanks, one letter, both languages, long, with control signs."""
    yield "empty", Passage("")
    yield "blank", Passage(" \n\t ")
    yield "one letter", Passage("a")
    yield (
        "Chinese",
        Passage("幸福路12号小区门口垃圾没人清理,味道很大,请尽快处理。电话13812345678。"),
    )
    yield "English", Passage("Water leaks at 12 Harbour Road since Monday 08:30; call 13812345678.")
    yield "both", Passage("A区3栋电梯 broken 两天了 !!! urgent")
    yield "long", Passage("噪音扰民。The noise does not stop. " * 300)
    yield "odd signs", Passage("\x00\x07\u202e\ufeff\U0001f525 e\u0301 \ud7ff" + "-" * 50)
    yield "digits", Passage("4111 1111 1111 1111 110101199003078515 " * 5)


def series() -> Iterator[tuple[str, Series]]:
    """Series of every awkward kind: nothing, one value, constant, holes, huge, uneven steps, a day's rhythm."""
    rng = np.random.default_rng(7)
    hours = np.arange(24 * 21)
    day = 100 + 40 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 3, len(hours))
    holes = day.copy()
    holes[50:60] = np.nan
    yield "empty", Series.regular([])
    yield "one value", Series.regular([5.0])
    yield "two values", Series.regular([5.0, 6.0], 60)
    yield "constant", Series.regular([3.0] * 100, 60)
    yield "nothing but holes", Series.regular([math.nan] * 50, 60)
    yield "a day's rhythm", Series.regular(day, 3600, 1.7e9)
    yield "with holes", Series.regular(holes, 3600, 1.7e9)
    yield "huge", Series.regular([1e12, -1e12, 1e12, 0, 1e-12, 7] * 10, 1)
    yield "uneven", Series(np.cumsum(rng.uniform(0.5, 90, 200)), rng.normal(0, 1, 200))


def items(algorithm: Algorithm) -> list[tuple[str, Item]]:
    """Awkward items of the kind that the algorithm takes."""
    return [*passages()] if InputKind.TEXT in algorithm.card.input else [*series()]


def check_items(algorithm: Algorithm, predictor: Predictor) -> None:
    """Every item gives a sound result that survives the wire, twice the same; items are not written to.

    Raises:
        ContractError: what is not so, and on which item.
        AihubError: a stage failed.
    """
    if read(algorithm, [], {}, predictor):
        raise ContractError("nothing gave a result")
    for name, item in items(algorithm):
        before = item.values.copy() if isinstance(item, Series) else np.zeros(0)
        (first,), (second,) = (read(algorithm, [item], {}, predictor) for _ in range(2))
        after = item.values if isinstance(item, Series) else before
        if not np.array_equal(before, after, equal_nan=True):
            raise ContractError(f"the {name} series was written to")
        if problem := unsound_read(first, item):
            raise ContractError(f"on the {name} item: {problem}")
        if first.to_json() != second.to_json():
            raise ContractError(f"the {name} item gives something else the second time")
        check_wire(first)


def check_together(algorithm: Algorithm, predictor: Predictor) -> None:
    """Several items at once give what each gives alone.

    Raises:
        ContractError: they do not.
    """
    named = items(algorithm)[2:5]
    together = read(algorithm, [item for _, item in named], {}, predictor)
    for (name, item), result in zip(named, together, strict=True):
        (alone,) = read(algorithm, [item], {}, predictor)
        if alone.to_json() != result.to_json():
            raise ContractError(f"the {name} item gives something else alone than together")


def check_reading_confidence(algorithm: Algorithm, predictor: Predictor) -> None:
    """Asking for more confidence never adds rows.

    Raises:
        ContractError: it did.
    """
    for name, item in items(algorithm):
        rows = [len(read(algorithm, [item], {"confidence": step}, predictor)[0]) for step in CONFIDENCES]
        if rows != sorted(rows, reverse=True):
            raise ContractError(f"on the {name} item confidence {CONFIDENCES} gives {rows} rows")


def unsound_read(result: AnyResult, item: Item) -> str:
    """What is wrong with a result for such an item; empty when nothing is."""
    if isinstance(result, Fields):
        text = item.text if isinstance(item, Passage) else ""
        return next(filter(None, (_unsound_span(one.span, len(text)) for one in result.fields)), "")
    if isinstance(result, Labels):
        return _unsound_scores(result.confidence)
    if isinstance(result, Points):
        return _unsound_points(result)
    return f"a stage gave {type(result).__name__}, which is nothing that is read"


def _unsound_span(span: tuple[int, int] | None, length: int) -> str:
    if span is None or 0 <= span[0] <= span[1] <= length:
        return ""
    return f"a field from {span[0]} to {span[1]} of a text of {length} characters"


def _unsound_scores(scores: Sequence[float]) -> str:
    if not all(0 <= score <= 1 for score in scores):
        return "a score outside 0 to 1"
    return "" if list(scores) == sorted(scores, reverse=True) else "labels that are not surest first"


def _unsound_points(found: Points) -> str:
    if not np.isfinite(found.at).all() or (np.diff(found.at) < -CLOSE).any():
        return "times that are no numbers, or not in order"
    if not ((found.score >= 0) & (found.score <= 1)).all():
        return "a score outside 0 to 1"
    both = np.isfinite(found.low) & np.isfinite(found.high)
    if (found.low[both] > found.high[both] + CLOSE).any():
        return "a lower bound above its upper bound"
    bad = [name for name, value in found.measures.items() if not math.isfinite(value)]
    return f"measure {bad[0]} is no number" if bad else ""
