"""Cameras that keep a hub as busy as asked, beside those that are measured."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from aihub.bench.alarms.busy import Busy
from aihub.bench.alarms.stage import Stage
from aihub.bench.stand import NotHereError
from aihub.bench.streams.cameras_apart import CamerasApart

_STEPS = 6
_FIRST = 4


@dataclass(slots=True)
class Crowd:
    """Further cameras of a hub.

    Attributes:
        stage: the hub.
        cameras: all that there may be, in a process of their own.
        algorithm: that watches each.
        fps: analysed frames a second of each.
        say: told how many there are.
        size: how many there are.
    """

    stage: Stage
    cameras: CamerasApart
    algorithm: str
    fps: float
    say: Callable[[str], None]
    size: int = 0
    _names: list[str] = field(default_factory=list)

    def grow(self, size: int) -> None:
        """Have so many, as far as there are cameras, and wait until all are analysed. No fewer than before.

        Raises:
            NotHereError: the hub refuses one, or one does not become live.
        """
        task = {"id": "watch", "algorithm": self.algorithm}
        fresh = [
            {"id": f"crowd-{number}", "url": self.cameras.urls[number], "tasks": [task], "sampling": {"fps": self.fps}}
            for number in range(self.size, min(size, len(self.cameras.urls)))
        ]  # fmt: skip
        if not fresh:
            return
        self._names += [str(one["id"]) for one in fresh]
        self.size = len(self._names)
        for result in self.stage.client.add_streams(fresh):
            if result.problem is not None:
                raise NotHereError(
                    f"the hub refuses a camera: {result.problem.detail or result.problem.title}"
                )
        self.say(f"{self.size} further cameras")
        self.stage.live(self._names[-len(fresh) :])

    def busy(self, seconds: float) -> float:
        """Share of the machine that is taken for a while, 0..1: by the hub, the cameras, and whatever else runs on it."""
        busy = self.watched()
        self.stage.pause(seconds)
        return busy.whole()

    def watched(self) -> Busy:
        """What the hub, all cameras and this process take from now on."""
        return Busy([self.stage.hub.pid, self.cameras.pid, os.getpid()])

    def reach(self, share: float, seconds: float) -> float:
        """Grow until so much of the machine is taken, or all cameras are there.

        Args:
            share: of the cores, 0..1.
            seconds: for each look at it.

        Returns:
            The share that was reached.
        """
        idle = reached = self.busy(seconds)
        for _ in range(_STEPS):
            if reached >= 0.95 * share or self.size >= len(self.cameras.urls):
                break
            each = (reached - idle) / self.size if self.size else 0.0
            # The first few show what one costs; then most of what lacks, so as not to overshoot.
            self.grow(self.size + (max(1, int(0.8 * (share - reached) / each)) if each > 0 else _FIRST))
            reached = self.busy(seconds)
        return reached

    def leave(self) -> None:
        """Take all away."""
        self.stage.forget(self._names)
        self._names.clear()
        self.size = 0
