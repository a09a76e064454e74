"""A whole hub on Ray in its own process, cameras and a webhook receiver in this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aihub.serve.cluster import free_port as free_port
from aihub.storage.database import Database
from aihub.storage.repository import Repository

START_S = 120.0


def until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Poll until the condition gives something true; fail with `what` when it never does."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout_s:.0f} s: {what}")


@dataclass
class Hub:
    """A running hub, started and stopped as a person would."""

    home: Path
    port: int = field(default_factory=free_port)
    address: str = "local"
    process: subprocess.Popen[str] | None = None
    grpc_port: int = 0
    pages_port: int = field(default_factory=free_port)
    """Where pages come from that may call it from a browser."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> dict[str, Any]:
        """Start and wait for the line that says it is ready."""
        line = self.begin()
        assert line, f"the hub did not start: {(self.home / 'up.log').read_text()[-4000:]}"
        said: dict[str, Any] = json.loads(line)
        return said

    def begin(self) -> str:
        """Start it; the first line it prints, empty when it ended without one."""
        environment = os.environ | {
            "AIHUB_HOME": str(self.home),
            "AIHUB_CORS_ORIGINS": json.dumps([f"http://127.0.0.1:{self.pages_port}"]),
            "AIHUB_WEBHOOK_NETWORKS": '["127.0.0.0/8"]',
            "AIHUB_LEASE_SECONDS": "5",
        }
        command = [
            sys.executable,
            "-m",
            "aihub",
            "up",
            "--port",
            str(self.port),
            "--grpc-port",
            str(self.grpc_port),
            "--address",
            self.address,
            "--json",
        ]
        with (self.home / "up.log").open("a") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        timer = threading.Timer(START_S, self.process.kill)
        timer.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        timer.cancel()
        return line

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=60)
            finally:
                self.process.kill()
                self.process.wait(timeout=10)
                assert self.process.stdout is not None
                self.process.stdout.close()
            self.process = None

    def call(self, method: str, path: str, **kwargs: Any) -> httpx2.Response:
        """One request with the admin key."""
        key = (self.home / "admin.key").read_text().strip()
        return httpx2.request(method, self.url + path, headers={"X-API-Key": key}, timeout=30.0, **kwargs)

    def get(self, path: str, **kwargs: Any) -> Any:
        answer = self.call("GET", path, **kwargs)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def repository(self) -> Repository:
        """The hub's own database."""
        return Repository(Database(f"sqlite:///{self.home / 'aihub.db'}"))

    def pids(self, kind: str) -> set[int]:
        """Processes of a kind that beat lately."""
        repository = self.repository()
        try:
            return {process.pid for process in repository.live_processes(max_age=5.0) if process.kind == kind}
        finally:
            repository.close()

    def add_stream(self, stream: str, url: str, *tasks: dict[str, Any], fps: float = 5.0) -> None:
        body = {"id": stream, "url": url, "tasks": list(tasks), "sampling": {"fps": fps}}
        answer = self.call("POST", "/v1/streams", json=body)
        assert answer.status_code == 201, answer.text

    def state(self, stream: str) -> str:
        state: str = self.get(f"/v1/streams/{stream}")["status"]["state"]
        return state

    def events(self, stream: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/v1/events", params={"stream": stream, "limit": 200})["items"]
        return found


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One hub for all tests that can share it."""
    running = Hub(tmp_path_factory.mktemp("hub"), grpc_port=free_port())
    running.start()
    yield running
    running.stop()


class Receiver:
    """A webhook receiver that can be switched off."""

    def __init__(self) -> None:
        self.port = free_port()
        self.received: list[dict[str, Any]] = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alarms"

    def up(self) -> None:
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that is up."""
    made = Receiver()
    made.up()
    yield made
    made.down()
