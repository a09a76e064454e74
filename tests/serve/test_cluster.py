"""Starting and waiting for a hub, without Ray: the parts that need none. Whole hubs are in tests/hub."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aihub.errors import ConnectError
from aihub.serve import cluster
from aihub.serve.cluster import SELDOM, SETTLED, STAND_IN, Cluster, free_port, serve_environment
from aihub.settings import Settings


class FakeCluster(Cluster):
    """Answers `/readyz` as it is told."""

    def __init__(self, answers: Iterator[bool]) -> None:
        super().__init__(Settings())
        self.answers = answers

    def ready(self) -> tuple[bool, str]:
        return next(self.answers, False), "the database is away"


def test_a_hub_is_ready_when_it_says_so_several_times_in_a_row() -> None:
    left = iter([True] * (SETTLED - 1) + [False] + [True] * SETTLED)
    assert FakeCluster(left).wait_ready(30) is True
    assert list(left) == []


def test_a_signal_ends_the_wait() -> None:
    stop = threading.Event()
    stop.set()
    assert FakeCluster(iter([False])).wait_ready(30, stop) is False


def test_a_hub_that_does_not_become_ready_is_told_of_with_the_reason() -> None:
    with pytest.raises(ConnectError, match="the database is away"):
        FakeCluster(iter([])).wait_ready(0.3)


FIXED_BY_DEFAULT = (
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_HAPROXY_METRICS_PORT",
)


def test_every_hub_has_ports_of_its_own_where_ray_has_fixed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FIXED_BY_DEFAULT:
        monkeypatch.delenv(name, raising=False)
    chosen = serve_environment(Settings())
    assert len({chosen[name] for name in FIXED_BY_DEFAULT}) == len(FIXED_BY_DEFAULT)


@pytest.mark.parametrize(
    ("files", "least", "most", "reason"),
    [
        (resource.RLIM_INFINITY, 20_000, 20_000, "no limit"),
        (1_048_576, 20_000, 20_000, "that of containers"),
        (20_000, 10_200, 12_000, "ten thousand silent ones, and files left for those that are served"),
        (4_096, 1_000, 2_458, "that of old systems"),
        (256, 1, 154, "hardly any"),
    ],
)
def test_the_ingress_holds_as_many_connections_as_files_permit(
    files: int, least: int, most: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, files))
    monkeypatch.delenv("RAY_SERVE_HAPROXY_MAXCONN", raising=False)
    assert least <= int(serve_environment(Settings())["RAY_SERVE_HAPROXY_MAXCONN"]) <= most, reason


RENDERED = """defaults
    timeout client 3600s
frontend prometheus
    bind :9101
frontend http_frontend
    bind 0.0.0.0:8000
listen stats
  bind *:8404
"""
AMENDED = """defaults
    timeout client 3600s
    timeout http-request 7s
    timeout tunnel 3600s
    option forwardfor
frontend prometheus
    bind 127.0.0.1:9101
frontend http_frontend
    bind 0.0.0.0:8000
listen stats
  bind 127.0.0.1:8404
"""


def test_what_ray_leaves_unsaid_is_said_once_before_haproxy_reads_it(tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(RENDERED)
    environment = os.environ | {
        "AIHUB_HAPROXY_BINARY": shutil.which("cat") or "cat",
        "AIHUB_HAPROXY_HEAD_S": "7",
    }
    for _ in range(2):  # Ray may start it again with the same file
        shown = subprocess.run(
            [STAND_IN, str(config)], env=environment, capture_output=True, text=True, check=True
        )
        assert shown.stdout == AMENDED


def test_a_binary_of_the_operator_is_started_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIHUB_HAPROXY_BINARY", raising=False)
    monkeypatch.setenv("RAY_SERVE_HAPROXY_BINARY_PATH", shutil.which("cat") or "")
    for _ in range(2):  # the second time it finds its own choice in the environment
        chosen = serve_environment(Settings())
        assert chosen["AIHUB_HAPROXY_BINARY"] == shutil.which("cat")
        assert chosen["RAY_SERVE_HAPROXY_BINARY_PATH"] == STAND_IN
        for name in ("AIHUB_HAPROXY_BINARY", "RAY_SERVE_HAPROXY_BINARY_PATH"):
            monkeypatch.setenv(name, chosen[name])


def test_what_an_operator_has_set_for_ray_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_HAPROXY_NBTHREAD", "7")
    assert serve_environment(Settings())["RAY_SERVE_HAPROXY_NBTHREAD"] == "7"


def test_only_a_cluster_of_its_own_is_told_what_to_do_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not {*SELDOM} & {*serve_environment(Settings())}
    monkeypatch.setenv("REPORTER_UPDATE_INTERVAL_MS", "7000")
    told = serve_environment(Settings(), alone=True)
    assert told["REPORTER_UPDATE_INTERVAL_MS"] == "7000", "an operator knows better"
    assert {name: told[name] for name in SELDOM} == SELDOM | {"REPORTER_UPDATE_INTERVAL_MS": "7000"}


def test_settings_travel_to_the_other_processes_as_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(port=8123, log_json=True, webhook_networks=("10.0.0.0/8",))
    for name, value in serve_environment(given).items():
        monkeypatch.setenv(name, value)
    assert Settings() == given


def test_a_free_port_is_none_that_the_system_gives_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds pass until it is bound; meanwhile whoever asks for any port gets one of the system's range."""
    low = 32_768
    with contextlib.suppress(OSError):
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = [free_port() for _ in range(20)]
    assert all(1024 < port < low for port in found)
    assert len(set(found)) > 10
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", found[0]))
        taken.listen()
        monkeypatch.setattr(cluster, "OURS", range(found[0], found[0] + 1))
        assert free_port() != found[0]
