"""The Serve deployments. Algorithms are data inside them: a replica at rest costs 140 MB, so a hundred would not fit."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ray import serve

from aihub.errors import AihubError
from aihub.serve.grpc.face import GrpcFace
from aihub.serve.runtime import Runtime
from aihub.settings import Settings, settings

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger(__name__)

QUIET_LOG = {"log_level": "WARNING", "enable_access_log": False}
"""Serve writes a line for every request otherwise, into a file of its own; the hub has metrics."""

_runtime: Runtime | None = None


def _process_runtime(kind: str) -> Runtime:
    """The runtime of this replica's process, made on first use."""
    global _runtime
    if _runtime is None:
        _runtime = Runtime(settings(), kind=kind)
    return _runtime


def build_gateway() -> FastAPI:
    """The HTTP application; Serve calls this once in each replica."""
    from aihub.serve.app import create_app

    runtime = _process_runtime("gateway")
    runtime.start()
    app = create_app(runtime.services())
    if runtime.settings.grpc_port:
        GrpcFace(runtime.settings.host, runtime.settings.grpc_port, app.state.parts).live_with(app)
    return app


@serve.ingress(build_gateway)
class Gateway:
    """Answers requests in its own process: a hop to another would cost more than the answer."""

    def check_health(self) -> None:
        """Raise when the engine hangs; Serve then replaces this replica."""
        _raise_if(_process_runtime("gateway").health())


class StreamHostReplica:
    """Holds streams: claims them by lease, decodes, analyses, writes events."""

    def __init__(self) -> None:
        from aihub.serve.stream_service import StreamService

        runtime = _process_runtime("stream-host")
        runtime.start()
        self._service = StreamService(runtime)
        self._service.start()

    def check_health(self) -> None:
        """Raise when a decoder or the engine hangs; Serve then replaces this replica."""
        _raise_if(self._service.health())

    def __del__(self) -> None:
        if hasattr(self, "_service"):
            self._service.close()


def _raise_if(reason: str | None) -> None:
    if reason:
        logger.error("unhealthy: %s", reason)
        raise AihubError(reason)


def applications(settings: Settings) -> list[dict[str, Any]]:
    """What `serve.run_many` runs: the gateway at `/`, the stream hosts without a route."""
    gateway = serve.deployment(name="Gateway")(Gateway).options(
        num_replicas=settings.gateway_replicas,
        max_ongoing_requests=1024,  # the engine's queues are the bound, and they answer 429
        ray_actor_options={"num_cpus": 0.5},
        health_check_period_s=5,
        health_check_timeout_s=20,
        graceful_shutdown_timeout_s=5,
    )
    hosts = serve.deployment(name="StreamHost")(StreamHostReplica).options(
        num_replicas=settings.stream_host_replicas,
        ray_actor_options={"num_cpus": 0.5},
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=5,
    )
    return [
        {"target": gateway.bind(), "name": "hub", "route_prefix": "/", "logging_config": QUIET_LOG},
        {"target": hosts.bind(), "name": "streams", "route_prefix": None, "logging_config": QUIET_LOG},
    ]
