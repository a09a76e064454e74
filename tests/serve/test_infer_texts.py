"""`POST .../infer` with texts and series in place of pictures."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.serve.access import Parts
from aihub.serve.result_schemas import InferAnswer, ManyAnswer
from aihub.storage.repository import Repository
from tests.algorithms.reading_stages import WORK_S
from tests.serve.books import TENANT, Books, Row
from tests.serve.hub import TestHub, bearer, encoded
from tests.serve.reading import add_readers
from tests.serve.test_infer import problem

TEXT, BEFORE, SERIES = (f"/v1/algorithms/{name}/infer" for name in ("text-length", "texts-before", "highest-value"))  # fmt: skip
MANY = "/v1/infer"


@pytest.fixture(autouse=True)
def _readers(hub: TestHub) -> None:
    add_readers(hub)


def results(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    InferAnswer.model_validate(response.json())
    rows: list[dict[str, Any]] = response.json()["results"]
    return rows


def labels(response: Any) -> list[str]:
    return [row["labels"][0]["label"] for row in results(response)]


def test_texts_in_json(client: TestClient) -> None:
    texts = ["a", "", "a longer text", "幸福路十二号"]
    assert labels(client.post(TEXT, json={"texts": texts})) == ["short", "short", "long", "long"]
    assert labels(client.post(TEXT, json={"texts": texts, "params": {"limit": 12}})) == ["short"] * 2 + [
        "long",
        "short",
    ]


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=utf-8", "TEXT/PLAIN"])
def test_plain_text(client: TestClient, kind: str) -> None:
    sent = "幸福路十二号\n".encode()
    (row,) = results(client.post(f"{TEXT}?limit=6", content=sent, headers={"Content-Type": kind}))
    assert row["measures"] == {"characters": 7.0}, "as it was sent, counted in characters"
    assert row["labels"][0]["label"] == "long"


def test_an_empty_text_is_a_text(client: TestClient) -> None:
    plain = {"Content-Type": "text/plain"}
    assert labels(client.post(TEXT, content=b"", headers=plain)) == ["short"]


def test_large_json_of_texts(client: TestClient) -> None:
    body = {"texts": ["x" * 19_000] * 5}
    assert labels(client.post(TEXT, json=body)) == ["long"] * 5


def test_texts_of_a_sequence_card_follow_each_other(client: TestClient) -> None:
    body = {"texts": ["a", "b", "c"]}
    for _ in range(2):
        rows = results(client.post(BEFORE, json=body))
        assert [[f["value"] for f in row["fields"]] for row in rows] == [[], ["a"], ["a", "b"]]


def test_series(client: TestClient) -> None:
    series = {"values": [1, None, 7, 3], "start": "2026-01-01T00:00:00Z", "step_s": 3600}
    (row,) = results(client.post(SERIES, json={"series": [series]}))
    (point,) = row["points"]
    assert (point["at"], point["value"], point["label"]) == (1_767_225_600 + 7200, 7.0, "highest")
    assert point["low"] is point["high"] is None
    rows = results(client.post(SERIES, json={"series": [series, {"values": [-1]}, {"values": []}]}))
    assert [len(row["points"]) for row in rows] == [1, 0, 0]
    at = {"values": [1, 2], "at": ["2026-01-01T00:00:00Z", 1_767_225_700]}
    (row,) = results(client.post(SERIES, json={"series": [at]}))
    assert row["points"][0]["at"] == 1_767_225_700


def test_columns(client: TestClient) -> None:
    body: dict[str, Any] = {"texts": ["a", "ab"], "fields": ["labels", "measures"]}
    first, second = client.post(TEXT, json=body).json()["results"]
    assert first == {"task": "classification", "labels": ["short"], "measures": {"characters": 1.0}}
    assert second["measures"] == {"characters": 2.0}
    body = {"series": [{"values": [1, 5]}], "fields": ["at", "values"]}
    assert client.post(SERIES, json=body).json()["results"] == [
        {"task": "series-analysis", "at": [1.0], "values": [5.0]}
    ]
    problem(client.post(TEXT, json={"texts": ["a"], "fields": ["boxes"]}), 400, "input")


def test_several_algorithms_on_the_same_texts(client: TestClient) -> None:
    long = {"id": "text-length", "params": {"limit": 0}}
    body = {"algorithms": ["text-length", long, "texts-before"], "texts": ["abc", "d"]}
    response = client.post(MANY, json=body)
    assert response.status_code == 200, response.text
    ManyAnswer.model_validate(response.json())
    first, second, third = response.json()["answers"]
    assert [row["labels"][0]["label"] for row in first["results"]] == ["short", "short"]
    assert [row["labels"][0]["label"] for row in second["results"]] == ["long", "long"]
    assert [len(row["fields"]) for row in third["results"]] == [0, 1]


def test_plain_text_for_several(client: TestClient) -> None:
    response = client.post(
        f"{MANY}?algorithms=text-length,texts-before",
        content=b"a text",
        headers={"Content-Type": "text/plain"},
    )
    assert response.status_code == 200, response.text
    assert len(response.json()["answers"]) == 2


def test_one_that_takes_something_else_leaves_the_others_alone(client: TestClient) -> None:
    body = {
        "algorithms": ["text-length", "highest-value", "thing-detection", {"id": "text-length", "params": {"limit": -1}}],
        "texts": ["abc"],
    }  # fmt: skip
    first, *failed = client.post(MANY, json=body).json()["answers"]
    assert len(first["results"]) == 1
    assert [one["error"]["code"] for one in failed] == ["unsupported-type", "unsupported-type", "params"]
    assert [one["error"]["field"] for one in failed] == [
        "algorithms[1]",
        "algorithms[2]",
        "algorithms[3].params.limit",
    ]


@pytest.mark.parametrize(
    ("url", "body", "status", "code", "field"),
    [
        (TEXT, {"texts": ["a", 1]}, 400, "input", "texts[1]"),
        (TEXT, {"texts": "a"}, 400, "input", "texts"),
        (TEXT, {"texts": []}, 415, "unsupported-type", None),
        (TEXT, {"texts": ["a"], "images": ["AAAA"]}, 400, "input", "texts"),
        (TEXT, {"texts": ["a"], "series": [{"values": [1]}]}, 400, "input", "series"),
        (TEXT, {"texts": ["a"], "params": {"limit": 5000}}, 422, "params", "limit"),
        (TEXT, {"texts": ["a"], "annotate": True}, 400, "input", "annotate"),
        (TEXT, {"series": [{"values": [1]}]}, 415, "unsupported-type", None),
        (TEXT, {"texts": ["a"] * 65}, 413, "too-large", "texts"),
        (TEXT, {"texts": ["a", "b" * 20_001]}, 413, "too-large", "texts[1]"),
        (SERIES, {"texts": ["a"]}, 415, "unsupported-type", None),
        (SERIES, {"series": [{"values": ["a"]}]}, 400, "input", "series[0].values[0]"),
        (SERIES, {"series": [{"values": [1], "\ud800": 1}]}, 400, "input", None),
        ("/v1/algorithms/thing-detection/infer", {"texts": ["a"]}, 415, "unsupported-type", None),
        (f"{TEXT}?url=http://example.org/a.jpg", {"texts": ["a"]}, 400, "input", "url"),
    ],
)
def test_wrong_requests(
    client: TestClient, url: str, body: Any, status: int, code: str, field: str | None
) -> None:
    content = json.dumps(body)
    answer = problem(
        client.post(url, content=content, headers={"Content-Type": "application/json"}), status, code
    )
    if field is not None:
        assert answer["field"] == field


def test_wrong_bodies(client: TestClient) -> None:
    plain = {"Content-Type": "text/plain"}
    assert problem(client.post(TEXT, content=b"\xff\xfe", headers=plain), 400, "input")["field"] == "body"
    jpeg = {"Content-Type": "image/jpeg"}
    refused = problem(client.post(TEXT, content=encoded(), headers=jpeg), 415, "unsupported-type")
    assert "texts" in refused["hint"]
    problem(client.post(SERIES, content=b"1,2,3", headers=plain), 415, "unsupported-type")


def test_a_stage_that_breaks_is_the_hubs_fault(client: TestClient) -> None:
    broken = problem(client.post(TEXT, json={"texts": ["a", "bug"]}), 500, "stage")
    assert "ZeroDivisionError" not in broken["detail"], "the log has it, the caller does not"
    answers = client.post(MANY, json={"algorithms": ["text-length", "texts-before"], "texts": ["bug"]})
    first, second = answers.json()["answers"]
    assert first["error"]["code"] == "stage"
    assert len(second["results"]) == 1


def test_what_it_cost_is_booked(hub: TestHub, anonymous: TestClient, repository: Repository) -> None:
    parts: Parts = hub.app.state.parts
    books = Books(parts, repository, calls=100)
    anonymous.headers.update(bearer(hub.key("infer", tenant=TENANT)))
    assert anonymous.post(TEXT, json={"texts": ["work", "work", "a"]}).status_code == 200
    assert books.rows() == {"text-length": Row(calls=1, errors=0, frames=3)}
    assert books.spent() >= 2 * WORK_S
    assert anonymous.post(SERIES, json={"series": [{"values": [1]}]}).status_code == 200
    assert anonymous.post(TEXT, json={"texts": ["bug"]}).status_code == 500
    rows = books.rows()
    assert rows["highest-value"] == Row(1, 0, 1)
    assert rows["text-length"].errors == 1
    assert books.calls() == 3


def test_of_several_each_pays_its_own(hub: TestHub, anonymous: TestClient, repository: Repository) -> None:
    parts: Parts = hub.app.state.parts
    books = Books(parts, repository)
    anonymous.headers.update(bearer(hub.key("infer", tenant=TENANT)))
    body = {"algorithms": ["texts-before", "text-length"], "texts": ["work"] * 3}
    assert anonymous.post(MANY, json=body).status_code == 200
    books.rows()
    spent = {row.algorithm: row.compute_s for row in repository.list_usage(tenant=TENANT).items}
    assert spent["text-length"] >= 3 * WORK_S
    assert spent["texts-before"] < WORK_S
