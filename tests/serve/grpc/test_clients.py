"""Stock clients against the face: tritonclient, sync, aio and streaming."""

from __future__ import annotations

import json
import queue
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from tests.serve.grpc.served import Served
from tests.serve.hub import encoded, picture


def numbers(rows: int = 2, first: float = 0.0) -> Any:
    data = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3) + np.float32(first)
    made = triton.InferInput("x", [*data.shape], "FP32")
    made.set_data_from_numpy(data)
    return made


def photo() -> Any:
    made = triton.InferInput("image", [1], "BYTES")
    made.set_data_from_numpy(np.array([encoded()], np.object_))
    return made


def test_the_server_tells_about_itself(served: Served, client: Any) -> None:
    served.hub.beat()
    assert client.is_server_live()
    assert client.is_server_ready()
    about = client.get_server_metadata(headers=served.headers)
    assert about.name == "aihub"
    assert "binary_tensor_data" in about.extensions


def test_models_and_algorithms_tell_about_themselves(served: Served, client: Any) -> None:
    headers = served.headers
    assert client.is_model_ready("double", headers=headers)
    assert client.is_model_ready("thing-detection", "1", headers=headers)
    assert not client.is_model_ready("absent-detection", headers=headers)
    about = client.get_model_metadata("double", headers=headers)
    assert [(slot.name, slot.datatype, [*slot.shape]) for slot in about.inputs] == [("x", "FP32", [-1, 3])]
    config = client.get_model_config("double", headers=headers).config
    assert (config.name, config.input[0].name, config.input[0].data_type) == ("double", "x", 11)
    algorithm = client.get_model_metadata("thing-detection", headers=headers)
    assert "image" in [slot.name for slot in algorithm.inputs]
    assert {"boxes", "result"} <= {slot.name for slot in algorithm.outputs}
    index = client.get_model_repository_index(headers=headers).models
    states = {model.name: model.state for model in index}
    assert states["double"] == "READY"
    assert states["absent-detection"] == "UNAVAILABLE"


def test_a_model_gives_raw_tensors(served: Served, client: Any) -> None:
    answer = client.infer("double", [numbers()], headers=served.headers, request_id="q-1")
    assert answer.get_response().id == "q-1"
    np.testing.assert_array_equal(answer.as_numpy("y"), np.arange(6, dtype=np.float32).reshape(2, 3) * 2)


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_a_packed_request_is_read(served: Served, client: Any, packing: str) -> None:
    answer = client.infer("double", [numbers(64)], headers=served.headers, compression_algorithm=packing)
    assert answer.as_numpy("y")[63, 2] == 191 * 2


def test_an_algorithm_looks_at_a_file(served: Served, client: Any) -> None:
    outputs = [triton.InferRequestedOutput("boxes"), triton.InferRequestedOutput("result")]
    answer = client.infer(
        "thing-detection", [photo()], outputs=outputs, headers=served.headers, parameters={"confidence": 0.5}
    )
    assert [output.name for output in answer.get_response().outputs] == ["boxes", "result"]
    np.testing.assert_array_equal(answer.as_numpy("boxes"), [[0, 0, 32, 24]])
    assert isinstance(json.loads(answer.as_numpy("result")[0]), dict)


def test_an_algorithm_looks_at_pixels(served: Served, client: Any) -> None:
    pixels = triton.InferInput("image", [48, 64, 3], "UINT8")
    pixels.set_data_from_numpy(picture())
    answer = client.infer("thing-detection", [pixels], headers=served.headers)
    np.testing.assert_array_equal(answer.as_numpy("boxes"), [[0, 0, 32, 24]])


def test_what_was_run_is_counted(served: Served, client: Any) -> None:
    client.infer("double", [numbers()], headers=served.headers)
    one = client.get_inference_statistics("double", headers=served.headers).model_stats[0]
    assert (one.name, one.inference_stats.success.count) == ("double", 1)
    everything = client.get_inference_statistics(headers=served.headers).model_stats
    assert {"double", "thing-detection"} <= {model.name for model in everything}


