"""What a hub holds while it runs on and on: samples over time, and whether they rise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil
from scipy.stats import theilslopes

from aihub.bench.hub.process import RunningHub, resident_mb

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Held:
    """What the hub's own processes hold at one moment.

    Attributes:
        at_s: seconds since sampling began.
        memory_mb: resident memory.
        handles: open files and sockets.
        threads: of all processes.
    """

    at_s: float
    memory_mb: float
    handles: int
    threads: int


@dataclass(frozen=True, slots=True)
class Slope:
    """How fast something rises.

    Attributes:
        an_hour: units an hour; below 0 it falls.
        low: lower end of 95 %.
        high: upper end.
    """

    an_hour: float
    low: float
    high: float

    @property
    def rises(self) -> bool:
        """Whether the whole interval lies above nought."""
        return self.low > 0


def held(hub: RunningHub, at_s: float) -> Held:
    """What a hub's own processes hold now; Ray's own are left out, and so is a process that ended meanwhile."""
    handles = threads = 0
    root = psutil.Process(hub.pid)
    for process in (root, *root.children(recursive=True)):
        try:
            title = " ".join(process.cmdline()) or process.name()
            if "ServeReplica" in title or "aihub up" in title:
                handles, threads = handles + process.num_fds(), threads + process.num_threads()
        except psutil.Error:
            continue
    return Held(at_s, resident_mb(hub)["resident"], handles, threads)


def slope(times_s: Sequence[float], values: Sequence[float]) -> Slope | None:
    """The median slope of all pairs of samples (Theil-Sen) with its 95 % interval; None with fewer than four samples.

    One jump, or a burst of a neighbour, does not tilt it as it would tilt a line of least squares. The interval takes samples for
    independent; neighbours in time are not quite, so it is a little too narrow.

    Args:
        times_s: when, seconds, rising.
        values: what was held then.
    """
    if len(times_s) < 4:
        return None
    hours = np.asarray(times_s, np.float64) / HOUR_S
    found = theilslopes(np.asarray(values, np.float64), hours, alpha=0.95)
    return Slope(float(found[0]), float(found[2]), float(found[3]))


def grown(values: Sequence[float]) -> float:
    """Median of the last sixth over median of the first sixth: 1 where nothing grew.

    Raises:
        ValueError: there are no samples, or they begin with nought.
    """
    if not values:
        raise ValueError("no samples")
    part = max(1, len(values) // 6)
    first, last = float(np.median(values[:part])), float(np.median(values[-part:]))
    if first <= 0:
        raise ValueError(f"the samples begin with {first:g}")
    return last / first
