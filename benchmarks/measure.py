"""Figures of the older suites; how turns are taken is in `aihub.bench.turns`."""

from __future__ import annotations

from dataclasses import dataclass

from aihub.bench.turns import Turns, cpu, take_turns, wall

__all__ = ["Figure", "Turns", "cpu", "take_turns", "wall"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Attributes:
        name: what was measured.
        value: the figure, mostly a ratio.
        target: what it has to reach, as text, for example `<= 1.25`.
        met: whether it does; None where there is no target.
        detail: the raw numbers behind it.
        command: what repeats it.
    """

    name: str
    value: float
    unit: str = "x"
    target: str = ""
    met: bool | None = None
    detail: str = ""
    command: str = ""
