"""How much of the machine some processes and all they started take."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil

from aihub.engine.machine import cores


class Busy:
    """CPU of process trees from now on.

    Args:
        roots: processes; those they start count too, as long as they run when this is made and when it is asked.
    """

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = roots
        self._begun, self._cpu = time.monotonic(), self._seconds()

    def share(self) -> float:
        """Share of the cores of this machine used since this was made, 0..1."""
        now = self._seconds()
        used = sum(max(0.0, cpu - self._cpu.get(pid, 0.0)) for pid, cpu in now.items())
        return used / (time.monotonic() - self._begun) / cores()

    def _seconds(self) -> dict[int, float]:
        found: dict[int, float] = {}
        for root in self._roots:
            try:
                top = psutil.Process(root)
                family = [top, *top.children(recursive=True)]
            except psutil.Error:
                continue
            for process in family:
                try:
                    times = process.cpu_times()
                except psutil.Error:
                    continue
                found[process.pid] = times.user + times.system
        return found
