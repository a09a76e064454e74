"""Fair measuring: variants take turns in one run, and what counts is the ratio of a turn to its neighbour."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


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


@dataclass(slots=True)
class Turns:
    """Costs of each variant, turn by turn, in the order they were taken."""

    costs: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Median cost of a variant."""
        return statistics.median(self.costs[name])

    def ratio(self, name: str, base: str) -> float:
        """Median over turns of cost(name) / cost(base) of the same turn: drift of the machine cancels."""
        return statistics.median(a / b for a, b in zip(self.costs[name], self.costs[base], strict=True))

    def spread(self, name: str, base: str) -> str:
        """Lowest and highest ratio of a turn."""
        ratios = [a / b for a, b in zip(self.costs[name], self.costs[base], strict=True)]
        return f"{min(ratios):.2f}-{max(ratios):.2f}"


def take_turns(variants: Mapping[str, Callable[[], float]], turns: int = 5) -> Turns:
    """Run each variant once a turn; each returns its own cost. The first turn warms up and is thrown away."""
    taken = Turns({name: [] for name in variants})
    for turn in range(turns + 1):
        for name, run in variants.items():
            cost = run()
            if turn:
                taken.costs[name].append(cost)
    return taken


def wall(work: Callable[[], object], repeats: int = 1) -> float:
    """Seconds on the clock for one repeat."""
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - begun) / repeats


def cpu(work: Callable[[], object], repeats: int = 1) -> float:
    """CPU seconds of this process (all its threads) for one repeat."""
    begun = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - begun) / repeats
