"""Loaded models under a byte budget: the least recently used goes first, never one that is in use or pinned."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from aihub.errors import AihubError, CapacityError, MemoryBudgetError
from aihub.telemetry import MODEL_BYTES, MODELS_LOADED

logger = logging.getLogger(__name__)


class Holding(Protocol):
    """What is kept: it knows its measured size and can be given up."""

    @property
    def bytes(self) -> int:
        """Memory it takes."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


H = TypeVar("H", bound=Holding)


@dataclass(slots=True, eq=False)
class _Kept(Generic[H]):
    value: H
    used: float
    leases: int = 0
    fresh: bool = True


class _Loading:
    """A load in progress, for those who wait for it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: AihubError | None = None


@dataclass(frozen=True, slots=True)
class Held(Generic[H]):
    """One loaded model, for listings."""

    name: str
    value: H
    leases: int
    pinned: bool
    idle_s: float


class ModelMemory(Generic[H]):
    """Loaded models by name. Thread-safe.

    Args:
        budget_bytes: most memory of all together.
        grace_s: how long a model stays after its last lease and pin when nobody needs the room.
        patience_s: how long a load waits for models in use to become free before it gives up.
        fresh_s: how long a model that was just loaded is safe from eviction until its first lease, so that
            models that do not fit together still take turns.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        budget_bytes: int,
        *,
        grace_s: float = 600.0,
        patience_s: float = 2.0,
        fresh_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget_bytes = budget_bytes
        self._grace_s, self._patience_s, self._fresh_s = grace_s, patience_s, fresh_s
        self._clock = clock
        self._kept: dict[str, _Kept[H]] = {}
        self._pins: dict[str, int] = {}
        self._loading: dict[str, _Loading] = {}
        self._reserved: dict[str, int] = {}
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)

    @property
    def used_bytes(self) -> int:
        """Measured bytes of what is loaded, and estimates of what is being loaded."""
        with self._lock:
            return self._used()

    def _used(self) -> int:
        return sum(kept.value.bytes for kept in self._kept.values()) + sum(self._reserved.values())

    def lease(self, name: str) -> H | None:
        """Use a loaded model until `release`; None when it is not loaded. Never waits."""
        with self._lock:
            kept = self._kept.get(name)
            if kept is None:
                return None
            kept.leases += 1
            kept.fresh = False
            return kept.value

    def release(self, name: str) -> None:
        """End one lease."""
        with self._lock:
            kept = self._kept.get(name)
            if kept is None:  # closed while a run was stuck
                return
            kept.leases -= 1
            kept.used = self._clock()
            if not kept.leases:
                self._freed.notify_all()

    def pin(self, name: str) -> None:
        """Never evict this model until `unpin`; counted, and it need not be loaded yet."""
        with self._lock:
            self._pins[name] = self._pins.get(name, 0) + 1

    def unpin(self, name: str) -> None:
        """Take one pin away; one too many is ignored."""
        with self._lock:
            left = self._pins.pop(name, 0) - 1
            if left > 0:
                self._pins[name] = left
            else:
                if name in self._kept:
                    self._kept[name].used = self._clock()
                self._freed.notify_all()

    def load(self, name: str, make: Callable[[], H], *, estimate: int, timeout_s: float = 120.0) -> None:
        """Have a model loaded; of several who ask at once one loads and the others wait.

        Args:
            name: of the model.
            make: loads it; its errors reach all who wait.
            estimate: bytes to make room for; what is measured after loading counts from then on.
            timeout_s: longest wait for another thread's load.

        Raises:
            MemoryBudgetError: it does not fit, and nothing can be evicted.
            CapacityError: another thread's load took too long.
            AihubError: what `make` raised.
        """
        with self._lock:
            if name in self._kept:
                return
            theirs = self._loading.get(name)
            if theirs is None:
                mine = self._loading[name] = _Loading()
        if theirs is not None:
            if not theirs.done.wait(timeout_s):
                raise CapacityError(
                    f"{name} is still being loaded after {timeout_s:.0f} s", retry_after_s=5.0
                )
            if theirs.error is not None:
                raise theirs.error
            return
        try:
            self._load(name, make, estimate)
        except AihubError as error:
            mine.error = error
            raise
        finally:
            with self._lock:
                self._reserved.pop(name, None)
                del self._loading[name]
            mine.done.set()

    def _load(self, name: str, make: Callable[[], H], estimate: int) -> None:
        self._make_room(name, estimate)
        value = make()
        try:
            self._make_room(name, value.bytes)
        except MemoryBudgetError:
            value.close()
            raise
        with self._lock:
            self._reserved.pop(name, None)
            self._kept[name] = _Kept(value, self._clock())
        self._gauge()

    def _make_room(self, name: str, wanted: int) -> None:
        """Evict until `wanted` bytes fit, and reserve them."""
        if wanted > self.budget_bytes:
            raise MemoryBudgetError(
                f"{name} takes {wanted >> 20} MiB, more than the whole budget of {self.budget_bytes >> 20} MiB",
                retry_after_s=60.0,
                hint="raise AIHUB_ENGINE_BUDGET_MB",
            )
        evicted: list[tuple[str, H]] = []
        until = self._clock() + self._patience_s
        with self._lock:
            self._reserved.pop(name, None)
            while (missing := self._used() + wanted - self.budget_bytes) > 0:
                victim = self._victim()
                if victim is not None:
                    evicted.append((victim, self._kept.pop(victim).value))
                    continue
                left = until - self._clock()
                if left <= 0:
                    break
                self._freed.wait(min(left, self._fresh_s / 2))
            else:
                self._reserved[name] = wanted
        self._give_up(evicted, "for " + name)
        if missing > 0:
            raise MemoryBudgetError(
                f"{name} needs {missing >> 20} MiB more than is free, and all loaded models are in use",
                retry_after_s=5.0,
                hint="raise AIHUB_ENGINE_BUDGET_MB",
            )

    def _victim(self) -> str | None:
        now = self._clock()
        idle = [
            (kept.used, name)
            for name, kept in self._kept.items()
            if not kept.leases
            and name not in self._pins
            and not (kept.fresh and now - kept.used < self._fresh_s)
        ]
        return min(idle)[1] if idle else None

    def sweep(self) -> list[str]:
        """Give up models that nobody has used for the grace time. Returns their names."""
        now = self._clock()
        with self._lock:
            gone = [
                (name, kept.value)
                for name, kept in self._kept.items()
                if not kept.leases and name not in self._pins and now - kept.used >= self._grace_s
            ]
            for name, _ in gone:
                del self._kept[name]
        self._give_up(gone, "idle")
        return [name for name, _ in gone]

    def drop(self, name: str, timeout_s: float = 30.0) -> bool:
        """Give up one model, pinned or not, as soon as no run uses it. Returns whether it is gone."""
        until = self._clock() + timeout_s
        with self._lock:
            while (kept := self._kept.get(name)) is not None and kept.leases:
                left = until - self._clock()
                if left <= 0:
                    return False
                self._freed.wait(left)
            if kept is not None:
                del self._kept[name]
        if kept is not None:
            self._give_up([(name, kept.value)], "dropped")
        return True

    def _give_up(self, models: list[tuple[str, H]], why: str) -> None:
        for name, value in models:
            logger.info("unloading %s (%d MiB): %s", name, value.bytes >> 20, why)
            value.close()
        if models:
            self._gauge()

    def _gauge(self) -> None:
        with self._lock:
            MODELS_LOADED.set(len(self._kept))
            MODEL_BYTES.set(sum(kept.value.bytes for kept in self._kept.values()))

    def held(self) -> list[Held[H]]:
        """What is loaded, by name."""
        now = self._clock()
        with self._lock:
            return [
                Held(name, kept.value, kept.leases, name in self._pins, max(0.0, now - kept.used))
                for name, kept in sorted(self._kept.items())
            ]

    def close(self) -> None:
        """Give everything up. Nothing may be running."""
        with self._lock:
            gone = [(name, kept.value) for name, kept in self._kept.items()]
            self._kept.clear()
        self._give_up(gone, "closing")
