"""A hub in its own process, for benchmarks."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import psutil

from aihub.bench.clients.running import client
from aihub.bench.clients.seen import Seen
from aihub.bench.stand import Stand
from aihub.client import AihubClient
from aihub.errors import AihubError
from aihub.serve.cluster import free_port

START_S, STOP_S = 120.0, 60.0


@dataclass(frozen=True, slots=True)
class RunningHub:
    """Where it answers and how long it took to start.

    Attributes:
        url: of its HTTP face.
        key: of its administrator.
        home: its folder.
        cold_start_s: from the command to ready.
        pid: of `aihub up`.
        grpc: host and port of its gRPC face; empty if it has none.
    """

    url: str
    key: str
    home: Path
    cold_start_s: float
    pid: int
    grpc: str = ""

    def load(
        self, path: str, *, body: Path | None = None, concurrency: int = 16, seconds: float = 5.0
    ) -> Seen:
        """Drive one route from another process, with so many requests in flight.

        Raises:
            AihubError: the client failed, or did not end in time.
        """
        given = ["--concurrency", str(concurrency), "--seconds", str(seconds)]
        if body is not None:
            given += ["--body", str(body)]
        return Seen.from_json(client("load", [self.url + path, *given], seconds, key=self.key))


@contextmanager
def running_hub(
    environment: Mapping[str, str] | None = None, *, profiles: Path | None = None, grpc: bool = False
) -> Iterator[RunningHub]:
    """Start `aihub up`, give it, stop it.

    Args:
        environment: over this process's own.
        profiles: folder of tuned models, for it to read.
        grpc: whether it has a gRPC face.

    Raises:
        AihubError: it is not ready within two minutes.
    """
    with tempfile.TemporaryDirectory(prefix="aihub-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        if profiles is not None:
            (home / "profiles").symlink_to(profiles.resolve())
        everything = os.environ | {"AIHUB_HOME": folder} | dict(environment or {})
        port, grpc_port = free_port(), free_port() if grpc else 0
        command = [sys.executable, "-m", "aihub", "up", "--port", str(port), "--grpc-port", str(grpc_port), "--json"]  # fmt: skip
        begun = time.monotonic()
        with (home / "up.log").open("w") as log:
            process = subprocess.Popen(command, env=everything, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            said = _ready(process, home / "up.log")
            took = time.monotonic() - begun
            key = (home / "admin.key").read_text(encoding="utf-8").strip()
            where = f"127.0.0.1:{grpc_port}" if grpc else ""
            yield RunningHub(said["url"], key, home, took, process.pid, where)
        finally:
            _stop(process)


def _lives(hub: RunningHub) -> bool:
    with suppress(psutil.Error):  # one that ended is a zombie until it is waited for
        return psutil.Process(hub.pid).status() != psutil.STATUS_ZOMBIE
    return False


@contextmanager
def hub_for(stand: Stand) -> Iterator[RunningHub]:
    """A hub to measure: that which the suites of a short run share, else one of its own.

    It has a gRPC face, and may call webhooks on this machine. Of what a suite adds to a shared one its streams and sinks are
    taken away at the suite's end.

    Raises:
        AihubError: it is not ready within two minutes.
    """

    def opens() -> AbstractContextManager[RunningHub]:
        return running_hub({"AIHUB_WEBHOOK_NETWORKS": '["127.0.0.0/8"]'}, profiles=stand.profiles, grpc=True)

    if stand.kept is None:
        with opens() as hub:
            yield hub
        return
    hub = stand.kept.take("hub", opens, _lives)
    try:
        yield hub
    finally:
        _clear(hub)


def _clear(hub: RunningHub) -> None:
    """Take away streams and sinks, as far as the hub answers."""
    with suppress(AihubError), AihubClient(hub.url, hub.key) as caller:
        for stream in list(caller.streams()):
            caller.delete_stream(stream.id)
        for sink in caller.sinks():
            caller.delete_sink(sink.id)


def _ready(process: subprocess.Popen[str], log: Path) -> dict[str, str]:
    pipe = cast("IO[str]", process.stdout)
    ready, _, _ = select.select([pipe], [], [], START_S)
    line = pipe.readline() if ready else ""
    if not line.startswith("{"):
        told = log.read_text(encoding="utf-8", errors="replace")[-800:]
        raise AihubError(f"the hub did not start: {line.strip() or 'it said nothing'}; {told}")
    said: dict[str, str] = json.loads(line)
    return said


def _stop(process: subprocess.Popen[str]) -> None:
    """Ask it to end; what has not by then is killed, with all that it has started."""
    family = [process.pid]
    with suppress(psutil.Error):
        family += [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(timeout=STOP_S)
    cast("IO[str]", process.stdout).close()


def resident_mb(hub: RunningHub) -> dict[str, float]:
    """Memory of the hub's own processes and of Ray's, MB; shared pages are split between those that share them (PSS).

    `resident` is RSS of the hub's processes: unlike the other two it does not move when processes that share their
    libraries come and go, so growth is read from it.
    """
    totals = {"hub": 0.0, "ray": 0.0, "resident": 0.0}
    root = psutil.Process(hub.pid)
    for process in (root, *root.children(recursive=True)):
        try:
            title = " ".join(process.cmdline()) or process.name()
        except psutil.Error:
            continue
        ours = "ServeReplica" in title or "aihub up" in title
        rays = not ours and any(
            word in title for word in ("ray::", "raylet", "gcs_server", "haproxy", "/ray/")
        )
        if ours or rays:
            try:
                memory = process.memory_full_info()
                totals["hub" if ours else "ray"] += memory.pss / 1e6
                totals["resident"] += memory.rss / 1e6 if ours else 0.0
            except psutil.Error:
                continue
    return totals
