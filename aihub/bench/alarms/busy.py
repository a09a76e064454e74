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
        self._machine = _machine()

    def share(self) -> float:
        """Share of the cores of this machine used since this was made, 0..1."""
        now = self._seconds()
        used = sum(max(0.0, cpu - self._cpu.get(pid, 0.0)) for pid, cpu in now.items())
        return used / (time.monotonic() - self._begun) / cores()

    def whole(self) -> float:
        """The same of everything that runs on this machine, whoever started it; never less than `share`."""
        busy, idle = (after - before for after, before in zip(_machine(), self._machine, strict=True))
        return max(self.share(), busy / (busy + idle) if busy + idle > 0 else 0.0)

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


def _machine() -> tuple[float, float]:
    """Seconds that the processors of this process were busy and idle since the machine started."""
    mine = set(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else None
    times = [
        one for number, one in enumerate(psutil.cpu_times(percpu=True)) if mine is None or number in mine
    ]
    idle = sum(one.idle + getattr(one, "iowait", 0.0) for one in times)
    # Guests are in user, too.
    guests = sum(getattr(one, "guest", 0.0) + getattr(one, "guest_nice", 0.0) for one in times)
    return sum(sum(one) for one in times) - guests - idle, idle
