"""The queue of one model: bounded, fair between tenants and their sources, urgent first; a batch is formed only when asked for.

Nothing waits here for a batch to fill. Whoever is free takes what there is, up to the measured size: while a device is
busy the queue grows by itself, and the next batch is as large as the load makes it.

A source is named `tenant/who`. Fairness goes by rounds, between tenants first: in each round every tenant that waits gives
one item, the most urgent first, and within a tenant its sources take turns the same way. Who has given, and who comes new,
stands in the next round. So a tenant waits for at most two items of every other between two of its own, and a source for at
most two of every other of its tenant, however much they ask for and under however many names.

Room is shared likewise: alone, a tenant may fill the queue; while others wait it adds nothing beyond half of it, and a full
queue takes the room for those who hold little from those who hold most.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aihub.errors import QueueFullError
from aihub.types import Bill

P = TypeVar("P")

UNDATED_S = 30.0
"""Work without a deadline stands in line as if it had this much time, so that dated work cannot hold it off forever."""

PATIENCE_S = 0.5
"""Between models the longest waiting work counts as due after this, however far its deadline is."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Item(Generic[P]):
    """One piece of work and the future that answers it.

    Attributes:
        payload: what to run.
        source: who asks, `tenant/who`; the queue is fair between tenants, then between the sources of each.
        group: items of equal group may share a batch; None runs alone.
        deadline: `time.monotonic()` after which it need not start, None for never.
        submitted: `time.monotonic()` of asking.
        future: its answer; cancelling it while the item waits takes that out of its queue.
        bill: where the seconds of its run are put down.
    """

    payload: P
    source: str
    group: Hashable | None
    deadline: float | None
    submitted: float
    future: Future[Any] = field(default_factory=Future)
    bill: Bill | None = None

    @property
    def due(self) -> float:
        """What it is ordered by."""
        return self.submitted + UNDATED_S if self.deadline is None else self.deadline


_Entry = tuple[float, int, Item[P]]


def tenant_of(source: str) -> str:
    """The tenant in the name of a source."""
    return source.partition("/")[0]


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


class _Turns:
    """Whose turn it is: everyone gives once a round, and who has given or comes new stands in the next one."""

    __slots__ = ("_current", "_round")

    def __init__(self) -> None:
        self._round: dict[str, int] = {}
        self._current = 0

    def join(self, name: str) -> None:
        self._round.setdefault(name, self._current + 1)

    def of(self, name: str) -> int:
        return self._round[name]

    def gave(self, name: str) -> None:
        self._current = max(self._current, self._round[name])
        self._round[name] = self._current + 1

    def leave(self, name: str) -> None:
        del self._round[name]


