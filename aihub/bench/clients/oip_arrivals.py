"""Stock gRPC clients whose requests arrive when they arrive, as in `arrivals`; a process of its own.

python -m aihub.bench.clients.oip_arrivals MODEL < SPECIFICATION, as of `arrivals`; `url` is host and port
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from aihub.bench.clients.arrivals import MOST_OPEN, Ask
from aihub.bench.clients.oip import REFUSED, WAIT_S, encoded
from aihub.bench.clients.seen import Seen

CHANNELS = 10
"""Connections of one source: servers bound the calls on one, by 100 as a rule, and a call that waits for room is late by no fault of the hub."""


class Source:
    """Sends what is due, over some channels in turn.

    Args:
        ask: what, and how often.
        model: the algorithm.
        seed: of the gaps.
    """

    def __init__(self, ask: Ask, model: str, seed: int) -> None:
        self._triton: Any = importlib.import_module("tritonclient.grpc.aio")
        # Channels to the same address share one connection unless told otherwise.
        apart = [("grpc.use_local_subchannel_pool", 1)]
        self._clients = [
            self._triton.InferenceServerClient(ask.url, channel_args=apart) for _ in range(CHANNELS)
        ]
        self._given = [encoded(self._triton, Path(ask.body).read_bytes())]
        self._headers = {"authorization": f"Bearer {ask.key}"}
        self._model, self._rate, self._chance = model, ask.rate, random.Random(seed)
        self.seen = Seen()

    async def run(self, seconds: float) -> None:
        """Send for so long, then wait for what is under way."""
        for client in self._clients:  # opens the connection
            await client.is_server_live(headers=self._headers)
        begun = due = time.perf_counter()
        tasks: set[asyncio.Task[None]] = set()
        while due < begun + seconds:
            wait_s = due - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if len(tasks) < MOST_OPEN:
                task = asyncio.create_task(self._one(due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                self.seen.unsent += 1
            due += self._chance.expovariate(self._rate)
        if tasks:
            await asyncio.wait(tasks, timeout=WAIT_S)
        for client in self._clients:
            await client.close()

    async def _one(self, due: float) -> None:
        client = self._clients[self._chance.randrange(CHANNELS)]
        status = "OK"
        try:
            await client.infer(self._model, self._given, headers=self._headers, client_timeout=WAIT_S)
        except self._triton.InferenceServerException as error:
            status = str(error.status())
        self.seen.note(status, time.perf_counter() - due, good=status == "OK", refused=status in REFUSED)


async def run(asks: list[Ask], model: str, seconds: float, seed: int) -> dict[str, Seen]:
    """All sources at the same time."""
    gc.freeze()
    sources = {ask.name: Source(ask, model, seed + at) for at, ask in enumerate(asks)}
    await asyncio.gather(*(source.run(seconds) for source in sources.values()))
    for source in sources.values():
        source.seen.seconds, source.seen.cpu_s = seconds, time.process_time()
    return {name: source.seen for name, source in sources.items()}


def main() -> None:
    """Read, run, print one JSON line."""
    asked = json.load(sys.stdin)
    asks = [Ask(**one) for one in asked["asks"]]
    seen = asyncio.run(run(asks, sys.argv[1], asked["seconds"], asked["seed"]))
    sys.stdout.write(json.dumps({name: one.to_json() for name, one in seen.items()}) + "\n")


if __name__ == "__main__":
    main()
