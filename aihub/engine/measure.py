"""Timing one loaded candidate, and comparing what it computes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter

import cv2
import numpy as np

from aihub.engine.session import Feeds, Port, RunSettings, Session
from aihub.errors import ConfigError
from aihub.types import Tensor


@dataclass(slots=True, eq=False)
class Runner:
    """A loaded candidate and its best slice so far.

    Attributes:
        settings: how it is run.
        session: it.
        feeds: what every run gets; as many items as `settings.batch`, at least 1.
        deviation: from the reference, see `deviation`; None when not checked.
        items_per_s: of the best slice; 0 before the first.
        run_s: times of that slice's runs, seconds.
    """

    settings: RunSettings
    session: Session
    feeds: Feeds
    deviation: float | None = None
    items_per_s: float = 0.0
    run_s: list[float] = field(default_factory=list)

    @property
    def latency_ms(self) -> float:
        """Median time of a run in the best slice."""
        return statistics.median(self.run_s) * 1e3 if self.run_s else 0.0

    def measure(self, pool: ThreadPoolExecutor, seconds: float) -> None:
        """Run for a slice of time on as many threads as the settings have runs at once; each makes one run at least."""
        self.session.run(self.feeds)
        lanes = [
            pool.submit(_run_for, seconds, self.session, self.feeds) for _ in range(self.settings.parallel)
        ]
        times = [lane.result(timeout=600) for lane in lanes]
        # Each thread by its own time: the last run of one must not count as idle time of the other.
        rate = sum(len(lane) / sum(lane) for lane in times) * max(1, self.settings.batch)
        if rate > self.items_per_s:
            self.items_per_s, self.run_s = rate, [once for lane in times for once in lane]


def _run_for(seconds: float, session: Session, feeds: Feeds) -> list[float]:
    times: list[float] = []
    spent = 0.0
    while spent < seconds:
        begin = perf_counter()
        session.run(feeds)
        times.append(max(perf_counter() - begin, 1e-9))
        spent += times[-1]
    return times


def copied(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Outputs that the session's next run leaves alone."""
    return {name: np.array(value) for name, value in outputs.items()}


def example_feeds(ports: Sequence[Port], items: int) -> dict[str, Tensor]:
    """Inputs of a plausible kind: soft random pictures for uint8, values in [0, 1) for floats, zeros for the rest.

    Args:
        ports: the graph's inputs.
        items: size of a first side that is free; a fixed one stays.

    Raises:
        ConfigError: another side is free, or the only one, so nobody knows what to feed.
    """
    rng = np.random.default_rng(7)
    feeds: dict[str, Tensor] = {}
    for port in ports:
        free_first = port.shape[:1] == (None,) and len(port.shape) > 1
        shape = (items, *port.shape[1:]) if free_first else port.shape
        if any(side is None for side in shape):
            raise ConfigError(f"input {port.name!r} has sizes that vary, {port.shape}: nothing to measure by")
        sides = tuple(side for side in shape if side is not None)
        if port.dtype == np.uint8 and len(sides) == 4 and sides[3] == 3:
            coarse = rng.integers(0, 256, (sides[0], 16, 16, 3), np.uint8)
            grain = rng.integers(0, 32, sides[1:], np.uint8)
            feeds[port.name] = np.stack(
                [cv2.add(cv2.resize(picture, (sides[2], sides[1])), grain) for picture in coarse]
            )
        elif np.issubdtype(port.dtype, np.floating):
            feeds[port.name] = rng.random(sides).astype(port.dtype)
        else:
            feeds[port.name] = np.zeros(sides, port.dtype)
    return feeds


def deviation(reference: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> float:
    """How far outputs are off: the root mean square of the difference over that of the reference, worst output.

    Infinite when an output is absent, of another shape, or not finite.

    >>> deviation({"y": np.array([3.0, 4.0])}, {"y": np.array([3.0, 4.5])})
    0.1
    """
    worst = 0.0
    for name, expected in reference.items():
        got = outputs.get(name)
        if got is None or got.shape != expected.shape:
            return float("inf")
        if not np.issubdtype(expected.dtype, np.number):
            worst = max(worst, 0.0 if bool((got == expected).all()) else float("inf"))
            continue
        a, b = expected.astype(np.float64), got.astype(np.float64)
        if not np.isfinite(b).all():
            return float("inf")
        size = max(float(np.sqrt((a * a).mean())) if a.size else 0.0, 1e-6)
        worst = max(worst, (float(np.sqrt(((a - b) ** 2).mean())) if a.size else 0.0) / size)
    return worst
