"""Watching a number of cameras for a while, and whether what came of it is what was promised.

The promise (SLO) is the same for whoever watches, the hub or a loop written by hand; both are looked at through `Watcher`.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

TICK_S = 0.05
FEWEST = 6
"""Asked frames of a camera in a window, at least."""


@dataclass(frozen=True, slots=True)
class Slo:
    """What must hold for so many cameras to count as held.

    Attributes:
        analysed: least share of the asked frames that is analysed, over all cameras.
        worst: the same for the camera that fares worst: cameras are not to starve for the sake of others.
        age_ms: 95 of 100 analysed frames are no older than this when they are done, counted from when they were decoded.
        read: least share of the cameras' pictures that is decoded. Who falls behind works on ever older pictures, which
            the age above does not show: they wait in the network.
    """

    analysed: float = 0.95
    worst: float = 0.8
    age_ms: float = 250.0
    read: float = 0.95


class Watcher(Protocol):
    """Something that watches cameras, one entry a camera in every list."""

    def analysed(self) -> list[int]:
        """Frames analysed so far."""
        ...

    def read(self) -> list[int]:
        """Pictures decoded so far."""
        ...

    def take_ages(self) -> list[float]:
        """Seconds from decoded to analysed of all frames since this was last asked."""
        ...

    def failing(self) -> list[str]:
        """Why cameras are not watched, one line each; none while all are."""
        ...

    def close(self) -> None:
        """Stop."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """What came of watching.

    Attributes:
        seconds: how long.
        fps: analysed frames a second that were asked of each camera.
        pictures: pictures a second that each camera gives to decode.
        analysed: frames analysed, by camera.
        read: pictures decoded, by camera.
        ages_ms: of the analysed frames, ms.
        failing: why cameras were not watched.
        cpu_s: CPU seconds of this process.
    """

    seconds: float
    fps: float
    pictures: float
    analysed: tuple[int, ...]
    read: tuple[int, ...]
    ages_ms: tuple[float, ...]
    failing: tuple[str, ...] = ()
    cpu_s: float = 0.0

    @property
    def age_ms(self) -> float:
        """95th percentile of the ages, ms; 0 without any."""
        return float(np.percentile(self.ages_ms, 95)) if self.ages_ms else 0.0

    @property
    def share(self) -> float:
        """Analysed frames of those asked."""
        return sum(self.analysed) / (len(self.analysed) * self.fps * self.seconds)

    def broken(self, slo: Slo) -> str:
        """What of the promise does not hold; empty when all does."""
        if self.failing:
            return self.failing[0]
        asked, given = self.fps * self.seconds, self.pictures * self.seconds
        # One frame more or less at an end of the window says nothing; among few frames it would decide.
        if sum(self.read) + 1 < slo.read * given * len(self.read):
            return f"{sum(self.read) / (len(self.read) * given):.0%} of the pictures decoded"
        if sum(self.analysed) + 1 < slo.analysed * asked * len(self.analysed):
            return f"{self.share:.0%} of the asked frames analysed"
        if min(self.analysed) + 1 < slo.worst * asked:
            return f"{min(self.analysed)} of {asked:g} frames of one camera analysed"
        if self.age_ms > slo.age_ms:
            return f"p95 of the age {self.age_ms:.0f} ms"
        return ""

    def __str__(self) -> str:
        return (
            f"{len(self.analysed)} cameras: {self.share:.0%} analysed, age p95 {self.age_ms:.0f} ms, "
            f"median {statistics.median(self.ages_ms) if self.ages_ms else 0:.0f} ms"
        )


def watch(
    watcher: Watcher, *, fps: float, pictures: float, seconds: float, settle_s: float, start_s: float
) -> Window:
    """Let a watcher come to speed, then look at it for a while. The caller closes it.

    Args:
        watcher: just begun.
        fps: analysed frames a second that were asked of each camera.
        pictures: pictures a second that each camera gives to decode.
        seconds: how long to look; made a whole number of asked frames, at least `FEWEST`.
        settle_s: after every camera has had its first frame analysed.
        start_s: longest time until then.
    """
    until = time.monotonic() + start_s
    while min(watcher.analysed()) == 0 and time.monotonic() < until:
        time.sleep(TICK_S)
    missing = sum(count == 0 for count in watcher.analysed())
    if missing:
        why = (*watcher.failing(), f"{missing} cameras without a frame after {start_s:g} s")
        return Window(1.0, fps, pictures, (0,), (0,), (), why)
    time.sleep(settle_s)
    seconds = max(FEWEST, math.ceil(seconds * fps)) / fps
    watcher.take_ages()
    analysed, read = watcher.analysed(), watcher.read()
    begun, cpu = time.monotonic(), time.process_time()
    time.sleep(seconds)
    after, read_after = watcher.analysed(), watcher.read()
    took, cpu = time.monotonic() - begun, time.process_time() - cpu
    return Window(
        took,
        fps,
        pictures,
        tuple(b - a for a, b in zip(analysed, after, strict=True)),
        tuple(b - a for a, b in zip(read, read_after, strict=True)),
        tuple(age * 1e3 for age in watcher.take_ages()),
        tuple(watcher.failing()),
        cpu,
    )


Opens = Callable[[Sequence[str], float], Watcher]
"""Begins to watch these addresses at so many analysed frames a second."""
