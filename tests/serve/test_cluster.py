"""Starting and waiting for a hub, without Ray: the parts that need none. Whole hubs are in tests/hub."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from aihub.errors import ConnectError
from aihub.serve.cluster import SETTLED, Cluster, serve_environment
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


def test_what_an_operator_has_set_for_ray_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_HAPROXY_NBTHREAD", "7")
    assert serve_environment(Settings())["RAY_SERVE_HAPROXY_NBTHREAD"] == "7"


def test_settings_travel_to_the_other_processes_as_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(port=8123, log_json=True, webhook_networks=("10.0.0.0/8",))
    for name, value in serve_environment(given).items():
        monkeypatch.setenv(name, value)
    assert Settings() == given
