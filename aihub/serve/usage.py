"""What tenants use, by algorithm and day: counted here as it happens, written to the database every few seconds.

The counters `aihub_usage_*` rise by the same amounts at the same moment, so that usage and metrics add up to each other. What
the database does not take now is kept and written later; what is left when the process ends goes to a file, and whichever
process starts next writes it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from prometheus_client import Counter

from aihub.errors import StorageError
from aihub.storage.records import RejectedError, Usage
from aihub.telemetry import REGISTRY
from aihub.types import uuid7

logger = logging.getLogger(__name__)

FLUSH_S = 2.0
MAX_ROWS = 10_000
"""Rows (day, tenant, algorithm) held at once; what comes on top is counted together as `OTHER`."""
OTHER = "other"
DAY_S = 86_400
_ASKED_FOR_S = 60.0

CALLS = Counter("aihub_usage_calls_total", "Calls that ended.", ["tenant", "algorithm"], registry=REGISTRY)
ERRORS = Counter("aihub_usage_errors_total", "Calls that failed.", ["tenant", "algorithm"], registry=REGISTRY)
FRAMES = Counter(
    "aihub_usage_frames_total",
    "Pictures, or seconds of sound begun.",
    ["tenant", "algorithm"],
    registry=REGISTRY,
)
COMPUTE = Counter(
    "aihub_usage_compute_seconds_total",
    "Seconds that models and stages ran, shared work by its share.",
    ["tenant", "algorithm"],
    registry=REGISTRY,
)
LOST = Counter(
    "aihub_usage_lost_total", "Rows of usage that the database refused for good.", registry=REGISTRY
)

_Key = tuple[int, str, str]


class UsageStore(Protocol):
    """Where usage is kept. All may block and raise `StorageError`."""

    def add_usage(self, rows: Iterable[Usage]) -> None:
        """Add to what is there, all or nothing."""
        ...

    def calls_of_day(self, day: str) -> dict[str, int]:
        """Calls of a day by tenant."""
        ...


class UsageBook:
    """Counts what was used and writes it down later. One per process; thread-safe; `book` never blocks.

    Args:
        store: the database.
        folder: where what could not be written waits for the next start; None keeps nothing over the end.
        clock: epoch seconds.
    """

    def __init__(
        self, store: UsageStore, folder: Path | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store, self._folder, self._clock = store, folder, clock
        self._lock = threading.Lock()
        self._pending: dict[_Key, Usage] = {}
        # Calls by day and tenant: what the database said last, and what was booked here that it did not know of then.
        self._known: dict[tuple[int, str], int] = {}
        self._unseen: defaultdict[tuple[int, str], int] = defaultdict(int)
        self._asked_at = 0.0
        self._flushing = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def book(
        self,
        tenant: str,
        algorithm: str,
        *,
        calls: int = 0,
        errors: int = 0,
        frames: int = 0,
        compute_s: float = 0.0,
    ) -> None:
        """Count what a tenant used of an algorithm now.

        Args:
            tenant: who.
            algorithm: id of the algorithm, or a model's name; a known one, for it becomes a label of metrics.
            calls: requests for it that ended, well or not.
            errors: how many of these failed.
            frames: pictures, or seconds of sound begun.
            compute_s: seconds that models and stages ran for it, shared work by its share.
        """
        today = int(self._clock() // DAY_S)
        with self._lock:
            self._add(
                (today, tenant, algorithm), Usage("", tenant, algorithm, calls, errors, frames, compute_s)
            )
            if calls:
                self._unseen[today, tenant] += calls
        amounts = ((CALLS, calls), (ERRORS, errors), (FRAMES, frames), (COMPUTE, compute_s))
        for counter, amount in amounts:
            if amount:
                counter.labels(tenant, algorithm).inc(amount)

    def calls_today(self, tenant: str) -> int:
        """Calls of this day (UTC): of all processes as of some seconds ago, of this one as of now. Never blocks."""
        now = self._clock()
        today = int(now // DAY_S)
        with self._lock:
            first, self._asked_at = now - self._asked_at > _ASKED_FOR_S, now
            calls = self._known.get((today, tenant), 0) + self._unseen.get((today, tenant), 0)
        if first:
            self._wake.set()
        return calls

    def seconds_to_midnight(self) -> float:
        """Until the day (UTC) ends."""
        return DAY_S - self._clock() % DAY_S

    def start(self) -> None:
        """Begin to write every few seconds. Does nothing when it is at it."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
            self._thread.start()

    def flush(self) -> bool:
        """Write what was counted so far; whether the database took it."""
        with self._flushing:
            with self._lock:
                taken, self._pending = self._pending, {}
            try:
                self._write(taken)
            except StorageError as error:
                logger.warning("usage cannot be written now and is kept: %s", error)
                with self._lock:
                    for key, row in taken.items():
                        self._add(key, row)
                return False
            self._look_again(taken)
            return True

    def close(self) -> None:
        """Stop, and write the rest; what the database does not take now waits in a file for the next start."""
        self._stop.set()
        self._wake.set()
        # First to the file, which does not hang: whoever ends us may not wait for a database that does.
        self._put_aside()
        if self._thread is not None:
            self._thread.join(timeout=30)
        if not self.flush():
            self._put_aside()
        self._adopt()

    def _add(self, key: _Key, more: Usage) -> None:
        row = self._pending.get(key)
        if row is None and len(self._pending) >= MAX_ROWS:
            key = (key[0], OTHER, OTHER)
            row = self._pending.get(key)
        self._pending[key] = (
            replace(more, tenant=key[1], algorithm=key[2])
            if row is None
            else replace(
                row,
                calls=row.calls + more.calls,
                errors=row.errors + more.errors,
                frames=row.frames + more.frames,
                compute_s=row.compute_s + more.compute_s,
            )
        )

    def _write(self, taken: dict[_Key, Usage]) -> None:
        rows = _rows(taken)
        if not rows:
            return
        try:
            self._store.add_usage(rows)
        except RejectedError:
            # One of them is at fault: the others must not be kept back with it for ever.
            for key, row in list(zip(taken, rows, strict=True)):
                try:
                    self._store.add_usage([row])
                except RejectedError:
                    LOST.inc()
                    logger.exception("usage of %s by %s is lost", row.algorithm, row.tenant)
                del taken[key]

    def _look_again(self, written: dict[_Key, Usage]) -> None:
        """Learn the calls of the day anew, when quotas asked for them lately; those just written are in them."""
        now = self._clock()
        today = int(now // DAY_S)
        known: dict[str, int] | None = None
        if now - self._asked_at <= _ASKED_FOR_S:
            try:
                known = self._store.calls_of_day(_day(today))
            except StorageError as error:
                logger.warning("the calls of today cannot be read; going on with those known: %s", error)
        with self._lock:
            for (day, tenant, _), row in written.items():
                if day == today and known is None:
                    self._known[day, tenant] = self._known.get((day, tenant), 0) + row.calls
                self._unseen[day, tenant] -= row.calls
            if known is not None:
                self._known = {(today, tenant): calls for tenant, calls in known.items()}
            self._known = {key: calls for key, calls in self._known.items() if key[0] == today}
            self._unseen = defaultdict(int, {key: calls for key, calls in self._unseen.items() if calls})

    def _put_aside(self) -> None:
        if self._folder is None:
            return
        today = int(self._clock() // DAY_S)
        with self._lock:
            rest = dict(self._pending)
            if not rest:
                return
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                written = self._folder / f"{uuid7()}.part"
                written.write_text(json.dumps([asdict(row) for row in _rows(rest)]), encoding="utf-8")
                written.rename(written.with_suffix(".json"))
            except OSError:
                logger.exception("usage cannot be put aside in %s", self._folder)
                return
            self._pending.clear()
            for (day, tenant, _), row in rest.items():
                if day == today:
                    self._known[day, tenant] = self._known.get((day, tenant), 0) + row.calls
                self._unseen[day, tenant] -= row.calls

    def _run(self) -> None:
        self._adopt()
        while not self._stop.is_set():
            self._wake.wait(FLUSH_S)
            self._wake.clear()
            self.flush()

    def _adopt(self) -> None:
        """Write what was put aside, by processes of the past too. A file is renamed first, so one process alone reads it."""
        if self._folder is None:
            return
        for path in sorted(self._folder.glob("*.json")):
            claimed = path.with_suffix(".claimed")
            try:
                path.rename(claimed)
                rows = [Usage(**row) for row in json.loads(claimed.read_text(encoding="utf-8"))]
                self._store.add_usage(rows)
            except FileNotFoundError:
                continue
            except StorageError:
                claimed.rename(path)
                return
            except (OSError, ValueError, TypeError):
                LOST.inc()
                logger.exception("usage left in %s cannot be read", claimed)
                continue
            claimed.unlink()


def _rows(counted: dict[_Key, Usage]) -> list[Usage]:
    return [replace(row, day=_day(key[0])) for key, row in counted.items()]


def _day(number: int) -> str:
    return datetime.fromtimestamp(number * DAY_S, UTC).strftime("%Y-%m-%d")
