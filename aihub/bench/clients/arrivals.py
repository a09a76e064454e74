"""A load client of its own process whose requests arrive when they arrive, whether or not earlier ones are answered.

Callers of an overloaded server do not wait for it, so neither does this: each source sends at its rate with exponential gaps
(Poisson arrivals), over as many kept connections as that takes. Latency counts from the moment a request was due.

    python -m aihub.bench.clients.arrivals < SPECIFICATION, JSON as `specification` gives it
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from aihub.bench.clients.load import WAIT_S, request_bytes
from aihub.bench.clients.seen import Seen

MOST_OPEN = 900
"""Connections of one source. What is due when all are taken is not sent, and counted."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a source sends.

    Attributes:
        name: of the source.
        url: where to.
        key: its API key.
        body: file to send.
        rate: requests a second.
    """

    name: str
    url: str
    key: str
    body: str
    rate: float


class Wire(asyncio.Protocol):
    """A kept connection: one request at a time, answers by status."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._seen = bytearray()
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """It is closed: whoever waits gets status 0."""
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(0)

    def ask(self, data: bytes) -> asyncio.Future[int]:
        """Send a request.

        Raises:
            ConnectionError: it is closed.
        """
        if self.transport is None:
            raise ConnectionResetError
        self._seen.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Part of an answer."""
        self._seen += data
        end = self._seen.find(b"\r\n\r\n")
        if end < 0 or self._answer is None or self._answer.done():
            return
        head = bytes(self._seen[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._seen) >= end + 4 + length:
            if b"connection: close" in head and self.transport is not None:
                self.transport.close()
            self._answer.set_result(int(head[9:12]))


class Arrivals:
    """Sends at its rate with exponential gaps, whether or not earlier requests are answered. Subclasses say how.

    Args:
        rate: requests a second.
        seed: of the gaps.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self._rate, self._chance = rate, random.Random(seed)
        self.seen = Seen()

    def has_room(self, under_way: int) -> bool:
        """Whether one more may be sent beside those under way."""
        return under_way < MOST_OPEN

    async def send(self, due: float) -> None:
        """Send what was due at that `time.perf_counter()`, and note its answer."""
        raise NotImplementedError

    async def run(self, seconds: float) -> None:
        """Send for so long, then wait for what is under way."""
        begun = due = time.perf_counter()
        tasks: set[asyncio.Task[None]] = set()
        while due < begun + seconds:
            wait_s = due - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if self.has_room(len(tasks)):
                task = asyncio.create_task(self.send(due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                self.seen.unsent += 1
            due += self._chance.expovariate(self._rate)
        if tasks:
            await asyncio.wait(tasks, timeout=WAIT_S)


class Source(Arrivals):
    """Sends what is due over kept connections."""

    def __init__(self, ask: Ask, seed: int) -> None:
        super().__init__(ask.rate, seed)
        parts = urlsplit(ask.url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._data = request_bytes(ask.url, ask.key, Path(ask.body).read_bytes(), "image/jpeg")
        self._free: list[Wire] = []
        self._open = 0

    def has_room(self, under_way: int) -> bool:  # noqa: ARG002 - connections count, not requests
        """See `Arrivals.has_room`."""
        return bool(self._free) or self._open < MOST_OPEN

    async def send(self, due: float) -> None:
        """See `Arrivals.send`."""
        wire = self._free.pop() if self._free else None
        if wire is None or wire.transport is None:
            self._open += wire is None
            try:
                _, wire = await asyncio.get_running_loop().create_connection(Wire, self._host, self._port)
            except OSError:
                self.seen.statuses["0"] += 1
                self._open -= 1
                return
        status = await wire.ask(self._data)
        took = time.perf_counter() - due
        self.seen.note(str(status), took, good=status == 200, refused=status == 429)
        self._free.append(wire)


async def together(sources: Mapping[str, Arrivals], seconds: float) -> dict[str, Seen]:
    """All sources at the same time; what each saw."""
    gc.freeze()
    await asyncio.gather(*(source.run(seconds) for source in sources.values()))
    for source in sources.values():
        source.seen.seconds, source.seen.cpu_s = seconds, time.process_time()
    return {name: source.seen for name, source in sources.items()}


def answer(make: Callable[[Ask, int], Arrivals]) -> None:
    """Read the specification, let a source for each ask run, print one JSON line."""
    asked = json.load(sys.stdin)
    asks = [Ask(**one) for one in asked["asks"]]

    async def run() -> dict[str, Seen]:  # clients of gRPC want a running loop when they are made
        made = {ask.name: make(ask, asked["seed"] + at) for at, ask in enumerate(asks)}
        return await together(made, asked["seconds"])

    seen = asyncio.run(run())
    sys.stdout.write(json.dumps({name: one.to_json() for name, one in seen.items()}) + "\n")


def specification(asks: list[Ask], seconds: float, seed: int = 0) -> str:
    """What the process reads."""
    return json.dumps({"asks": [asdict(ask) for ask in asks], "seconds": seconds, "seed": seed})


if __name__ == "__main__":
    answer(Source)
