"""The stock client of the field, unmodified, against the hub on a real socket: synchronous and asynchronous."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from aihub.algorithms.registry import Registry
from aihub.engine import Engine, ModelStore
from aihub.plugins import data_folder
from aihub.serve.app import create_app
from tests.serve.hub import TestHub, bearer, encoded, picture, serving

triton = pytest.importorskip("tritonclient.http", reason="the stock client is not installed")
aio = pytest.importorskip("tritonclient.http.aio", reason="the stock client is not installed")
InferenceServerException = pytest.importorskip("tritonclient.utils").InferenceServerException


@pytest.fixture
def headers(hub: TestHub) -> dict[str, str]:
    return bearer(hub.key("infer"))


@pytest.fixture
def stock(url: str) -> Iterator[Any]:
    with triton.InferenceServerClient(url, concurrency=4) as client:
        yield client


@pytest_asyncio.fixture
async def stock_aio(url: str) -> AsyncIterator[Any]:
    async with aio.InferenceServerClient(url) as client:
        yield client


def given(name: str, array: Any, *, binary: bool = True) -> Any:
    kind = "BYTES" if array.dtype == np.object_ else {"uint8": "UINT8", "float32": "FP32"}[array.dtype.name]
    one = triton.InferInput(name, list(array.shape), kind)
    one.set_data_from_numpy(array, binary_data=binary)
    return one


def jpeg(*files: bytes) -> Any:
    array = np.empty(len(files), np.object_)
    array[:] = files
    return given("image", array)


FLOATS = np.array([[1, 2, 3]], np.float32)


def test_health_and_server(stock: Any, headers: dict[str, str]) -> None:
    assert stock.is_server_live()
    assert not stock.is_server_ready()  # no stream host
    assert stock.get_server_metadata(headers)["name"] == "aihub"
    with pytest.raises(InferenceServerException) as caught:
        stock.get_server_metadata()
    assert caught.value.status() == "401"
    assert "API key" in caught.value.message()


def test_models(stock: Any, headers: dict[str, str]) -> None:
    assert stock.is_model_ready("double", headers=headers)
    assert stock.is_model_ready("double", "1", headers=headers)
    assert not stock.is_model_ready("double", "2", headers=headers)
    assert not stock.is_model_ready("gone", headers=headers)
    assert stock.get_model_metadata("double", headers=headers)["inputs"][0]["name"] == "x"
    assert stock.get_model_config("mean", "1", headers=headers)["max_batch_size"] == 4
    names = {row["name"]: row["state"] for row in stock.get_model_repository_index(headers=headers)}
    assert (names["double"], names["gone"]) == ("READY", "UNAVAILABLE")


def test_loading(stock: Any, hub: TestHub, headers: dict[str, str]) -> None:
    admin = bearer(hub.key("admin"))
    stock.load_model("double", headers=admin)
    stock.unload_model("double", headers=admin)
    stock.unload_model("thing-detection", headers=admin, unload_dependents=False)
    with pytest.raises(InferenceServerException, match="scope 'admin'"):
        stock.load_model("double", headers=headers)
    with pytest.raises(InferenceServerException) as caught:
        stock.load_model("double", headers=admin, config='{"max_batch_size": 7}')
    assert caught.value.status() == "501"


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None], ids=["binary", "json", "unsaid"])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_tensors(
    stock: Any, headers: dict[str, str], binary_in: bool, binary_out: bool | None, packed: str | None
) -> None:
    outputs = None if binary_out is None else [triton.InferRequestedOutput("y", binary_data=binary_out)]
    result = stock.infer(
        "double",
        [given("x", FLOATS, binary=binary_in)],
        outputs=outputs,
        request_id="q-7",
        headers=headers,
        request_compression_algorithm=packed,
        response_compression_algorithm=packed,
        timeout=5_000_000,
        priority=1,
    )
    assert result.as_numpy("y").tolist() == [[2, 4, 6]]
    assert result.get_response()["id"] == "q-7"


def test_pictures(stock: Any, headers: dict[str, str]) -> None:
    result = stock.infer(
        "thing-detection", [jpeg(encoded(), encoded("png"))], headers=headers, parameters={"confidence": 0.5}
    )
    assert result.as_numpy("boxes").tolist() == [[0, 0, 32, 24]] * 2
    assert result.as_numpy("labels").tolist() == [b"thing"] * 2
    assert result.as_numpy("counts").tolist() == [1, 1]
    assert [json.loads(text)["task"] for text in result.as_numpy("result")] == ["object-detection"] * 2
    pixels = stock.infer(
        "thing-detection", [given("image", picture())], headers=headers, parameters={"pixel_format": "RGB"}
    )
    assert pixels.as_numpy("scores").tolist() == [0.75]
    nothing = stock.infer(
        "thing-detection", [jpeg(encoded())], headers=headers, parameters={"confidence": 0.9}
    )
    assert nothing.as_numpy("boxes").shape == (0, 4)
    assert nothing.as_numpy("labels").shape == (0,)


def test_classes(stock: Any, headers: dict[str, str]) -> None:
    result = stock.infer(
        "double",
        [given("x", FLOATS)],
        outputs=[triton.InferRequestedOutput("y", class_count=1)],
        headers=headers,
    )
    assert result.as_numpy("y").tolist() == [[b"6.000000:2"]]


def test_many_at_once(stock: Any, headers: dict[str, str]) -> None:
    waiting = [
        stock.async_infer("double", [given("x", FLOATS * number)], headers=headers) for number in range(12)
    ]
    assert [one.get_result().as_numpy("y")[0, 0] for one in waiting] == [2 * number for number in range(12)]


def test_statistics(stock: Any, headers: dict[str, str]) -> None:
    stock.infer("double", [given("x", FLOATS)], headers=headers)
    (row,) = stock.get_inference_statistics("double", headers=headers)["model_stats"]
    assert row["inference_stats"]["success"]["count"] >= 1
    assert len(stock.get_inference_statistics(headers=headers)["model_stats"]) == 10


@pytest.mark.parametrize(
    ("model", "array", "status", "said"),
    [
        ("nothing", FLOATS, "404", "no model"),
        ("double", FLOATS[0], "400", "shape"),
        ("gone", FLOATS, "503", "not here"),
        ("thing-detection", FLOATS, "400", "named 'image'"),
    ],
)
def test_errors(stock: Any, headers: dict[str, str], model: str, array: Any, status: str, said: str) -> None:
    with pytest.raises(InferenceServerException, match=said) as caught:
        stock.infer(model, [given("x", array)], headers=headers)
    assert caught.value.status() == status


def test_what_is_not_done_here(stock: Any, headers: dict[str, str]) -> None:
    calls: tuple[Callable[[], Any], ...] = (
        lambda: stock.get_system_shared_memory_status(headers=headers),
        lambda: stock.register_system_shared_memory("r", "/r", 64, headers=headers),
        lambda: stock.unregister_cuda_shared_memory(headers=headers),
        lambda: stock.update_trace_settings(settings={}, headers=headers),
        lambda: stock.get_trace_settings("double", headers=headers),
        lambda: stock.get_log_settings(headers=headers),
    )
    for call in calls:
        with pytest.raises(InferenceServerException) as caught:
            call()
        assert caught.value.status() == "501"
    shared = triton.InferInput("x", [1, 3], "FP32").set_shared_memory("r", 12)
    with pytest.raises(InferenceServerException, match="shared memory"):
        stock.infer("double", [shared], headers=headers)


def test_the_clients_own_way_to_send_a_key(stock: Any, headers: dict[str, str]) -> None:
    base = pytest.importorskip("tritonclient._plugin").InferenceServerClientPlugin

    class Key(base):  # type: ignore[misc,valid-type]  # the client carries no types
        def __call__(self, request: Any) -> None:
            request.headers |= headers

    stock.register_plugin(Key())
    assert stock.infer("double", [given("x", FLOATS)]).as_numpy("y").tolist() == [[2, 4, 6]]


async def test_asynchronous(stock_aio: Any, hub: TestHub, headers: dict[str, str]) -> None:
    assert await stock_aio.is_server_live()
    assert await stock_aio.is_model_ready("double", headers=headers)
    assert (await stock_aio.get_model_metadata("thing-detection", headers=headers))["platform"] == "aihub"
    assert len(await stock_aio.get_model_repository_index(headers=headers)) == 10
    for packed in (None, "gzip", "deflate"):
        result = await stock_aio.infer(
            "thing-detection",
            [jpeg(encoded())],
            headers=dict(headers),
            request_id="q",
            request_compression_algorithm=packed,
            response_compression_algorithm=packed,
        )
        assert result.as_numpy("labels").tolist() == [b"thing"]
    await stock_aio.load_model("double", headers=bearer(hub.key("admin")))
    result = await stock_aio.infer(
        "double",
        [given("x", FLOATS)],
        headers=headers,
        outputs=[triton.InferRequestedOutput("y", binary_data=False)],
    )
    assert result.as_numpy("y").tolist() == [[2, 4, 6]]
    with pytest.raises(InferenceServerException, match="no model"):
        await stock_aio.infer("nothing", [given("x", FLOATS)], headers=headers)


def test_a_real_detector(
    media: Path, mirror: Path, tmp_path: Path, hub: TestHub, headers: dict[str, str]
) -> None:
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path / "models", mirror=str(mirror))
    with Engine(store, threads=2, profiles=tmp_path / "p") as engine:
        settings = hub.services.settings.model_copy(update={"max_body_bytes": 64_000_000})
        services = replace(
            hub.services, settings=settings, registry=Registry(engine), predictor=engine, engine=engine
        )
        with serving(create_app(services)) as url, triton.InferenceServerClient(url[7:]) as stock:
            file = (media / "images" / "coco" / "000000000036.jpg").read_bytes()
            result = stock.infer("person-detection", [jpeg(file)], headers=headers)
            assert set(result.as_numpy("labels")) == {b"person"}
            (slot,) = stock.get_model_metadata("yunet-640", headers=headers)["inputs"]
            pixels = np.zeros((2, *slot["shape"][1:]), np.uint8)
            raw = stock.infer("yunet-640", [given(slot["name"], pixels)], headers=headers)
            assert raw.as_numpy("bbox_8").shape == (2, 6400, 4)
            rows = stock.get_model_repository_index(headers=headers)
            absent = {
                card.name for card in store.cards() if not store.available(card)
            }  # brought by name only
            assert absent <= {row["name"] for row in rows if row["state"] != "READY"}
            for name in {row["name"] for row in rows} - absent:  # the face of every other card can be told
                assert stock.get_model_metadata(name, headers=headers)["outputs"]
                assert stock.get_model_config(name, headers=headers)["input"]
            for name in absent:
                with pytest.raises(InferenceServerException, match="are not here"):
                    stock.get_model_metadata(name, headers=headers)
