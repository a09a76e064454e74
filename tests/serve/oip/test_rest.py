"""`/v2` over HTTP: what it answers, and what it says when it does not."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from aihub.engine import Engine
from aihub.errors import DeadlineError, SessionError
from aihub.serve.oip.exchange import INLINE_BYTES
from aihub.serve.oip.requests import BRIEF_S, answered
from aihub.serve.security import Caller
from aihub.storage.records import Tenant
from tests.serve.hub import TestHub, bearer, encoded, failing, picture
from tests.serve.oip.bodies import asking, files, numbers

DOUBLE = "/v2/models/double/infer"
MEAN = "/v2/models/mean/infer"
THING = "/v2/models/thing-detection/infer"
HEADER = "Inference-Header-Content-Length"


def floats(rows: int = 1, width: int = 3) -> Any:
    return np.arange(rows * width, dtype=np.float32).reshape(rows, width)


def double(data: Any = None, **rest: Any) -> dict[str, Any]:
    return {
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3] if data is None else data}
        ],
        **rest,
    }


def test_who_answers(client: TestClient) -> None:
    body = client.get("/v2").json()
    assert body["name"] == "aihub"
    assert {"binary_tensor_data", "model_repository", "statistics", "classification"} <= set(
        body["extensions"]
    )


def test_health_needs_no_key(hub: TestHub, anonymous: TestClient) -> None:
    assert anonymous.get("/v2/health/live").json() == {"live": True}
    assert anonymous.get("/v2/health/ready").status_code == 503  # no stream host was heard of
    hub.beat()
    time.sleep(0.6)  # the answer before is kept for half a second
    response = anonymous.get("/v2/health/ready")
    assert (response.status_code, response.json()) == (200, {"ready": True})


def test_models_and_algorithms_are_listed_ready_or_not(client: TestClient) -> None:
    rows = {row["name"]: row for row in client.post("/v2/repository/index").json()}
    assert set(rows) == set(client.get("/v2/models").json()["models"])
    assert {name for name, row in rows.items() if row["state"] == "READY"} == {
        "mean", "double", "picky", "text", "thing-detection",
    }  # fmt: skip
    assert "aihub models pull gone" in rows["gone"]["reason"]
    assert "AGPL-3.0-only" in rows["unfree"]["reason"]
    assert "aihub models pull absent" in rows["absent-detection"]["reason"]
    assert "video" in rows["clip-only"]["reason"]
    ready = client.post("/v2/repository/index", json={"ready": True}).json()
    assert [row["name"] for row in ready] == [name for name, row in rows.items() if row["state"] == "READY"]


def test_metadata_of_a_model_is_that_of_its_prepared_graph(client: TestClient, engine: Engine) -> None:
    assert client.get("/v2/models/mean").json() == {
        "name": "mean",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 8, 12, 3]}],
        "outputs": [{"name": "mean", "datatype": "FP32", "shape": [-1, 1, 1, 1]}],
    }
    assert client.get("/v2/models/double/versions/1").json()["inputs"][0]["shape"] == [-1, 3]
    assert not engine.loaded()


def test_metadata_of_an_algorithm_follows_from_its_card(client: TestClient) -> None:
    body = client.get("/v2/models/thing-detection").json()
    assert body["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert [row["name"] for row in body["outputs"]] == ["boxes", "scores", "labels", "counts", "result"]


def test_configuration_leaves_the_batch_out_of_shapes(client: TestClient) -> None:
    body = client.get("/v2/models/mean/config").json()
    assert body["max_batch_size"] == 4
    assert body["input"] == [{"name": "image", "data_type": "TYPE_UINT8", "dims": [8, 12, 3]}]
    body = client.get("/v2/models/thing-detection/versions/1/config").json()
    assert body["max_batch_size"] == 0
    assert body["input"] == [{"name": "image", "data_type": "TYPE_STRING", "dims": [-1]}]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v2/models/mean/ready", 200, "mean"),
        ("/v2/models/mean/versions/1/ready", 200, "mean"),
        ("/v2/models/thing-detection/ready", 200, "thing"),
        ("/v2/models/gone/ready", 503, "aihub models pull gone"),
        ("/v2/models/gone", 503, "not here"),
        ("/v2/models/gone/config", 503, "not here"),
        ("/v2/models/unfree/ready", 503, "AGPL"),
        ("/v2/models/unfree", 403, "AGPL"),
        ("/v2/models/absent-detection/ready", 503, "aihub models pull absent"),
        ("/v2/models/nothing", 404, "nothing"),
        ("/v2/models/nothing/ready", 404, "nothing"),
        ("/v2/models/doubl/stats", 404, "did you mean 'double'"),
        ("/v2/models/mean/versions/2", 404, "version 2"),
        ("/v2/models/mean/versions/x/ready", 404, "version x"),
        ("/v2/nothing", 404, "Not Found"),
        ("/v2/", 404, "Not Found"),
    ],
)
def test_what_is_there_and_what_is_not(client: TestClient, path: str, status: int, said: str) -> None:
    response = client.get(path)
    assert response.status_code == status
    assert said in response.text
    if status != 200:
        assert list(response.json()) == ["error"]


def test_json_in_json_out_with_the_id_echoed(client: TestClient) -> None:
    assert client.post(DOUBLE, json=double(id="q-1")).json() == {
        "model_name": "double",
        "model_version": "1",
        "id": "q-1",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 3], "data": [2, 4, 6]}],
    }
    assert "id" not in client.post("/v2/models/double/versions/1/infer", json=double([[0, 0, 0]])).json()


def test_binary_in_binary_out(client: TestClient) -> None:
    asked = asking(numbers("x", floats(2)), parameters={"binary_data_output": True})
    response = client.post(DOUBLE, **asked)
    assert response.headers["content-type"] == "application/octet-stream"
    size = int(response.headers[HEADER])
    head = json.loads(response.content[:size])
    assert head["outputs"][0]["parameters"] == {"binary_data_size": 24}
    assert np.array_equal(np.frombuffer(response.content[size:], np.float32).reshape(2, 3), floats(2) * 2)


def test_each_output_may_come_its_own_way(client: TestClient) -> None:
    outputs = [
        {"name": "counts"},
        {"name": "boxes", "parameters": {"binary_data": True}},
        {"name": "labels", "parameters": {"binary_data": False}},
    ]
    body = {
        "inputs": [
            {
                "name": "image",
                "datatype": "BYTES",
                "shape": [1],
                "data": [base64.b64encode(encoded()).decode()],
                "parameters": {"content_type": "base64"},
            }
        ],
        "outputs": outputs,
    }
    response = client.post(THING, json=body)
    head = json.loads(response.content[: int(response.headers[HEADER])])
    assert [row["name"] for row in head["outputs"]] == ["counts", "boxes", "labels"]
    assert head["outputs"][0]["data"] == [1]
    assert head["outputs"][1]["parameters"] == {"binary_data_size": 16}
    assert head["outputs"][2]["data"] == ["thing"]


def test_a_jpeg_alone_is_a_request(client: TestClient) -> None:
    raw = {HEADER: "0", "Content-Type": "application/octet-stream"}
    response = client.post(THING, content=encoded(), headers=raw)
    assert int(response.headers[HEADER]) < len(response.content)
    response = client.post(THING, content=encoded(), headers={**raw, "Accept": "application/json"})
    (result,) = next(row["data"] for row in response.json()["outputs"] if row["name"] == "result")
    assert json.loads(result)["detections"][0]["box"] == [0, 0, 32, 24]


@pytest.mark.parametrize(
    ("model", "body", "status", "said"),
    [
        ("mean", bytes(8 * 12 * 3), 200, '"shape":[1,1,1,1]'),
        ("mean", bytes(2 * 8 * 12 * 3), 200, '"shape":[2,1,1,1]'),
        ("mean", bytes(8 * 12 * 3 + 1), 400, "'image'"),
        ("mean", b"", 400, "no elements"),
        ("double", bytes(12), 200, "[0.0,0.0,0.0]"),
        ("text", "grüß".encode(), 200, "grüß"),
    ],
)
def test_a_tensor_alone_is_a_request(
    client: TestClient, model: str, body: bytes, status: int, said: str
) -> None:
    response = client.post(
        f"/v2/models/{model}/infer", content=body, headers={HEADER: "0", "Accept": "application/json"}
    )
    assert (response.status_code, said in response.text) == (status, True), response.text


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_both_ways_packed(client: TestClient, coding: str) -> None:
    pack: Callable[[bytes], bytes] = gzip.compress if coding == "gzip" else zlib.compress
    asked = asking(numbers("x", floats()), parameters={"binary_data_output": True})
    headers = {**asked["headers"], "Content-Encoding": coding, "Accept-Encoding": coding}
    response = client.post(DOUBLE, content=pack(asked["content"]), headers=headers)
    assert response.headers["content-encoding"] == coding
    body = response.content  # the client unpacks
    assert np.frombuffer(body[int(response.headers[HEADER]) :], np.float32).tolist() == [0, 2, 4]


def test_who_did_not_choose_a_packing_gets_none(client: TestClient) -> None:
    for accepted in ("gzip, deflate", "*", "br", "gzip;q=0", ""):
        response = client.post(DOUBLE, json=double(), headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in response.headers, accepted


@pytest.mark.parametrize(
    ("coding", "body", "status", "said"),
    [
        ("gzip", b"nonsense", 400, "not gzip"),
        ("deflate", b"nonsense", 400, "not deflate"),
        ("gzip", gzip.compress(b"{}")[:-3], 400, "cut off"),
        ("gzip", gzip.compress(b"{}") + b"x", 400, "follow"),
        ("gzip", gzip.compress(bytes(2_000_001)), 413, "2,000,000"),
        ("deflate", zlib.compress(bytes(500_000_000), 9), 413, "2,000,000"),
        ("br", b"{}", 415, "br"),
        ("gzip, gzip", b"{}", 415, "gzip, gzip"),
    ],
    ids=["no-gzip", "no-deflate", "cut", "more-behind", "too-large", "bomb", "unknown", "twice"],
)
def test_wrongly_packed_bodies(client: TestClient, coding: str, body: bytes, status: int, said: str) -> None:
    response = client.post(DOUBLE, content=body, headers={"Content-Encoding": coding})
    assert (response.status_code, said in response.json()["error"]) == (status, True), response.text


def test_pictures_as_pixels_in_both_orders(client: TestClient) -> None:
    pixels = picture(64, 48)
    for shape, parameters in (
        (pixels, {}),
        (pixels[None], {"pixel_format": "BGR"}),
        (np.ascontiguousarray(pixels[None, ..., ::-1]), {"pixel_format": "rgb"}),
    ):
        asked = asking(numbers("image", shape), parameters=parameters)
        outputs = {row["name"]: row for row in client.post(THING, **asked).json()["outputs"]}
        assert outputs["boxes"] == {
            "name": "boxes",
            "datatype": "FP32",
            "shape": [1, 4],
            "data": [0, 0, 32, 24],
        }
        assert outputs["labels"]["data"] == ["thing"]


def test_several_pictures_and_how_many_rows_each_has(client: TestClient) -> None:
    asked = asking(files("image", encoded(), encoded("png", 10, 10), encoded("webp", 20, 10)))
    outputs = {row["name"]: row for row in client.post(THING, **asked).json()["outputs"]}
    assert outputs["counts"]["data"] == [1, 1, 1]
    assert outputs["boxes"]["shape"] == [3, 4]
    assert outputs["result"]["shape"] == [3]


def test_parameters_are_those_of_the_algorithm(client: TestClient) -> None:
    asked = asking(
        files("image", encoded()),
        parameters={"confidence": 0.9, "priority": 1, "triton_x": "y", "sequence_id": 3},
    )
    outputs = {row["name"]: row for row in client.post(THING, **asked).json()["outputs"]}
    assert outputs["counts"]["data"] == [0]
    assert outputs["boxes"]["shape"] == [0, 4]
    for zone in ([[0, 0], [1, 0], [1, 1]], "[[0, 0], [1, 0], [1, 1]]"):  # gRPC has no lists
        asked = asking(files("image", encoded()), parameters={"zone": zone, "names": "a,b", "count": "3"})
        assert client.post(THING, **asked).status_code == 200


def test_outputs_of_a_batch_are_those_of_its_items(client: TestClient) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (4, 8, 12, 3), np.uint8)
    whole = client.post(MEAN, **asking(numbers("image", pictures))).json()["outputs"][0]["data"]
    each = [
        client.post(MEAN, **asking(numbers("image", one[None]))).json()["outputs"][0]["data"][0]
        for one in pictures
    ]
    assert whole == pytest.approx(each)


X = numbers("x", floats())
IMAGE = files("image", encoded())
WRONG: list[tuple[str, dict[str, Any], int, str]] = [
    ("double", asking(numbers("xx", floats())), 400, "did you mean"),
    ("double", asking(numbers("zzz", floats())), 400, "inputs are x"),
    ("double", asking(X, numbers("y", floats())), 400, "no input 'y'"),
    ("double", asking(numbers("x", floats().astype(np.float64))), 400, "FP32, but FP64"),
    ("double", asking(numbers("x", floats(1, 4))), 400, "[-1, 3], but [1, 4]"),
    ("double", asking(numbers("x", floats()[0])), 400, "[-1, 3], but [3]"),
    ("double", asking(numbers("x", floats(0))), 400, "no elements"),
    ("double", {"json": double(outputs=[{"name": "z"}])}, 400, "no output 'z'"),
    ("double", {"json": double(parameters={"timeout": -1})}, 400, "timeout"),
    ("double", {"json": double(parameters={"timeout": "1"})}, 400, "timeout"),
    ("double", {"json": double(parameters={"binary_data_output": "yes"})}, 400, "binary_data_output"),
    ("double", {"json": double(outputs=[{"name": "y", "parameters": {"classification": -1}}])}, 400, "classification"),
    ("double", {"content": b"{}", "headers": {HEADER: "3"}}, 400, HEADER),
    ("double", {"content": b"{}", "headers": {HEADER: "-1"}}, 400, HEADER),
    ("double", {"content": b"x" * 2_000_001}, 413, "2,000,000"),
    ("double", {"json": double(outputs=[{"name": "y", "parameters": {"shared_memory_region": "r"}}])}, 501, "shared memory"),
    ("mean", asking(numbers("image", np.zeros((5, 8, 12, 3), np.uint8))), 413, "at most 4"),
    ("mean", asking(files("image", encoded())), 400, "UINT8, but BYTES"),
    ("picky", asking(numbers("x", np.array([[9]], np.int64))), 500, "hub failed"),  # an index that the graph has no row for
    ("gone", asking(numbers("x", floats(1, 4))), 503, "AIHUB_MODEL_MIRROR"),
    ("unfree", asking(numbers("x", floats(1, 5))), 403, "AGPL"),
    ("absent-detection", asking(IMAGE), 200, "boxes"),  # the fake predictor runs what it says is missing
    ("nothing", asking(X), 404, "no model named 'nothing'"),
    ("double/versions/7", asking(X), 404, "version 7"),
    ("clip-only", asking(IMAGE), 400, "video"),
    ("sound-only", asking(IMAGE), 400, "'audio'"),
    ("thing-detection", asking(files("picture", encoded())), 400, "named 'image'"),
    ("thing-detection", asking(IMAGE, files("mask", encoded())), 400, "one input"),
    ("thing-detection", asking(numbers("image", floats())), 400, "BYTES (a file) or UINT8"),
    ("thing-detection", asking(numbers("image", np.zeros((2, 2), np.uint8))), 400, "[height, width, 3]"),
    ("thing-detection", asking(numbers("image", np.zeros((2, 2, 4), np.uint8))), 400, "[height, width, 3]"),
    ("thing-detection", asking(numbers("image", np.zeros((0, 2, 3), np.uint8))), 400, "[height, width, 3]"),
    ("thing-detection", asking(numbers("image", np.zeros((1, 70_000, 3), np.uint8))), 413, "65,535"),
    ("thing-detection", asking(numbers("image", np.zeros((5, 2, 2, 3), np.uint8))), 413, "at most 4"),
    ("thing-detection", asking(files("image", *[encoded()] * 5)), 413, "at most 4"),
    ("thing-detection", asking(files("image")), 400, "no picture"),
    ("thing-detection", asking(files("image", b"")), 400, "empty"),
    ("thing-detection", asking(files("image", encoded()[:-9])), 400, "cut off"),
    ("thing-detection", asking(files("image", b"GIF89a...")), 400, "GIF"),
    ("thing-detection", asking(IMAGE, parameters={"pixel_format": "YUV"}), 200, "boxes"),  # files know their order
    ("thing-detection", asking(numbers("image", picture()), parameters={"pixel_format": "YUV"}), 400, "pixel_format"),
    ("thing-detection", asking(numbers("image", picture()), parameters={"pixel_format": 7}), 400, "pixel_format"),
    ("thing-detection", asking(IMAGE, parameters={"content_type": "png"}), 400, "content_type"),
    ("thing-detection", asking(IMAGE, parameters={"content_type": "base64"}), 400, "not base64"),
    ("thing-detection", asking(IMAGE, parameters={"confidence": 2}), 400, "confidence"),
    ("thing-detection", asking(IMAGE, parameters={"confidence": "high"}), 400, "confidence"),
    ("thing-detection", asking(IMAGE, parameters={"confidense": 0.5}), 400, "confidence"),
    ("thing-detection", asking(IMAGE, parameters={"zone": "[[0"}), 400, "zone"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "asked", "status", "said"), WRONG, ids=[f"{row[0]}-{row[3]}" for row in WRONG]
)
def test_what_is_wrong_is_said(
    client: TestClient, model: str, asked: dict[str, Any], status: int, said: str
) -> None:
    response = client.post(f"/v2/models/{model}/infer", **asked)
    assert (response.status_code, said in response.text) == (status, True), response.text
    if status != 200:
        assert list(response.json()) == ["error"]
        assert response.headers["content-type"] == "application/json"


def test_a_fault_of_the_hub_names_only_its_request(
    hub: TestHub, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    hub.predictor.before = failing(RuntimeError("a secret"))
    response = client.post(THING, **asking(IMAGE))
    assert response.status_code == 500
    assert "a secret" not in response.text
    assert response.headers["X-Request-Id"] in response.json()["error"]
    hub.predictor.before = failing(SessionError("a secret"))
    assert client.post(THING, **asking(IMAGE)).status_code == 500
    assert sum(record.name == "aihub.serve.problems" for record in caplog.records) == 2


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/systemsharedmemory/status"),
        ("GET", "/v2/cudasharedmemory/region/r/status"),
        ("POST", "/v2/systemsharedmemory/region/r/register"),
        ("POST", "/v2/cudasharedmemory/unregister"),
        ("GET", "/v2/trace/setting"),
        ("POST", "/v2/models/mean/trace/setting"),
        ("GET", "/v2/logging"),
    ],
)
def test_what_is_not_done_says_so(client: TestClient, method: str, path: str) -> None:
    response = client.request(method, path)
    assert response.status_code == 501
    assert response.json()["error"]


def test_without_a_key_errors_have_the_form_of_the_protocol(hub: TestHub, anonymous: TestClient) -> None:
    for path in ("/v2", "/v2/models", "/v2/nothing", "/v2/models/mean/ready"):
        response = anonymous.get(path)
        assert response.status_code == 401
        assert "API key" in response.json()["error"]
        assert response.headers["www-authenticate"]
    assert anonymous.post(DOUBLE, json=double(), headers=bearer(hub.key("streams"))).status_code == 403
    assert anonymous.get("/v2/health/live", headers=bearer("nonsense")).status_code == 200


def test_loading_and_unloading_is_for_administrators(
    hub: TestHub, client: TestClient, engine: Engine
) -> None:
    assert client.post("/v2/repository/models/double/load").status_code == 403
    admin = bearer(hub.key("admin"))
    assert client.post("/v2/repository/models/double/load", json={}, headers=admin).status_code == 200
    assert [model.name for model in engine.loaded()] == ["double"]
    assert client.post("/v2/repository/models/double/unload", headers=admin).status_code == 200
    assert engine.loaded() == []
    assert client.get("/v2/models/double/ready").status_code == 200
    assert client.post(DOUBLE, json=double()).status_code == 200
    for path, body, status in (
        ("gone/load", {}, 503),
        ("nothing/load", {}, 404),
        ("nothing/unload", {}, 404),
        ("double/load", {"parameters": {"config": "{}"}}, 501),
        ("double/unload", {"parameters": 7}, 400),
        ("clip-only/unload", {}, 200),
    ):
        response = client.post(f"/v2/repository/models/{path}", json=body, headers=admin)
        assert response.status_code == status, (path, response.text)


def test_a_tenant_sees_and_calls_what_it_was_granted(hub: TestHub, anonymous: TestClient) -> None:
    hub.repository.add_tenant(Tenant("small", algorithms=("double", "clip-only")))
    headers = bearer(hub.key("infer", tenant="small"))
    assert anonymous.get("/v2/models", headers=headers).json()["models"] == ["clip-only", "double"]
    assert anonymous.post(DOUBLE, json=double(), headers=headers).status_code == 200
    names = [row["name"] for row in anonymous.get("/v2/models/stats", headers=headers).json()["model_stats"]]
    assert names == ["clip-only", "double"]
    for path in ("mean", "mean/config", "mean/stats", "mean/ready"):
        hidden = anonymous.get(f"/v2/models/{path}", headers=headers)
        unknown = anonymous.get(f"/v2/models/{path.replace('mean', 'none')}", headers=headers)
        assert hidden.status_code == unknown.status_code == 404
        assert hidden.text == unknown.text.replace("none", "mean")
    assert anonymous.post(MEAN, json={}, headers=headers).status_code == 404


def stats(client: TestClient, name: str) -> dict[str, Any]:
    (row,) = client.get(f"/v2/models/{name}/stats").json()["model_stats"]
    return row  # type: ignore[no-any-return]


def test_statistics_count_what_was_done(client: TestClient) -> None:
    before = {name: stats(client, name) for name in ("double", "thing-detection")}
    for _ in range(3):
        assert client.post(DOUBLE, json=double()).status_code == 200
    assert client.post(DOUBLE, json=double([1])).status_code == 400
    assert client.post(THING, **asking(files("image", encoded(), encoded()))).status_code == 200
    for name, good, bad, runs, items in (("double", 3, 0, 3, 3), ("thing-detection", 1, 0, 1, 2)):
        after, old = stats(client, name), before[name]
        assert (
            after["inference_stats"]["success"]["count"] - old["inference_stats"]["success"]["count"] == good
        )
        assert after["inference_stats"]["fail"]["count"] - old["inference_stats"]["fail"]["count"] == bad
        assert after["execution_count"] - old["execution_count"] == runs
        assert after["inference_count"] - old["inference_count"] == items
        assert after["last_inference"] > 1_700_000_000_000
        spent = after["inference_stats"]
        assert spent["compute_infer"]["ns"] > old["inference_stats"]["compute_infer"]["ns"]
        assert spent["queue"]["count"] > old["inference_stats"]["queue"]["count"]


def test_classes_instead_of_numbers(client: TestClient) -> None:
    outputs = [{"name": "y", "parameters": {"classification": 2}}]
    body = client.post(DOUBLE, json=double([3, 1, 2], outputs=outputs)).json()
    assert body["outputs"] == [
        {"name": "y", "datatype": "BYTES", "shape": [1, 2], "data": ["6.000000:0", "4.000000:2"]}
    ]


def test_a_time_that_is_over_is_an_error_and_drops_the_work(hub: TestHub, client: TestClient) -> None:
    release = threading.Event()
    hub.predictor.before = lambda _: release.wait(10)  # type: ignore[assignment]
    began = time.monotonic()
    response = client.post(THING, **asking(IMAGE, parameters={"timeout": 100_000}))
    release.set()
    assert response.status_code == 504
    assert time.monotonic() - began < 5


def test_what_is_used_is_billed(hub: TestHub, client: TestClient) -> None:
    entered: list[tuple[str, tuple[str, ...], int]] = []
    admission = hub.app.state.parts.admission
    real = admission.enter

    def enter(caller: Caller, algorithms: Any, *, frames: int = 1) -> Any:
        entered.append((caller.tenant, tuple(algorithms), frames))
        return real(caller, algorithms, frames=frames)

    admission.enter = enter
    client.post(DOUBLE, json=double())
    client.post(MEAN, **asking(numbers("image", np.zeros((2, 8, 12, 3), np.uint8))))
    client.post(THING, **asking(files("image", encoded(), encoded())))
    assert entered == [
        ("default", ("double",), 1), ("default", ("mean",), 2), ("default", ("thing-detection",), 2),
    ]  # fmt: skip


async def test_what_waits_for_a_client_that_has_gone_is_dropped() -> None:
    waiting: Future[int] = Future()
    gone = asyncio.Event()
    task = asyncio.create_task(answered(waiting, 20.0, gone.wait))
    await asyncio.sleep(2 * BRIEF_S)
    gone.set()
    with pytest.raises(ClientDisconnect):
        await task
    assert waiting.cancelled()


async def test_waiting_ends_with_the_answer_the_error_or_the_time() -> None:
    done: Future[int] = Future()
    done.set_result(7)
    never = asyncio.Event()
    assert await answered(done, 5.0, never.wait) == 7
    failed: Future[int] = Future()
    failed.set_exception(SessionError("broken"))
    with pytest.raises(SessionError):
        await answered(failed, 5.0, None)
    late: Future[int] = Future()
    with pytest.raises(DeadlineError):
        await answered(late, 0.01, never.wait)
    await asyncio.sleep(0.01)  # cancelling takes a turn of the loop
    assert late.cancelled()
    given_up: Future[int] = Future()
    task = asyncio.create_task(answered(given_up, 20.0, None))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.01)
    assert given_up.cancelled()


def test_much_json_goes_through_a_thread_and_comes_out_the_same(hub: TestHub, client: TestClient) -> None:
    rows = np.random.default_rng(3).integers(0, 1000, (10_000, 3)).astype(np.float32)
    asked = asking(numbers("x", rows), binary=False)
    assert len(asked["content"]) > INLINE_BYTES
    (answer,) = client.post(DOUBLE, **asked).json()["outputs"]
    assert np.array_equal(np.array(answer["data"], np.float32).reshape(-1, 3), rows * 2)


def test_numbers_that_json_has_no_form_for(client: TestClient) -> None:
    large = numbers("x", np.full((1, 3), 3e38, np.float32))
    refused = client.post(DOUBLE, **asking(large))
    assert refused.status_code == 400
    assert "binary_data" in refused.json()["error"]
    binary = client.post(DOUBLE, **asking(large, parameters={"binary_data_output": True}))
    assert np.isinf(np.frombuffer(binary.content[int(binary.headers[HEADER]) :], np.float32)).all()
