"""How much one process holds for callers over gRPC at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aihub.errors import QueueFullError

BUSY = "the hub holds as many requests as it can"
HINT = "send fewer at once, or add replicas"


class Room:
    """Counts requests and their bytes, and refuses what is too much. For one event loop.

    Args:
        requests: most at once.
        size: most bytes at once; a single request is let in whatever its size.
    """

    def __init__(self, requests: int, size: int) -> None:
        self._requests, self._bytes = requests, size
        self.requests = 0
        self.bytes = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a place before reading a request.

        Raises:
            QueueFullError: there is none.
        """
        if self.requests >= self._requests:
            raise QueueFullError(BUSY, hint=HINT)
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Keep a request of so many bytes.

        Raises:
            QueueFullError: with those already here it is too much.
        """
        if self.bytes and self.bytes + size > self._bytes:
            raise QueueFullError(BUSY, hint=HINT)
        self.bytes += size
        try:
            yield
        finally:
            self.bytes -= size
