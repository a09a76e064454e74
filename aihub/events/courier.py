"""From the outbox to the sinks: at once when all is well, patiently when a receiver is down.

- An event's steps reach a sink one after the other; different events go side by side.
- A sink that has not shown that it takes deliveries gets one at a time, and all such sinks together at most half of
  the workers: receivers that hang take none from the others. One that fails three times in a row is left alone for a
  while. When it answers again, all that waited goes out.
- What fails for a day, or is refused for good three times, becomes a dead letter, which a person can replay.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aihub.errors import AihubError, DeliveryError, StorageError
from aihub.events.delivery import Sink, Surroundings, make_sink
from aihub.events.ports import Outbox
from aihub.storage.records import Delivery, SinkSpec
from aihub.telemetry import DELIVERIES, DELIVERY_LATENCY

logger = logging.getLogger(__name__)

POLL_S = 0.5
"""How often the outbox is looked at for what other processes put there."""

MAX_AGE_S = 86400.0
LAST_BACKOFF_S = 300.0
LAST_PROBE_S = 30.0
REFUSALS = 3
"""So often a delivery is tried that was refused for good: a receiver may be in the middle of an upgrade."""

_FAILURES_TO_OPEN = 3
_LEASE_FACTOR = 6.0
_SETTLE_TRIES = 6


@dataclass(slots=True)
class _Lane:
    """What this process knows of one sink."""

    spec: SinkSpec
    sink: Sink[Any] | None = None
    in_flight: int = 0
    proven: bool = False  # the last delivery that ended arrived
    failures: int = 0  # in a row
    closed_until: float = 0.0  # monotonic


class Courier:
    """Delivers what is in the outbox. Several may run, in one or many processes.

    Args:
        outbox: where deliveries wait.
        surroundings: what sinks are given.
        name: unique among couriers.
        workers: deliveries at once.
        per_sink: deliveries at once for one sink.
        poll_s: how often to look without being woken, seconds.
        max_age_s: a delivery that fails is given up when it is older, seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        surroundings: Surroundings,
        *,
        name: str,
        workers: int = 16,
        per_sink: int = 4,
        poll_s: float = POLL_S,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self._outbox = outbox
        self._surroundings = surroundings
        self._name = name
        self._per_sink = per_sink
        self._poll_s = poll_s
        self._max_age_s = max_age_s
        self._lease_s = _LEASE_FACTOR * surroundings.timeout_s
        self._lanes: dict[str, _Lane] = {}
        self._idle = workers
        self._unproven = max(1, workers // 2)  # workers that sinks of unknown health may hold
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._jobs: queue.SimpleQueue[tuple[_Lane, Delivery] | None] = queue.SimpleQueue()
        # Daemons: a sink that hangs must not keep the process from ending.
        self._workers = [
            threading.Thread(target=self._work, name=f"courier-{number}", daemon=True)
            for number in range(workers)
        ]
        self._dispatcher = threading.Thread(target=self._dispatch, name="courier", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        for thread in (*self._workers, self._dispatcher):
            thread.start()

    def wake(self) -> None:
        """There is something new: look now. Cheap, from any thread."""
        self._woken.set()

    def health(self) -> str | None:
        """None when fine, else what is wrong."""
        dead = not self._dispatcher.is_alive() and not self._closing.is_set()
        return "the courier has ended" if dead else None

    def close(self, timeout_s: float = 5.0) -> None:
        """Take nothing new and let what is under way end; what does not in time is delivered again by another."""
        deadline = time.monotonic() + timeout_s
        self._closing.set()
        self._woken.set()
        for _ in self._workers:
            self._jobs.put(None)
        for thread in (self._dispatcher, *self._workers):
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            sinks = [lane.sink for lane in self._lanes.values() if lane.sink is not None]
        for sink in sinks:
            sink.close()

    def _dispatch(self) -> None:
        failures = 0
        while not self._closing.is_set():
            self._woken.clear()
            try:
                started = self._hand_out()
                failures = 0
            except StorageError as error:
                failures += 1
                logger.warning("the outbox cannot be read now: %s", error)
                self._closing.wait(_backoff(failures, 10.0))
                continue
            if not started:
                self._woken.wait(self._poll_s)

    def _hand_out(self) -> int:
        now = time.monotonic()
        with self._lock:
            idle = self._idle
            good = {
                name: self._per_sink - lane.in_flight for name, lane in self._lanes.items() if lane.proven
            }
            rest = {name: lane for name, lane in self._lanes.items() if not lane.proven}
            tried = {
                name: 0 if lane.in_flight or now < lane.closed_until else 1 for name, lane in rest.items()
            }
            spare = self._unproven - sum(lane.in_flight for lane in rest.values())
        claimed = self._claim(idle, 0, good) if any(room > 0 for room in good.values()) else []
        claimed += self._claim(min(spare, idle - len(claimed)), 1, dict.fromkeys(good, 0) | tried)
        with self._lock:
            for delivery in claimed:
                lane = self._lanes.setdefault(delivery.sink.id, _Lane(delivery.sink))
                lane.in_flight += 1
                self._idle -= 1
                self._jobs.put((lane, delivery))
        return len(claimed)

    def _claim(self, limit: int, per_sink: int, rooms: dict[str, int]) -> list[Delivery]:
        if limit < 1:
            return []
        return self._outbox.claim_deliveries(
            self._name, limit=limit, lease_s=self._lease_s, per_sink=per_sink, rooms=rooms
        )

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            lane, delivery = job
            try:
                self._deliver(lane, delivery)
            finally:
                with self._lock:
                    lane.in_flight -= 1
                    self._idle += 1
                self._woken.set()

    def _deliver(self, lane: _Lane, delivery: Delivery) -> None:
        try:
            self._sink(lane, delivery.sink).deliver(delivery.event)
        except DeliveryError as error:
            self._failed(lane, delivery, error)
        except AihubError as error:  # the sink itself is wrong: its kind is gone, its parameters do not fit
            self._failed(lane, delivery, DeliveryError(str(error)))
        except Exception as error:  # noqa: BLE001 - an edge of the process: sinks of third parties may raise anything
            self._failed(lane, delivery, DeliveryError(f"{type(error).__name__}: {error}"))
        else:
            self._arrived(lane, delivery)

    def _sink(self, lane: _Lane, spec: SinkSpec) -> Sink[Any]:
        with self._lock:
            stale = None
            if lane.sink is None or (lane.spec.kind, lane.spec.params) != (spec.kind, spec.params):
                stale = lane.sink
                lane.sink = make_sink(spec.kind, spec.params, self._surroundings)
                lane.spec = spec
            made = lane.sink
        if stale is not None:
            stale.close()
        return made

    def _arrived(self, lane: _Lane, delivery: Delivery) -> None:
        self._settle(lambda: self._outbox.complete(delivery.id))
        DELIVERIES.labels(delivery.sink.name, "delivered").inc()
        DELIVERY_LATENCY.labels(delivery.sink.name).observe(max(0.0, time.time() - delivery.event.updated_at))
        with self._lock:
            recovered, lane.failures, lane.closed_until = lane.failures > 0, 0, 0.0
            lane.proven = True
        if recovered:
            self._settle(lambda: self._outbox.hasten(delivery.sink.id))

    def _failed(self, lane: _Lane, delivery: Delivery, error: DeliveryError) -> None:
        cause, sink = str(error), delivery.sink.name
        if error.retryable:
            with self._lock:
                lane.failures += 1
                lane.proven = False
                beyond = lane.failures - _FAILURES_TO_OPEN
                if beyond >= 0:
                    lane.closed_until = time.monotonic() + _backoff(beyond + 1, LAST_PROBE_S)
            given_up = time.time() - delivery.created_at > self._max_age_s
        else:
            given_up = delivery.attempts >= REFUSALS
        if given_up:
            logger.error("sink %s: %s is a dead letter: %s", sink, delivery.event.delivery_id, cause)
            DELIVERIES.labels(sink, "dead").inc()
            self._settle(lambda: self._outbox.bury(delivery.id, cause))
            return
        logger.warning("sink %s: attempt %d failed: %s", sink, delivery.attempts, cause)
        DELIVERIES.labels(sink, "failed").inc()
        again = time.time() + _backoff(delivery.attempts, LAST_BACKOFF_S)
        self._settle(lambda: self._outbox.retry(delivery.id, again, cause))

    def _settle(self, note: Callable[[], None]) -> None:
        """Note an outcome. If that fails for long, the lease runs out and it is delivered again under the same id."""
        for attempt in range(1, _SETTLE_TRIES + 1):
            try:
                note()
            except StorageError as error:
                logger.warning("an outcome is not noted yet: %s", error)
                if self._closing.wait(_backoff(attempt, 2.0)):
                    return
            else:
                return


def _backoff(attempt: int, most: float) -> float:
    """1, 2, 4, ... seconds up to `most`, each shortened at random by up to a half."""
    return min(most, 2.0 ** min(attempt - 1, 16)) * random.uniform(0.5, 1.0)
