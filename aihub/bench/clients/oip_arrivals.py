"""Stock gRPC clients whose requests arrive when they arrive, as in `arrivals`; a process of its own.

python -m aihub.bench.clients.oip_arrivals MODEL < SPECIFICATION, as of `arrivals`; `url` is host and port
"""

from __future__ import annotations

import importlib
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from aihub.bench.clients.arrivals import Arrivals, Ask, answer
from aihub.bench.clients.oip import REFUSED, WAIT_S, encoded

CHANNELS = 10
"""Connections of one source: servers bound the calls on one, by 100 as a rule, and a call that waits for room is late by no fault of the hub."""


class Source(Arrivals):
    """Sends what is due, over some channels in turn.

    Args:
        ask: what, and how often.
        seed: of the gaps.
        model: the algorithm.
    """

    def __init__(self, ask: Ask, seed: int, *, model: str) -> None:
        super().__init__(ask.rate, seed)
        self._triton: Any = importlib.import_module("tritonclient.grpc.aio")
        # Channels to the same address share one connection unless told otherwise.
        apart = [("grpc.use_local_subchannel_pool", 1)]
        self._clients = [
            self._triton.InferenceServerClient(ask.url, channel_args=apart) for _ in range(CHANNELS)
        ]
        self._given = [encoded(self._triton, Path(ask.body).read_bytes())]
        self._headers = {"authorization": f"Bearer {ask.key}"}
        self._model = model

    async def run(self, seconds: float) -> None:
        """See `Arrivals.run`; connections are open before it and closed after."""
        for client in self._clients:
            await client.is_server_live(headers=self._headers)
        await super().run(seconds)
        for client in self._clients:
            await client.close()

    async def send(self, due: float) -> None:
        """See `Arrivals.send`."""
        client = self._clients[self._chance.randrange(CHANNELS)]
        status = "OK"
        try:
            await client.infer(self._model, self._given, headers=self._headers, client_timeout=WAIT_S)
        except self._triton.InferenceServerException as error:
            status = str(error.status())
        self.seen.note(status, time.perf_counter() - due, good=status == "OK", refused=status in REFUSED)


if __name__ == "__main__":
    answer(partial(Source, model=sys.argv[1]))
