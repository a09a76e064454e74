"""The gRPC face: today the standard health service, so that probes and load balancers of that protocol work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from aihub.errors import ConfigError

CHECK_EVERY_S = 2.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class GrpcFace:
    """Listens on `host:port`; replicas on one machine share the port (SO_REUSEPORT).

    Args:
        host: address to listen on.
        port: TCP port, not 0.
        reason: None when the process is fine, else why not.

    Raises:
        ConfigError: the port cannot be had.
    """

    def __init__(self, host: str, port: int, reason: Callable[[], str | None]) -> None:
        self._reason = reason
        self._stop = threading.Event()
        self._health = health.HealthServicer()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=4, thread_name_prefix="grpc"))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        try:
            bound = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise ConfigError(
                f"gRPC cannot listen on {host}:{port}", hint="choose one with --grpc-port"
            ) from error
        if bound != port:
            raise ConfigError(f"gRPC cannot listen on {host}:{port}", hint="choose one with --grpc-port")
        self._thread = threading.Thread(target=self._watch, name="grpc-health", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._report()
        self._server.start()
        self._thread.start()

    def close(self) -> None:
        """Tell watchers that we go, and stop."""
        self._stop.set()
        self._health.enter_graceful_shutdown()
        self._server.stop(grace=1.0).wait(timeout=2.0)

    def _report(self) -> None:
        self._health.set("", SERVING if self._reason() is None else NOT_SERVING)

    def _watch(self) -> None:
        while not self._stop.wait(CHECK_EVERY_S):
            self._report()