class _Tenant(Generic[P]):
    """What waits of one tenant: a line for each of its sources, which take turns."""

    __slots__ = ("lines", "size", "turns")

    def __init__(self) -> None:
        self.lines: dict[str, list[_Entry[P]]] = {}
        self.turns = _Turns()
        self.size = 0

    def largest(self) -> str:
        return max(self.lines, key=lambda source: len(self.lines[source]))

    def next(self, fits: Callable[[str, Item[P]], bool]) -> tuple[float, int, str] | None:
        """When the next item is due, its number and its source; None when none of those in front fits."""
        turns = [
            (self.turns.of(source), *line[0][:2], source)
            for source, line in self.lines.items()
            if fits(source, line[0][2])
        ]
        return min(turns)[1:] if turns else None


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
        self._tenants: dict[str, _Tenant[P]] = {}
        self._turns = _Turns()
        self._size = 0
        self._count = 0
        self._urgency = float("inf")

    def __len__(self) -> int:
        return self._size

    @property
    def urgency(self) -> float:
        """When the most pressing of the next items of all sources is due; infinite when empty. For choosing a model."""
        return self._urgency

    def waiting(self) -> Iterator[Item[P]]:
        """Everything that waits, in no order."""
        for tenant in self._tenants.values():
            for line in tenant.lines.values():
                yield from (item for _, _, item in line)

    def put(self, item: Item[P], retry_after_s: float = 1.0) -> Item[P] | None:
        """Queue an item.

        Returns:
            The item that had to make room, when there was none left: the last one of whoever holds most, if that holds at
            least two more than the asking one does. Between tenants first, then between the sources of the asking tenant.

        Raises:
            QueueFullError: no room, and the asking tenant and source have their share already.
        """
        displaced = self._make_room(item.source, retry_after_s)
        name = tenant_of(item.source)
        tenant = self._tenants.get(name)
        if tenant is None:
            tenant = self._tenants[name] = _Tenant()
            self._turns.join(name)
        self._count += 1
        heapq.heappush(tenant.lines.setdefault(item.source, []), (item.due, self._count, item))
        tenant.turns.join(item.source)
        tenant.size += 1
        self._size += 1
        self._urgency = min(self._urgency, _pressing(item))
        return displaced

    def _make_room(self, source: str, retry_after_s: float) -> Item[P] | None:
        name = tenant_of(source)
        mine = self._tenants.get(name)
        held = mine.size if mine is not None else 0
        if self._size >= self.bound:
            largest = max(self._tenants, key=lambda other: self._tenants[other].size)
            if self._tenants[largest].size >= held + 2:
                return self._discard(largest)
        elif held < self._size and held >= max(1, self.bound // 2):
            pass  # others wait, and it has its half
        else:
            return None
        if mine is not None:
            line = mine.largest()
            if len(mine.lines[line]) >= len(mine.lines.get(source, ())) + 2:
                return self._discard(name)
        raise QueueFullError(
            f"{self._size} runs are waiting already, {held} of them yours", retry_after_s=retry_after_s
        )

    def _discard(self, name: str) -> Item[P]:
        """Take the last item of the largest line of a tenant."""
        tenant = self._tenants[name]
        source = tenant.largest()
        entry = max(tenant.lines[source])
        self._pull(name, source, entry)
        return entry[2]

    def remove(self, item: Item[P]) -> bool:
        """Take an item out, wherever it stands; False when it does not wait here."""
        name = tenant_of(item.source)
        tenant = self._tenants.get(name)
        line = tenant.lines.get(item.source, ()) if tenant is not None else ()
        entry = next((entry for entry in line if entry[2] is item), None)
        if entry is None:
            return False
        self._pull(name, item.source, entry)
        self._look_again()
        return True

    def _pull(self, name: str, source: str, entry: _Entry[P]) -> None:
        line = self._tenants[name].lines[source]
        line.remove(entry)
        heapq.heapify(line)
        self._shrink(name, source)

    def _shrink(self, name: str, source: str) -> None:
        tenant = self._tenants[name]
        tenant.size -= 1
        self._size -= 1
        if not tenant.lines[source]:
            del tenant.lines[source]
            tenant.turns.leave(source)
        if not tenant.size:
            del self._tenants[name]
            self._turns.leave(name)

    def take(self, now: float, limit: int) -> Taken[P]:
        """Form a batch of at most `limit` items; late and cancelled ones that are met on the way leave the queue too."""
        batch: list[Item[P]] = []
        late: list[Item[P]] = []
        given: dict[str, int] = {}
        cancelled = 0
        while len(batch) < limit and (turn := self._next(given, batch)) is not None:
            name, source = turn
            tenant = self._tenants[name]
            item = heapq.heappop(tenant.lines[source])[2]
            if item.deadline is not None and item.deadline < now:
                late.append(item)
            elif not item.future.set_running_or_notify_cancel():
                cancelled += 1
            else:
                batch.append(item)
                given[source] = given.get(source, 0) + 1
                tenant.turns.gave(source)
                self._turns.gave(name)
            self._shrink(name, source)
        self._look_again()
        return Taken(batch, late, cancelled)

    def _next(self, given: dict[str, int], batch: list[Item[P]]) -> tuple[str, str] | None:
        """Tenant and source whose turn it is, None when no waiting item may join the batch."""

        def fits(source: str, item: Item[P]) -> bool:
            return (not self.per_source or given.get(source, 0) < self.per_source) and _fits(item, batch)

        best: tuple[int, float, int, str] | None = None
        chosen = ""
        for name, tenant in self._tenants.items():
            round_ = self._turns.of(name)
            if best is not None and round_ > best[0]:
                continue
            found = tenant.next(fits)
            if found is not None and (best is None or (round_, *found) < best):
                best, chosen = (round_, *found), name
        return None if best is None else (chosen, best[-1])

    def _look_again(self) -> None:
        heads = (line[0][2] for tenant in self._tenants.values() for line in tenant.lines.values())
        self._urgency = min(map(_pressing, heads), default=float("inf"))

    def drain(self) -> list[Item[P]]:
        """Everything that waits, in no order; the queue is empty then."""
        items = list(self.waiting())
        self._tenants.clear()
        self._turns = _Turns()
        self._size = 0
        self._urgency = float("inf")
        return items


def _fits(item: Item[P], batch: list[Item[P]]) -> bool:
    return not batch or (item.group is not None and item.group == batch[0].group)


def _pressing(item: Item[P]) -> float:
    return min(item.due, item.submitted + PATIENCE_S)