def test_a_model_is_loaded_and_unloaded_by_an_administrator(served: Served, client: Any) -> None:
    admin = {"x-api-key": served.hub.key("admin")}
    client.load_model("double", headers=admin)
    client.unload_model("double", headers=admin)
    client.unload_model("double", headers=admin, unload_dependents=True)
    with pytest.raises(InferenceServerException, match=r"PERMISSION_DENIED.*admin"):
        client.load_model("double", headers=served.headers)
    with pytest.raises(InferenceServerException, match=r"UNIMPLEMENTED.*card"):
        client.load_model("double", headers=admin, config="{}")


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda c, h: c.get_trace_settings(headers=h), "traces"),
        (lambda c, h: c.update_log_settings({"log_info": True}, headers=h), "logs"),
        (lambda c, h: c.get_log_settings(headers=h), "logs"),
        (lambda c, h: c.get_system_shared_memory_status(headers=h), "memory"),
        (lambda c, h: c.register_system_shared_memory("a", "/a", 1, headers=h), "memory"),
        (lambda c, h: c.unregister_system_shared_memory("a", headers=h), "memory"),
        (lambda c, h: c.get_cuda_shared_memory_status(headers=h), "memory"),
        (lambda c, h: c.register_cuda_shared_memory("a", b"YWJj", 0, 1, headers=h), "memory"),
        (lambda c, h: c.unregister_cuda_shared_memory("a", headers=h), "memory"),
    ],
)
def test_what_is_not_offered_says_so(served: Served, client: Any, ask: Any, why: str) -> None:
    with pytest.raises(InferenceServerException, match=f"UNIMPLEMENTED.*{why}"):
        ask(client, served.headers)


def test_memory_shared_with_the_caller_is_no_input(served: Served, client: Any) -> None:
    given = triton.InferInput("x", [1, 3], "FP32")
    given.set_shared_memory("region", 12)
    with pytest.raises(InferenceServerException, match=r"UNIMPLEMENTED.*shared memory"):
        client.infer("double", [given], headers=served.headers)


def test_many_at_once_each_get_their_own(served: Served, client: Any) -> None:
    done: queue.Queue[tuple[int, Any, Any]] = queue.Queue()
    for index in range(40):
        client.async_infer(
            "double", [numbers(1, index)], lambda result, error, i=index: done.put((i, result, error)),
            headers=served.headers,
        )  # fmt: skip
    for _ in range(40):
        index, result, error = done.get(timeout=20)
        assert error is None
        assert result.as_numpy("y")[0, 0] == index * 2


def test_a_stream_answers_in_order_and_lives_through_a_bad_request(served: Served, client: Any) -> None:
    done: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: done.put((result, error)), headers=served.headers)
    for index in range(30):
        model = "nobody" if index == 7 else "double"
        client.async_stream_infer(model, [numbers(1, index)], request_id=str(index))
    for index in range(30):
        result, error = done.get(timeout=20)
        if index == 7:
            assert "nobody" in str(error)
        else:
            assert error is None
            assert result.get_response().id == str(index)
            assert result.as_numpy("y")[0, 0] == index * 2
    client.stop_stream()
    assert done.empty()


def test_the_last_answer_is_marked_for_those_who_ask(served: Served, client: Any) -> None:
    done: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: done.put((result, error)), headers=served.headers)
    client.async_stream_infer("double", [numbers(1)], enable_empty_final_response=True)
    result, error = done.get(timeout=20)
    assert error is None
    assert result.get_response().parameters["triton_final_response"].bool_param
    client.stop_stream()


async def test_the_aio_client(served: Served) -> None:
    async with triton_aio.InferenceServerClient(served.address) as client:
        assert await client.is_server_live()
        assert await client.is_model_ready("double", headers=served.headers)
        answer = await client.infer("double", [numbers()], headers=served.headers)
        assert answer.as_numpy("y")[1, 2] == 10
        with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
            await client.infer("double", [numbers()])

        async def requests() -> AsyncIterator[dict[str, Any]]:
            for index in range(5):
                yield {"model_name": "double", "inputs": [numbers(1, index)], "request_id": str(index)}

        got = [
            (result.get_response().id, float(result.as_numpy("y")[0, 0]), error)
            async for result, error in client.stream_infer(requests(), headers=served.headers)
        ]
        assert got == [(str(index), index * 2.0, None) for index in range(5)]
