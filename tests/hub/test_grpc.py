"""A stock gRPC client against a whole hub: no header but the key, whatever else Serve runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.utils import InferenceServerException

from tests.hub.conftest import Hub
from tests.serve.hub import encoded

pytestmark = pytest.mark.hub

ALGORITHM = "blurred-picture"
"""Needs no weights."""


@pytest.fixture
def address(hub: Hub) -> str:
    return f"127.0.0.1:{hub.grpc_port}"


@pytest.fixture
def headers(hub: Hub) -> dict[str, str]:
    return {"authorization": f"Bearer {(hub.home / 'admin.key').read_text().strip()}"}


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    with triton.InferenceServerClient(address) as made:
        yield made


def photo() -> Any:
    made = triton.InferInput("image", [1], "BYTES")
    made.set_data_from_numpy(np.array([encoded(width=320, height=240)], np.object_))
    return made


def test_the_hub_is_alive_and_ready(client: Any, address: str) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    with grpc.insecure_channel(address) as channel:
        for service in ("", "inference.GRPCInferenceService"):
            asked = health_pb2.HealthCheckRequest(service=service)
            answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_an_algorithm_answers(client: Any, headers: dict[str, str]) -> None:
    answer = client.infer(ALGORITHM, [photo()], headers=headers, request_id="one")
    assert answer.get_response().id == "one"
    assert isinstance(json.loads(answer.as_numpy("result").ravel()[0]), dict)


def test_the_index_is_that_of_http(client: Any, headers: dict[str, str], hub: Hub) -> None:
    rows = client.get_model_repository_index(headers=headers).models
    told = hub.call("POST", "/v2/repository/index").json()
    assert {(row.name, row.state) for row in rows} == {(row["name"], row["state"]) for row in told}


def test_no_key_no_answer(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
        client.infer(ALGORITHM, [photo()])


async def test_the_aio_client_streams(address: str, headers: dict[str, str]) -> None:
    async def requests() -> Any:
        for index in range(8):
            yield {"model_name": ALGORITHM, "inputs": [photo()], "request_id": str(index)}

    async with triton_aio.InferenceServerClient(address) as client:
        got = [
            (error, result.get_response().id)
            async for result, error in client.stream_infer(requests(), headers=headers)
        ]
    assert got == [(None, str(index)) for index in range(8)]
