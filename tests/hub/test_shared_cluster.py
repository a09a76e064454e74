"""A hub on a Ray cluster that was there before it and stays after it."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aihub.serve.cluster import port_taken
from tests.hub.conftest import Hub, free_port, until

pytestmark = [pytest.mark.hub, pytest.mark.timeout(300)]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a Ray cluster of its own, which asks for a token."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    port = free_port()
    command = [
        "-m",
        "ray.scripts.scripts",
        "start",
        "--head",
        "--block",
        "--port",
        str(port),
        "--num-cpus",
        "4",
    ]
    process = subprocess.Popen(
        [sys.executable, *command, "--include-dashboard", "false", "--disable-usage-stats"],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: port_taken("127.0.0.1", port), 60, "Ray starts")
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None


def test_one_hub_a_cluster_and_each_leaves_it_as_it_was(cluster: str, tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("first", "second")]
    for home in homes:
        home.mkdir()
    first, second = (Hub(home, address=cluster) for home in homes)
    try:
        first.start()
        assert first.get("/v1/algorithms"), "its own home and settings reached the cluster's processes"
        assert second.begin() == ""
        assert second.process is not None
        assert second.process.wait(60) == 2
        second.stop()
        assert f"a hub runs on the Ray cluster at {cluster} already" in (homes[1] / "up.log").read_text()
        assert first.call("GET", "/readyz").status_code == 200, "the one refused took nothing with it"
        first.stop()
        second.start()  # at a port of its own, as nothing of the first is left
        assert second.get("/v1/algorithms")
    finally:
        second.stop()
        first.stop()
