"""Algorithms that read or study, asked as models: texts or one series in, columns and the whole result out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from aihub.serve.oip.reading_models import AT, TEXT, VALUES
from aihub.storage.repository import Repository
from tests.serve.books import TENANT, Books, Row
from tests.serve.hub import TestHub, bearer
from tests.serve.oip.bodies import asking, files, numbers
from tests.serve.oip.test_sound import outputs
from tests.serve.reading import add_readers

READ, STUDY = "/v2/models/text-length/infer", "/v2/models/highest-value/infer"
HEADER = "Inference-Header-Content-Length"


@pytest.fixture(autouse=True)
def _readers(hub: TestHub) -> None:
    add_readers(hub)


def floats(name: str, *values: float) -> Any:
    return numbers(name, np.array(values, np.float64))


def test_what_they_take_and_give(client: TestClient) -> None:
    body = client.get("/v2/models/text-length").json()
    assert body["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert [row["name"] for row in body["outputs"]] == ["labels", "scores", "counts", "result"]
    body = client.get("/v2/models/highest-value").json()
    assert [row["name"] for row in body["inputs"]] == ["values", "at"]
    assert {row["datatype"] for row in body["inputs"]} == {"FP64"}
    names = [row["name"] for row in body["outputs"]]
    assert names == ["at", "values", "lows", "highs", "labels", "scores", "counts", "result"]
    config = client.get("/v2/models/highest-value/config").json()
    assert config["input"][0] == {"name": "values", "data_type": "TYPE_FP64", "dims": [-1]}
    for name in ("text-length", "highest-value"):
        assert client.get(f"/v2/models/{name}/ready").status_code == 200


@pytest.mark.parametrize("binary", [True, False])
def test_texts(client: TestClient, binary: bool) -> None:
    texts = files(TEXT, b"a", "幸福路十二号".encode(), b"")
    found = outputs(client.post(READ, **asking(texts, binary=binary)))
    assert found["labels"]["data"] == ["short", "long", "short"]
    assert found["counts"]["data"] == [1, 1, 1]
    assert json.loads(found["result"]["data"][1])["measures"] == {"characters": 6.0}
    found = outputs(client.post(READ, **asking(texts, parameters={"limit": 6})))
    assert found["labels"]["data"] == ["short"] * 3


def test_a_text_without_any_json(client: TestClient) -> None:
    headers = {HEADER: "0", "Accept": "application/json"}
    found = outputs(client.post(READ, content="幸福路十二号".encode(), headers=headers))
    assert found["labels"]["data"] == ["long"]


def test_texts_of_a_sequence(client: TestClient) -> None:
    found = outputs(client.post("/v2/models/texts-before/infer", **asking(files(TEXT, b"a", b"b", b"c"))))
    assert found["counts"]["data"] == [0, 1, 2]
    assert found["values"]["data"] == ["a", "a", "b"]


def test_a_series(client: TestClient) -> None:
    found = outputs(client.post(STUDY, **asking(floats(VALUES, 1, np.nan, 7, 3))))
    assert (found["at"]["data"], found["values"]["data"], found["labels"]["data"]) == ([2], [7], ["highest"])
    assert found["lows"]["data"] == found["highs"]["data"] == [None], "nothing is said of them"
    found = outputs(client.post(STUDY, **asking(floats(VALUES, 1, 7), floats(AT, 1000, 1060.5))))
    assert found["at"]["data"] == [1060.5]
    nothing = outputs(client.post(STUDY, **asking(floats(VALUES, -1, -2))))
    assert (nothing["values"]["shape"], nothing["counts"]["data"]) == ([0], [0])
    single = numbers(VALUES, np.array([1, 5], np.float32))
    assert outputs(client.post(STUDY, **asking(single)))["values"]["data"] == [5]


@pytest.mark.parametrize(
    ("url", "asked", "said"),
    [
        (READ, asking(files("image", b"a")), "no input 'image'"),
        (READ, asking(numbers(TEXT, np.zeros(3, np.float32))), "BYTES"),
        (READ, asking(files(TEXT)), "no text"),
        (READ, asking(files(TEXT, b"a", b"\xff\xfe")), "text[1] is not UTF-8"),
        (READ, asking(files(TEXT, *[b"a"] * 65)), "at most 64"),
        (READ, asking(files(TEXT, b"a" * 20_001)), "characters"),
        (READ, asking(files(TEXT, b"a"), parameters={"limit": -1}), "limit"),
        (READ, asking(files(TEXT, b"a"), parameters={"nothing": 1}), "nothing"),
        (STUDY, asking(floats(AT, 1, 2)), "'values' is missing"),
        (STUDY, asking(floats(VALUES, 1, 2), floats("more", 1, 2)), "no input 'more'"),
        (STUDY, asking(files(VALUES, b"1")), "FP64"),
        (STUDY, asking(numbers(VALUES, np.zeros((2, 2)))), "FP64 [n]"),
        (STUDY, asking(floats(VALUES, 1, 2), floats(AT, 1)), "2 times"),
        (STUDY, asking(floats(VALUES, 1, 2), floats(AT, 2, 1)), "rise"),
        (STUDY, asking(floats(VALUES, 1, 2), floats(AT, 2, np.nan)), "rise"),
        (STUDY, asking(floats(VALUES, 1, np.inf)), "NaN where"),
        (STUDY, asking(numbers(VALUES, np.zeros(50_001))), "at most 50,000"),
    ],
)
def test_what_is_wrong_is_said(client: TestClient, url: str, asked: dict[str, Any], said: str) -> None:
    response = client.post(url, **asked)
    assert response.status_code in (400, 413, 422), response.text
    assert said in response.json()["error"]


def test_it_is_booked(hub: TestHub, client: TestClient, repository: Repository) -> None:
    books = Books(hub.app.state.parts, repository)
    client.headers.update(bearer(hub.key("infer", tenant=TENANT)))
    assert client.post(READ, **asking(files(TEXT, b"a", b"work"))).status_code == 200
    assert client.post(STUDY, **asking(floats(VALUES, 1))).status_code == 200
    assert books.rows() == {"text-length": Row(1, 0, 2), "highest-value": Row(1, 0, 1)}
    statistics = client.get("/v2/models/text-length/stats").json()["model_stats"][0]
    assert statistics["inference_count"] == 2
