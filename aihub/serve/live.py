"""Transitions of events as they are stored, to any number of listeners, from one reader of the database."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from aihub.errors import StorageError
from aihub.storage.records import Transition
from aihub.telemetry import REGISTRY
from aihub.types import Event

logger = logging.getLogger(__name__)

POLL_S = 0.2
PAGE = 500
QUEUE = 1000
MAX_LISTENERS = 1000

LISTENERS = Gauge("aihub_live_listeners", "Clients of /v1/events/live.", registry=REGISTRY)
DROPPED = Counter(
    "aihub_live_dropped_total",
    "Clients of /v1/events/live cut off because they read too slowly.",
    registry=REGISTRY,
)
FAILURES = Counter(
    "aihub_live_poll_failures_total", "Reads of new transitions that failed.", registry=REGISTRY
)


class Listener:
    """One client's queue. `get` gives None when the client was cut off."""

    def __init__(self, wants: Callable[[Event], bool], size: int = QUEUE) -> None:
        self.wants = wants
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(size)
        self.cut = False

    def offer(self, message: Message) -> None:
        """Queue what the client wants; cut it off when it is a whole queue behind."""
        if self.cut or not self.wants(message.event):
            return
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            DROPPED.inc()
            self.end()

    def end(self) -> None:
        """Nothing more will come; what waits is thrown away, the client resumes where it was."""
        self.cut = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def get(self) -> Message | None:
        """Wait for the next transition."""
        return await self._queue.get()


@dataclass(frozen=True, slots=True)
class Message:
    """A transition, made into text once for all listeners."""

    seq: int
    event: Event
    data: str

    @classmethod
    def of(cls, step: Transition) -> Message:
        """From a stored transition."""
        return cls(step.seq, step.event, step.event.model_dump_json())


class LiveFeed:
    """Reads new transitions while somebody listens, and nothing while nobody does.

    Args:
        after: `(seq, limit) -> transitions`, oldest first; may block.
        last: `() -> seq` of the newest; may block.
        poll_s: wait between two reads that found nothing, seconds.
        queue: messages that one listener may be behind.
    """

    def __init__(
        self,
        after: Callable[[int, int], Sequence[Transition]],
        last: Callable[[], int],
        *,
        poll_s: float = POLL_S,
        queue: int = QUEUE,
    ) -> None:
        self._after, self._last, self._poll_s, self._queue = after, last, poll_s, queue
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._seq = 0
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def listen(self, wants: Callable[[Event], bool]) -> AsyncIterator[tuple[Listener, int]]:
        """Listen from now on.

        Yields:
            The listener, and the seq after which it hears everything.

        Raises:
            StorageError: the database does not answer.
        """
        listener = Listener(wants, self._queue)
        async with self._turn:
            if self._task is None:
                self._seq = await asyncio.to_thread(self._last)
                self._task = asyncio.create_task(self._poll(), name="aihub-live")
                self._task.add_done_callback(self._ended)
            self._listeners.add(listener)
            since = self._seq
        LISTENERS.inc()
        try:
            yield listener, since
        finally:
            LISTENERS.dec()
            self._listeners.discard(listener)
            if not self._listeners:
                self._stop()

    async def replay(self, wants: Callable[[Event], bool], after: int, until: int) -> AsyncIterator[Message]:
        """Transitions that were stored before one listened: `after < seq <= until`."""
        while after < until:
            steps = await asyncio.to_thread(self._after, after, PAGE)
            for step in steps:
                if step.seq > until:
                    return
                if wants(step.event):
                    yield Message.of(step)
            if not steps:
                return
            after = steps[-1].seq

    @property
    def full(self) -> bool:
        """Whether no more listeners are taken."""
        return len(self._listeners) >= MAX_LISTENERS

    def close(self) -> None:
        """End all listeners and the reader."""
        for listener in tuple(self._listeners):
            listener.end()
        self._stop()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task is not self._task:
            return
        FAILURES.inc()
        logger.error("the reader of new events ended; its listeners may come back", exc_info=task.exception())
        self.close()

    async def _poll(self) -> None:
        failures = 0
        while True:
            try:
                steps = await asyncio.to_thread(self._after, self._seq, PAGE)
                failures = 0
            except StorageError as error:
                failures += 1
                FAILURES.inc()
                logger.warning("new events cannot be read: %s", error)
                await asyncio.sleep(min(5.0, self._poll_s * 2**failures) * random.uniform(0.5, 1.0))
                continue
            for step in steps:
                message = Message.of(step)
                self._seq = step.seq
                for listener in tuple(self._listeners):
                    listener.offer(message)
            if len(steps) < PAGE:
                await asyncio.sleep(self._poll_s)
            else:
                await asyncio.sleep(0)
