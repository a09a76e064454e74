"""The gRPC health service over a real socket."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aihub.errors import ConfigError
from aihub.serve.cluster import free_port
from aihub.serve.grpc_face import GrpcFace


def ask(port: int) -> int:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        status: int = stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status
        return status


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (None, health_pb2.HealthCheckResponse.SERVING),  # well
        ("a decoder hangs", health_pb2.HealthCheckResponse.NOT_SERVING),  # to be replaced
    ],
)
def test_health_says_how_the_process_is(reason: str | None, status: int) -> None:
    port = free_port()
    face = GrpcFace("127.0.0.1", port, lambda: reason)
    face.start()
    try:
        assert ask(port) == status
    finally:
        face.close()


def test_an_address_that_cannot_be_bound_is_an_error_that_names_the_option() -> None:
    with pytest.raises(ConfigError, match="--grpc-port"):
        GrpcFace("203.0.113.1", free_port(), lambda: None)
