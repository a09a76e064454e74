"""The queue of one model: bounded, fair between sources, urgent first, and a batch is formed only when asked for.

Nothing waits here for a batch to fill. Whoever is free takes what there is, up to the measured size: while a device is
busy the queue grows by itself, and the next batch is as large as the load makes it.

Fairness goes by rounds: in each round every source gives one item, the most urgent source first. Who has given, and who
comes new, stands in the next round. So a source waits for at most two items of every other, however much they ask for.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aihub.errors import QueueFullError

P = TypeVar("P")

UNDATED_S = 30.0
"""Work without a deadline stands in line as if it had this much time, so that dated work cannot hold it off forever."""

PATIENCE_S = 0.5
"""Between models the longest waiting work counts as due after this, however far its deadline is."""


@dataclass(slots=True, eq=False)
class Item(Generic[P]):
    """One piece of work and the future that answers it.

    Attributes:
        payload: what to run.
        source: who asks; the queue is fair between sources.
        group: items of equal group may share a batch; None runs alone.
        deadline: `time.monotonic()` after which it need not start, None for never.
        submitted: `time.monotonic()` of asking.
        future: its answer.
    """

    payload: P
    source: str
    group: Hashable | None
    deadline: float | None
    submitted: float
    future: Future[Any] = field(default_factory=Future)

    @property
    def due(self) -> float:
        """What it is ordered by."""
        return self.submitted + UNDATED_S if self.deadline is None else self.deadline


_Entry = tuple[float, int, Item[P]]


@dataclass(frozen=True, slots=True)
class Taken(Generic[P]):
    """What came off a queue.

    Attributes:
        batch: to be run now, all of one group, in order; their futures can no longer be cancelled.
        late: past their deadline; to be refused.
        cancelled: how many were given up by those who asked.
    """

    batch: list[Item[P]]
    late: list[Item[P]]
    cancelled: int


class FairQueue(Generic[P]):
    """The waiting work of one model. Not thread-safe: the pool's lock guards it.

    Args:
        bound: most items that wait, at least 1.
        per_source: most items of one source in a batch; 0 sets no limit beyond fairness.
    """

    def __init__(self, bound: int, per_source: int = 0) -> None:
        if bound < 1:
            raise ValueError(f"a queue holds at least 1 item, not {bound}")
        self.bound = bound
        self.per_source = per_source
        self._waiting: dict[str, list[_Entry[P]]] = {}
        self._round: dict[str, int] = {}
        self._current = 0
        self._size = 0
        self._count = 0
        self._urgency = float("inf")

    def __len__(self) -> int:
        return self._size

    @property
    def urgency(self) -> float:
        """When the most pressing of the next items of all sources is due; infinite when empty. For choosing a model."""
        return self._urgency

    def put(self, item: Item[P], retry_after_s: float = 1.0) -> Item[P] | None:
        """Queue an item.

        Returns:
            The item that had to make room: when the queue is full, the last one of the source that holds most, if that
            holds at least two more than the asking source does. A flood cannot shut others out.

        Raises:
            QueueFullError: full, and the asking source has its share already.
        """
        displaced = self._make_room(item.source, retry_after_s) if self._size >= self.bound else None
        self._count += 1
        heapq.heappush(self._waiting.setdefault(item.source, []), (item.due, self._count, item))
        self._round.setdefault(item.source, self._current + 1)
        self._size += 1
        self._urgency = min(self._urgency, _pressing(item))
        return displaced

    def _make_room(self, source: str, retry_after_s: float) -> Item[P]:
        mine = len(self._waiting.get(source, ()))
        largest = max(self._waiting, key=lambda name: len(self._waiting[name]))
        if len(self._waiting[largest]) < mine + 2:
            raise QueueFullError(f"{self._size} runs are waiting already", retry_after_s=retry_after_s)
        return self._discard(largest, max(self._waiting[largest]))

    def _discard(self, source: str, entry: _Entry[P]) -> Item[P]:
        line = self._waiting[source]
        line.remove(entry)
        heapq.heapify(line)
        self._shrink(source)
        return entry[2]

    def _shrink(self, source: str) -> None:
        self._size -= 1
        if not self._waiting[source]:
            del self._waiting[source], self._round[source]

    def take(self, now: float, limit: int) -> Taken[P]:
        """Form a batch of at most `limit` items; late and cancelled ones that are met on the way leave the queue too."""
        batch: list[Item[P]] = []
        late: list[Item[P]] = []
        given: dict[str, int] = {}
        cancelled = 0
        while len(batch) < limit and (source := self._next(given, batch)) is not None:
            item = heapq.heappop(self._waiting[source])[2]
            if item.deadline is not None and item.deadline < now:
                late.append(item)
            elif not item.future.set_running_or_notify_cancel():
                cancelled += 1
            else:
                batch.append(item)
                given[source] = given.get(source, 0) + 1
                self._current = max(self._current, self._round[source])
                self._round[source] = self._current + 1
            self._shrink(source)
        self._urgency = min((_pressing(line[0][2]) for line in self._waiting.values()), default=float("inf"))
        return Taken(batch, late, cancelled)

    def _next(self, given: dict[str, int], batch: list[Item[P]]) -> str | None:
        """The source whose turn it is, None when no waiting item may join the batch."""
        turns = [
            (self._round[source], *line[0][:2], source)
            for source, line in self._waiting.items()
            if (not self.per_source or given.get(source, 0) < self.per_source) and _fits(line[0][2], batch)
        ]
        return min(turns)[-1] if turns else None

    def drain(self) -> list[Item[P]]:
        """Everything that waits, in no order; the queue is empty then."""
        items = [entry[2] for line in self._waiting.values() for entry in line]
        self._waiting.clear()
        self._round.clear()
        self._size = 0
        self._urgency = float("inf")
        return items


def _fits(item: Item[P], batch: list[Item[P]]) -> bool:
    return not batch or (item.group is not None and item.group == batch[0].group)


def _pressing(item: Item[P]) -> float:
    return min(item.due, item.submitted + PATIENCE_S)
