"""What the streams of this process use: frames and compute seconds by task, booked for their tenants every few seconds."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from aihub.serve.usage import UsageBook
from aihub.types import StreamSpec


class Costed(Protocol):
    """What knows the costs of its tasks; see `aihub.algorithms.planner.Plan`."""

    def costs(self) -> dict[str, float]:
        """Seconds that every task has cost since this was last asked."""
        ...


@dataclass(slots=True)
class _Watched:
    tenant: str
    plan: Costed
    algorithms: dict[str, str] = field(default_factory=dict)
    frames: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))


class StreamUsage:
    """Counts in the threads that analyse, books in the one that ticks."""

    def __init__(self, book: UsageBook) -> None:
        self._book = book
        self._lock = threading.Lock()
        self._streams: dict[str, _Watched] = {}

    def bound(self, spec: StreamSpec, plan: Costed) -> None:
        """A stream's tasks were put into a plan."""
        with self._lock:
            known = self._streams.get(spec.id)
            if known is None or known.plan is not plan:
                if known is not None:
                    self._settle(known)
                known = self._streams[spec.id] = _Watched(spec.tenant, plan)
            if any(known.algorithms.get(task.id, task.algorithm) != task.algorithm for task in spec.tasks):
                self._settle(
                    known
                )  # a task that changed its algorithm: what it cost until now was the former one's
            # Tasks that went are kept: the last of their costs is not booked yet.
            known.algorithms.update({task.id: task.algorithm for task in spec.tasks})

    def analysed(self, stream_id: str, tasks: Iterable[str]) -> None:
        """These tasks have looked at a frame, and had an answer."""
        with self._lock:
            known = self._streams.get(stream_id)
            if known is not None:
                for task in tasks:
                    known.frames[task] += 1

    def settle(self, streams: Collection[str]) -> None:
        """Book what was used; forget all but these streams."""
        with self._lock:
            for name, known in list(self._streams.items()):
                self._settle(known)
                if name not in streams:
                    del self._streams[name]

    def _settle(self, known: _Watched) -> None:
        frames, known.frames = known.frames, defaultdict(int)
        costs = known.plan.costs()
        for task, algorithm in known.algorithms.items():
            seen, cost = frames.get(task, 0), costs.get(task, 0.0)
            if seen or cost:
                self._book.book(known.tenant, algorithm, frames=seen, compute_s=cost)
