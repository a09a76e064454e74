"""From the analysis to the database: in groups, in order, and never lost once accepted.

    put/write -> queue -> one transaction for all that waits -> wake the courier
                   |
                   +-- the database does not answer -> journal on the local disk -> stored when it answers again

While a journal exists everything goes through it, so that the order stays. Storing twice does no harm.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from aihub.errors import AihubError, StorageError
from aihub.events.journal import Journal, read_journal
from aihub.events.ports import EventStore
from aihub.storage.records import RejectedError
from aihub.telemetry import (
    EVENT_LATENCY,
    EVENTS,
    EVENTS_REJECTED,
    EVENTS_SPILLED,
    EVENTS_WAITING,
    EVIDENCE_FAILURES,
)
from aihub.types import Event, EventState

logger = logging.getLogger(__name__)

Evidence = Callable[[Event], str | None]
"""Keeps the picture of an event and gives its name, None when there is none."""

BATCH = 256
MAX_PICTURES = 16
"""Frames that wait for their evidence to be kept; beyond, the caller keeps it itself, so that memory is bounded."""

_BACKOFF_S = (0.1, 5.0)


@dataclass(slots=True)
class _Item:
    events: list[Event]
    evidence: Evidence | None = None
    safe: threading.Event = field(default_factory=threading.Event)


class EventWriter:
    """Writes events in a thread of its own. `put` and `write` may be called from any thread.

    Args:
        store: where events are kept.
        journal: folder for what the store does not take now.
        on_stored: called after each transaction; must not block.
        max_queue: calls that wait at most.
        block_s: longest that a call is held up before it goes to the journal, seconds.
    """

    def __init__(
        self,
        store: EventStore,
        journal: Path,
        *,
        on_stored: Callable[[], None] | None = None,
        max_queue: int = 1024,
        block_s: float = 1.0,
    ) -> None:
        self._store = store
        self._journal = Journal(journal)
        self._on_stored = on_stored
        self._max_queue = max_queue
        self._block_s = block_s
        self._queue: deque[_Item] = deque()
        self._under_way: list[_Item] = []  # the group that is being stored
        self._pictures = 0
        self._backlog: deque[Path] = deque()  # journals to store, before anything in the queue
        self._spilling = False
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="event-writer", daemon=True)

    def start(self) -> None:
        """Store what earlier processes left behind, then what comes."""
        self._take_over()
        self._thread.start()

    def put(self, events: Sequence[Event], evidence: Evidence | None = None) -> None:
        """Hand over events without waiting for the database; a kill in the next milliseconds may lose them.

        Args:
            events: in the order in which they happened.
            evidence: keeps the picture, called once for each event that has none.

        Raises:
            StorageError: neither the database nor the local disk takes them.
        """
        if events:
            self._enqueue(_Item(list(events), evidence))

    def write(self, events: Sequence[Event], evidence: Evidence | None = None) -> None:
        """Hand over events and return when they are safe: stored, or in the journal on the disk.

        Callers that wait at the same time share a transaction.

        Args:
            events: in the order in which they happened.
            evidence: keeps the picture, called once for each event that has none.

        Raises:
            StorageError: neither the database nor the local disk takes them.
        """
        if not events:
            return
        item = _Item(list(events), evidence)
        self._enqueue(item)
        if not item.safe.wait(self._block_s):
            with self._changed:
                if not item.safe.is_set():
                    self._spill()

    def health(self) -> str | None:
        """None when fine, else what is wrong."""
        return None if self._thread.is_alive() or self._closing else "the event writer has ended"

    @property
    def waiting(self) -> int:
        """Calls in the queue; 0 does not mean that no journal waits."""
        return len(self._queue)

    @property
    def spilling(self) -> bool:
        """Whether events go to the journal now."""
        return self._spilling

    def close(self, timeout_s: float = 5.0) -> None:
        """Store what waits; what cannot be stored in time goes to the journal for the next process."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        with self._changed:
            self._spill()
            self._journal.close()

    def _enqueue(self, item: _Item) -> None:
        deadline = time.monotonic() + self._block_s
        with self._changed:
            crowded = item.evidence is not None and self._pictures >= MAX_PICTURES
        if crowded:
            _keep_pictures(item)
        with self._changed:
            while not (self._spilling or self._closing) and len(self._queue) >= self._max_queue:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            if self._spilling or self._closing or len(self._queue) >= self._max_queue:
                self._spill(item)
                return
            self._queue.append(item)
            self._pictures += item.evidence is not None
            EVENTS_WAITING.set(len(self._queue))
            self._changed.notify_all()

    def _spill(self, *more: _Item) -> None:
        """Bring all that is accepted, then `more`, to the journal, in order. The lock is held: nothing overtakes.

        Raises:
            StorageError: the disk does not take it; all stays as it was.
        """
        items = [item for item in (*self._under_way, *self._queue, *more) if not item.safe.is_set()]
        if not items:
            return
        for item in items:
            _keep_pictures(item)
        events = [event for item in items for event in item.events]
        try:
            self._journal.append(events)
        except OSError as error:
            raise StorageError(f"neither the database nor the local disk takes events: {error}") from error
        EVENTS_SPILLED.inc(len(events))
        if not self._spilling:
            logger.warning("the database takes no events now: they go to the journal on the disk")
        self._spilling = True
        self._queue.clear()
        self._pictures = 0
        EVENTS_WAITING.set(0)
        for item in items:
            item.safe.set()
        self._changed.notify_all()

    def _run(self) -> None:
        pause = _BACKOFF_S[0]
        while True:
            if self._drain() and self._save_next():
                pause = _BACKOFF_S[0]
                if self._closing and not self._queue and not self._spilling:
                    return
                continue
            with self._changed:
                if self._closing:
                    return
                self._changed.wait_for(lambda: self._closing, pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _BACKOFF_S[1])

    def _save_next(self) -> bool:
        """Store what waits as one group, waiting for it if need be. Whether all is stored or in the journal."""
        with self._changed:
            self._changed.wait_for(self._has_work, timeout=5.0)
            count = sum(len(item.events) for item in self._under_way)
            while self._queue and count < BATCH:
                item = self._queue.popleft()
                self._pictures -= item.evidence is not None
                count += len(item.events)
                self._under_way.append(item)
            EVENTS_WAITING.set(len(self._queue))
            self._changed.notify_all()
        for item in self._under_way:
            _keep_pictures(item)
        stored = self._save([event for item in self._under_way for event in item.events])
        with self._changed:
            if not stored:
                # Nothing stays only in memory while the database is away.
                try:
                    self._spill()
                except StorageError as error:
                    logger.error("%s", error)  # noqa: TRY400 - the cause is in the message
                    return False  # the group stays under way, and is tried again with what comes
            for item in self._under_way:
                item.safe.set()
            self._under_way.clear()
        return stored

    def _has_work(self) -> bool:
        return bool(self._under_way or self._queue or self._closing or self._spilling)

    def _save(self, events: list[Event]) -> bool:
        """Whether they are stored, or known to be unstorable."""
        if not events:
            return True
        try:
            self._told(self._store.save_transitions(events))
        except RejectedError as error:
            if len(events) > 1:
                return all(self._save([event]) for event in events)
            EVENTS_REJECTED.inc()
            logger.error("event %s is refused for good: %s", events[0].id, error)  # noqa: TRY400
            self._set_aside(events[0], str(error))
        except AihubError as error:
            logger.warning("%d event transitions are not stored yet: %s", len(events), error)
            return False
        return True

    def _told(self, stored: list[Event]) -> None:
        now = time.time()
        for event in stored:
            EVENTS.labels(event.algorithm, event.state.value, event.severity.value).inc()
            if event.state is EventState.OPENED:
                EVENT_LATENCY.labels(event.algorithm).observe(max(0.0, now - event.updated_at))
        if stored and self._on_stored is not None:
            self._on_stored()

    def _set_aside(self, event: Event, why: str) -> None:
        try:
            self._journal.set_aside(event, why)
        except OSError as error:
            logger.error("event %s cannot be kept aside either: %s", event.id, error)  # noqa: TRY400

    def _take_over(self) -> None:
        self._backlog.extend(self._journal.left())
        self._spilling = bool(self._backlog)

    def _drain(self) -> bool:
        """Store the journals, oldest first. Whether there are none left."""
        while self._spilling:
            if not self._backlog:
                with self._changed:
                    path = self._journal.close()
                    if path is None:
                        self._spilling = False
                        logger.info("all events of the journal are stored")
                        break
                self._backlog.append(path)
            path = self._backlog[0]
            for events in _in_groups(read_journal(path)):
                if not self._save(events):
                    return False
            path.unlink(missing_ok=True)
            self._backlog.popleft()
        return True


def _in_groups(events: Iterator[Event]) -> Iterator[list[Event]]:
    while group := list(islice(events, BATCH)):
        yield group


def _keep_pictures(item: _Item) -> None:
    """Give the events of an item their pictures. An alarm without a picture is better than none."""
    keep, item.evidence = item.evidence, None
    if keep is None:
        return
    for place, event in enumerate(item.events):
        if event.snapshot is not None:
            continue
        try:
            name = keep(event)
        except (AihubError, OSError, ValueError) as error:
            EVIDENCE_FAILURES.inc()
            logger.warning("event %s has no picture: %s", event.id, error)
            continue
        item.events[place] = event.model_copy(update={"snapshot": name})
