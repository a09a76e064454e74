"""Health and reflection, for probes, load balancers and tools that know nothing of us."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest
from fastapi.testclient import TestClient
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from aihub.errors import ConfigError
from aihub.serve.cluster import free_port
from aihub.serve.grpc import face, standard
from aihub.serve.grpc.face import GrpcFace
from aihub.serve.grpc.schema import SERVICE
from tests.serve.grpc.served import TIMEOUT_S, Served, refused
from tests.serve.hub import TestHub

SERVING, NOT_SERVING = standard.SERVING, standard.NOT_SERVING


def health(served: Served, service: str) -> int:
    with grpc.insecure_channel(served.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        status: int = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S).status
        return status


@pytest.mark.parametrize("service", ["", SERVICE])
@pytest.mark.parametrize(("sick", "status"), [(None, SERVING), ("a model run hangs", NOT_SERVING)])
def test_health_says_how_the_process_is(
    served: Served, monkeypatch: pytest.MonkeyPatch, service: str, sick: str | None, status: int
) -> None:
    monkeypatch.setattr(face, "CHECK_EVERY_S", 0.02)
    served.hub.sick = sick
    with grpc.insecure_channel(served.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S
        )
        assert any(answer.status == status for answer in watch)
    assert health(served, service) == status


def test_health_of_what_is_not_here(served: Served) -> None:
    with pytest.raises(grpc.RpcError) as error:
        health(served, "somebody.Else")
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_watchers_hear_that_we_go_before_we_are_gone(served: Served) -> None:
    heard: list[int] = []
    with grpc.insecure_channel(served.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=SERVICE), timeout=TIMEOUT_S
        )
        heard.append(next(watch).status)
        closing = threading.Thread(target=served.face.close)
        closing.start()
        heard.append(next(watch).status)
        watch.cancel()
        closing.join(TIMEOUT_S)
    assert heard == [SERVING, NOT_SERVING]
    assert not closing.is_alive()


def test_watchers_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard, "MAX_WATCHERS", 1)
    with grpc.insecure_channel(served.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        first = stub.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert next(first)
        with pytest.raises(grpc.RpcError) as error:
            next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S))
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()


def reflect(served: Served, name: str, *questions: Any) -> list[Any]:
    with grpc.insecure_channel(served.address) as channel:
        ask = channel.stream_stream(
            f"/{name}/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        return [*ask(iter(questions), timeout=TIMEOUT_S)]


@pytest.mark.parametrize("name", standard.REFLECTION)
def test_reflection_lists_and_describes_the_services(served: Served, name: str) -> None:
    listed, described, healthy, unknown = reflect(
        served,
        name,
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=standard.HEALTH),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="somebody.Else"),
    )
    services = {service.name for service in listed.list_services_response.service}
    assert services == {SERVICE, standard.HEALTH, *standard.REFLECTION}
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in described.file_descriptor_response.file_descriptor_proto
    ]
    assert "ModelInferRequest" in {message.name for file in files for message in file.message_type}
    assert healthy.file_descriptor_response.file_descriptor_proto
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.mark.parametrize("path", [f"/{SERVICE}/Nothing", "/somebody.Else/Call"])
def test_calls_that_do_not_exist(served: Served, path: str) -> None:
    with grpc.insecure_channel(served.address) as channel, pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(path)(b"", timeout=TIMEOUT_S)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_address_that_cannot_be_bound_is_an_error_that_names_the_option(served: Served) -> None:
    with pytest.raises(ConfigError, match="--grpc-port"):
        GrpcFace("203.0.113.1", free_port(), served.parts).start()


def test_two_processes_of_one_machine_share_the_port(served: Served) -> None:
    """As replicas do; here both are in one process, which the kernel does not care about."""
    second = GrpcFace("127.0.0.1", served.port, served.parts)
    second.start()
    second.close()
    assert refused(served, "ServerMetadata", metadata={}).code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_face_lives_as_long_as_the_app(hub: TestHub) -> None:
    """Opened with the replica, and closed before the parts that it shares with HTTP are."""
    port = free_port()
    GrpcFace("127.0.0.1", port, hub.app.state.parts).live_with(hub.app)

    def asked() -> int:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            status: int = stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S).status
            return status

    with TestClient(hub.app):
        assert asked() == SERVING
    with pytest.raises(grpc.RpcError) as error:
        asked()
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
