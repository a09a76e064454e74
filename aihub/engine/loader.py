"""The thread that loads models, one at a time, so that callers and workers never wait inside a load.

One at a time also keeps the measured memory of each load its own.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from aihub.engine.workers import again, settle
from aihub.errors import AihubError, CapacityError, SessionError

logger = logging.getLogger(__name__)

_SWEEP_S = 5.0
_FORGIVE_S = (1.0, 30.0)
"""After a failed load the next one is tried after this many seconds, doubling up to the second figure."""


class Loader:
    """Loads models by name on its own thread. Thread-safe.

    Args:
        load: loads one model; slow.
        loaded: called with the name and, when the load failed, the error.
        idle: called every few seconds when there is nothing to load.
    """

    def __init__(
        self,
        load: Callable[[str], None],
        loaded: Callable[[str, AihubError | None], None],
        idle: Callable[[], object],
    ) -> None:
        self._load, self._loaded, self._idle = load, loaded, idle
        self._asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._pending: dict[str, Future[None]] = {}
        self._failed: dict[str, tuple[AihubError, float, float]] = {}
        self._running: tuple[str, float] | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="aihub-engine-loader", daemon=True)
        self._thread.start()

    def request(self, name: str) -> Future[None]:
        """Ask for a model; never waits. Names that are asked for already share the load."""
        with self._lock:
            pending = self._pending.get(name)
            if pending is None:
                pending = self._pending[name] = Future()
                if self._closed:
                    del self._pending[name]
                    settle(pending, error=CapacityError("the engine is closed"))
                else:
                    self._asked.put(name)
            return pending

    def recent_failure(self, name: str) -> AihubError | None:
        """Why the last load failed, as long as it is too early to try again; a copy for one caller to raise."""
        failed = self._failed.get(name)
        return again(failed[0]) if failed is not None and time.monotonic() < failed[1] else None

    def forgive(self, name: str) -> None:
        """Forget failures: something changed, such as a file that was brought."""
        self._failed.pop(name, None)

    def _loop(self) -> None:
        while True:
            try:
                name = self._asked.get(timeout=_SWEEP_S)
            except queue.Empty:
                self._idle()
                continue
            if name is None:
                return
            self._one(name)

    def _one(self, name: str) -> None:
        self._running = (name, time.monotonic())
        failure: AihubError | None = None
        try:
            self._load(name)
        except AihubError as error:
            failure = error
        except Exception as error:
            # The edge of a thread: decoders and runtimes are foreign code, and a fault in one must not end loading.
            logger.exception("loading %s failed", name)
            failure = SessionError(f"{name} cannot be loaded: {type(error).__name__}: {error}")
            failure.__cause__ = error
        self._running = None
        if failure is None:
            self._failed.pop(name, None)
        else:
            shortest, longest = _FORGIVE_S
            repeated = name in self._failed and not isinstance(failure, CapacityError)
            wait = min(self._failed[name][2] * 2, longest) if repeated else shortest
            self._failed[name] = (failure, time.monotonic() + wait, wait)
            logger.warning("model %s: %s", name, failure)
        with self._lock:
            pending = self._pending.pop(name)
        self._loaded(name, failure)
        settle(pending, error=failure)

    def stalled(self, after_s: float) -> str | None:
        """Why loading is not well: one load has been going for longer than `after_s`. None when it is well."""
        running = self._running
        if running is not None and time.monotonic() - running[1] > after_s:
            return f"loading {running[0]} has been going for {time.monotonic() - running[1]:.0f} s"
        return None

    def close(self, timeout_s: float) -> None:
        """Let the load that is going end, and answer the rest with an error."""
        with self._lock:
            self._closed = True
            waiting = list(self._pending.values())
        self._asked.put(None)
        self._thread.join(timeout_s)
        for future in waiting:
            settle(future, error=CapacityError("the engine is closed"))
