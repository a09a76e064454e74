"""A receiver of webhooks that notes when each came."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from aihub.bench.alarms.truth import Raised

SECRET = "for-benchmarks-on-this-machine"  # noqa: S105 - signs what never leaves the machine
_BODY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was received.

    Attributes:
        at: when, epoch seconds.
        key: the same on every attempt to deliver the same step of an event.
        event: as the hub tells it.
    """

    at: float
    key: str
    event: dict[str, Any]


class Receiver:
    """Listens on this machine while it is open."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        received = self.deliveries

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30.0

            def do_POST(self) -> None:
                at = time.time()
                body = self.rfile.read(min(_BODY_BYTES, int(self.headers.get("Content-Length") or 0)))
                self.send_response(204)
                self.end_headers()
                key = self.headers.get("Idempotency-Key") or ""
                received.append(Delivery(at, key, json.loads(body)["data"]))

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhooks", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/alarms"

    def alarms(self, cameras: Iterable[str]) -> list[Raised]:
        """Every event of these streams once, when the first step of its life was received."""
        wanted, first = set(cameras), dict[str, Raised]()
        for one in list(self.deliveries):
            event = one.event
            if event["stream_id"] in wanted and event["id"] not in first:
                key = str(event["data"].get("text", event["key"]))
                first[event["id"]] = Raised(event["stream_id"], key, event["id"], one.at)
        return list(first.values())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)
