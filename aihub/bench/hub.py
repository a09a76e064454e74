"""A hub in its own process, for benchmarks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from aihub.serve.cluster import free_port


@dataclass(frozen=True, slots=True)
class RunningHub:
    """Where it answers and how long it took to start."""

    url: str
    key: str
    home: Path
    cold_start_s: float
    pid: int
    grpc: str = ""

    def load(
        self, path: str, *, body: Path | None = None, concurrency: int = 16, seconds: float = 5.0
    ) -> dict[str, float]:
        """Answers per second and latencies of one route, driven from another process."""
        command = [sys.executable, "-m", "benchmarks.load", self.url + path, "--key", self.key,
                   "--concurrency", str(concurrency), "--seconds", str(seconds)]  # fmt: skip
        if body is not None:
            command += ["--body", str(body)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60)
        figures: dict[str, float] = json.loads(done.stdout)
        return figures


@contextmanager
def running_hub(
    environment: Mapping[str, str] | None = None, *, profiles: Path | None = None, grpc: bool = False
) -> Iterator[RunningHub]:
    """Start `aihub up`, give it, stop it."""
    with tempfile.TemporaryDirectory(prefix="aihub-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        if profiles is not None:
            (home / "profiles").symlink_to(profiles)
        everything = os.environ | {"AIHUB_HOME": folder} | dict(environment or {})
        grpc_port = free_port() if grpc else 0
        command = [
            sys.executable,
            "-m",
            "aihub",
            "up",
            "--port",
            str(free_port()),
            "--grpc-port",
            str(grpc_port),
            "--json",
        ]
        begun = time.monotonic()
        with (home / "up.log").open("w") as log:
            process = subprocess.Popen(command, env=everything, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield RunningHub(
                said["url"],
                (home / "admin.key").read_text().strip(),
                home,
                time.monotonic() - begun,
                process.pid,
                f"127.0.0.1:{grpc_port}" if grpc else "",
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
            assert process.stdout is not None
            process.stdout.close()


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
