"""Two results of a suite side by side: what became worse, what better, and what cannot be told apart from noise."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aihub.bench.results import Figure, Kind, Result
from aihub.bench.turns import quotient_interval
from aihub.errors import InputError

Verdict = Literal["worse", "better", "same", "unclear", "gone", "new", "apart"]
TOLERANCE: Mapping[Kind, float] = {
    "ratio": 0.10,
    "time": 0.10,
    "rate": 0.10,
    "accuracy": 0.005,
    "memory": 0.10,
    "count": 0.10,
}
"""What may change before it counts: a share of the first value, and for accuracy a difference (half a point)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both results.

    Attributes:
        name: of the figure.
        verdict: `worse` and `better` where the change passes the tolerance and its interval does not reach back to none;
            `unclear` where it passes but the interval reaches back; `apart` where machines differ and it is absolute;
            `gone` and `new` where one result lacks it.
        before: value in the first.
        after: value in the second.
        change: share of the first by which it grew (> 0) or fell (< 0), by the machine's pace; a difference for accuracy.
        interval: 95 % of the change, where samples allow one.
    """

    name: str
    title: str
    verdict: Verdict
    before: float | None = None
    after: float | None = None
    unit: str = ""
    change: float = 0.0
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures of two results.

    Attributes:
        changes: in the order of the first result, then what is new.
        notes: what makes the two hard to compare.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def regressions(self) -> tuple[Change, ...]:
        """What became worse, or is no longer measured."""
        return tuple(change for change in self.changes if change.verdict in ("worse", "gone"))


def compare(first: Result, second: Result, *, tolerance: float | None = None) -> Comparison:
    """Compare two results of one suite.

    Args:
        first: the older.
        second: the newer.
        tolerance: in place of TOLERANCE, for all but accuracy.

    Raises:
        InputError: they are of different suites, or were not run with the same settings and seed.
    """
    if first.suite != second.suite:
        raise InputError(
            f"{first.suite} and {second.suite} are different suites", hint="compare two runs of one suite"
        )
    differing = [
        name
        for name in {*first.settings, *second.settings}
        if first.settings.get(name) != second.settings.get(name)
    ]
    if differing:
        raise InputError(f"the two were run with different settings: {', '.join(sorted(differing))}",
                         field=min(differing), hint="run one of them again with --set")  # fmt: skip
    same_machine = first.machine.fingerprint == second.machine.fingerprint
    pace = (
        second.machine.pace_ms / first.machine.pace_ms
        if first.machine.pace_ms and second.machine.pace_ms
        else 1.0
    )
    later = {figure.name: figure for figure in second.figures}
    changes = [
        _change(figure, later.pop(figure.name, None), same_machine, pace, tolerance)
        for figure in first.figures
    ]
    changes += [
        Change(figure.name, figure.title, "new", None, figure.value, figure.unit) for figure in later.values()
    ]
    return Comparison(tuple(changes), tuple(_notes(first, second, same_machine, pace)))


def _notes(first: Result, second: Result, same_machine: bool, pace: float) -> list[str]:
    notes = []
    if not same_machine:
        notes.append("different machines or runtimes: absolute figures are not compared")
    elif abs(pace - 1) > 0.05:
        notes.append(
            f"the machine was {pace:.2f}x as slow in the second run: absolute figures are compared by its pace"
        )
    if first.seed != second.seed:
        notes.append(f"different seeds: {first.seed} and {second.seed}")
    for which, result in (("first", first), ("second", second)):
        if result.failure:
            notes.append(f"the {which} run broke: {result.failure}")
        if result.machine.load_before > 0.5:
            notes.append(
                f"the {which} run began on a busy machine (load {result.machine.load_before:.1f} a core)"
            )
        notes += [f"the {which} run skipped {what}: {why}" for what, why in result.skipped.items()]
    return notes


def _change(
    before: Figure, after: Figure | None, same_machine: bool, pace: float, tolerance: float | None
) -> Change:
    if after is None:
        return Change(before.name, before.title, "gone", before.value, None, before.unit)
    if not same_machine and before.kind not in ("ratio", "accuracy"):
        return Change(before.name, before.title, "apart", before.value, after.value, before.unit)
    allowed = TOLERANCE[before.kind] if tolerance is None or before.kind == "accuracy" else tolerance
    change, spread = (_difference if before.kind == "accuracy" else _quotient)(before, after, pace)
    return Change(before.name, before.title, _verdict(before, change, spread, allowed), before.value, after.value, before.unit,
                  change, spread)  # fmt: skip


def _verdict(before: Figure, change: float, spread: tuple[float, float] | None, allowed: float) -> Verdict:
    if before.better == "neither" or abs(change) <= allowed:
        return "same"
    low, high = spread or (change, change)
    if low <= 0 <= high:
        return "unclear"
    return "better" if (change > 0) == (before.better == "higher") else "worse"


def _difference(before: Figure, after: Figure, _: float) -> tuple[float, tuple[float, float] | None]:
    # Accuracy on the same items has no noise of its own: the same model gives the same answers.
    return after.value - before.value, None


def _quotient(before: Figure, after: Figure, pace: float) -> tuple[float, tuple[float, float] | None]:
    """By which share of the first the second is more, with its interval."""
    scale = {"time": 1 / pace, "rate": pace}.get(before.kind, 1.0)
    one, two = _samples(before), [value * scale for value in _samples(after)]
    if not all(value > 0 for value in (*one, *two)):
        largest = max(abs(before.value), abs(after.value))
        return ((after.value - before.value) / largest if largest else 0.0), None
    quotient = statistics.median(two) / statistics.median(one)
    ends = quotient_interval(two, one)
    return quotient - 1, None if ends is None else (ends[0] - 1, ends[1] - 1)


def _samples(figure: Figure) -> list[float]:
    return list(figure.samples) or [figure.value]
