"""Whether the hub can be used, asked at most twice a second however often it is asked."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from aihub.errors import AihubError
from aihub.serve.services import Services
from aihub.types.answers import Check, Ready

logger = logging.getLogger(__name__)

FRESH_S = 0.5
HOST_FRESH_S = 10.0
WAIT_S = 2.0
STREAM_HOST = "stream-host"


class Probe:
    """Runs the checks of `/readyz`.

    Anyone may ask without a key, so answers are kept for half a second, one thread at a time looks, and reasons
    are short: addresses, paths and names of machines stay in the log.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turn = threading.Lock()
        self._last: Ready | None = None
        self._until = 0.0

    def check(self) -> Ready:
        """The state of now, or of a moment ago."""
        if self._last is not None and time.monotonic() < self._until:
            return self._last
        if not self._turn.acquire(timeout=WAIT_S):
            return self._answer(
                {"checks": Check(ok=False, detail="a former look still waits for its answer")}
            )
        try:
            if self._last is None or time.monotonic() >= self._until:
                self._last = self._look()
                self._until = time.monotonic() + FRESH_S
            return self._last
        finally:
            self._turn.release()

    def _look(self) -> Ready:
        checks: dict[str, Callable[[], str]] = {
            "database": self._database,
            "algorithms": self._algorithms,
            "engine": self._engine,
            "stream_host": self._stream_host,
        }
        return self._answer({name: _run(name, check) for name, check in checks.items()})

    def _answer(self, checks: dict[str, Check]) -> Ready:
        return Ready(
            ready=all(check.ok for check in checks.values()), version=self._services.version, checks=checks
        )

    def _database(self) -> str:
        self._services.repository.last_seq()
        return "answers"

    def _algorithms(self) -> str:
        count = len(self._services.registry.list())
        if not count:
            raise AihubError("no algorithm is loaded")
        return f"{count} loaded, {len(self._services.registry.failures)} broken cards"

    def _engine(self) -> str:
        if reason := self._services.health():
            logger.warning("not ready: %s", reason)
            raise AihubError("this process is not well")
        return "well"

    def _stream_host(self) -> str:
        hosts = self._services.repository.live_processes(HOST_FRESH_S, kind=STREAM_HOST)
        if not hosts:
            raise AihubError(f"none was heard of in the last {HOST_FRESH_S:g} s")
        return f"{len(hosts)} alive"


def _run(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(ok=True, detail=check())
    except AihubError as error:
        inside = type(error) is not AihubError
        if inside:
            logger.warning("not ready: %s: %s", name, error)
        return Check(ok=False, detail="does not answer" if inside else error.message)
