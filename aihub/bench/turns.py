"""Fair measuring: variants take turns in one run, and what counts is the ratio of a turn to its neighbour."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

RESAMPLED = 2000
"""Bootstrap samples: the ends of a 95 % interval then move by a per cent or two of its width."""


def interval(samples: Sequence[float], *, seed: int = 0) -> tuple[float, float] | None:
    """95 % of the median, by bootstrap; None with fewer than three samples.

    With three samples it is their range: few turns give wide intervals and no false certainty.
    """
    if len(samples) < 3:
        return None
    medians = _medians(np.asarray(samples, np.float64), np.random.default_rng(seed))
    return float(np.quantile(medians, 0.025)), float(np.quantile(medians, 0.975))


def quotient_interval(
    above: Sequence[float], below: Sequence[float], *, seed: int = 0
) -> tuple[float, float] | None:
    """95 % of median(above) / median(below), of two runs that did not take turns; None with fewer than three samples."""
    if min(len(above), len(below)) < 3:
        return None
    random = np.random.default_rng(seed)
    quotients = _medians(np.asarray(above, np.float64), random) / _medians(
        np.asarray(below, np.float64), random
    )
    return float(np.quantile(quotients, 0.025)), float(np.quantile(quotients, 0.975))


def _medians(samples: npt.NDArray[np.float64], random: np.random.Generator) -> npt.NDArray[np.float64]:
    drawn = random.integers(0, len(samples), (RESAMPLED, len(samples)))
    return np.asarray(np.median(samples[drawn], axis=1), np.float64)


@dataclass(slots=True)
class Turns:
    """Costs of each variant, turn by turn, in the order they were taken."""

    costs: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Median cost of a variant."""
        return statistics.median(self.costs[name])

    def ratios(self, name: str, base: str) -> tuple[float, ...]:
        """cost(name) / cost(base) of each turn: drift of the machine cancels."""
        return tuple(a / b for a, b in zip(self.costs[name], self.costs[base], strict=True))

    def ratio(self, name: str, base: str) -> float:
        """Median of the turns' ratios."""
        return statistics.median(self.ratios(name, base))

    def spread(self, name: str, base: str) -> str:
        """Lowest and highest ratio of a turn."""
        ratios = self.ratios(name, base)
        return f"{min(ratios):.2f}-{max(ratios):.2f}"


def take_turns(
    variants: Mapping[str, Callable[[], float]],
    turns: int = 5,
    *,
    warm_up: int = 1,
    step: Callable[[str], None] | None = None,
) -> Turns:
    """Run each variant once a turn; each returns its own cost. The first turns warm up and are thrown away.

    The order is turned round from turn to turn, so that what follows a heavy variant is not always the same.

    Args:
        variants: by name; each does its work and gives its cost, > 0.
        turns: that count, >= 1.
        warm_up: turns thrown away.
        step: told the name of each variant before it runs.
    """
    taken = Turns({name: [] for name in variants})
    for turn in range(turns + warm_up):
        order = list(variants) if turn % 2 == 0 else list(variants)[::-1]
        for name in order:
            if step is not None:
                step(name)
            cost = variants[name]()
            if turn >= warm_up:
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
