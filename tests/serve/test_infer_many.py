"""`POST /v1/infer`: several algorithms on the same pictures, each answering or failing by itself."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.errors import QueueFullError, SessionError
from aihub.serve.payloads import MAX_ALGORITHMS
from aihub.serve.result_schemas import ManyAnswer
from aihub.storage.records import Tenant
from tests.serve.hub import TestHub, bearer, encoded, failing
from tests.serve.test_infer import INFER, problem

MANY = "/v1/infer"
JPEG = {"Content-Type": "image/jpeg"}
PICTURE = base64.b64encode(encoded()).decode()
SURE = {"id": "thing-detection", "params": {"confidence": 0.9}}


def ask(client: TestClient, algorithms: Any, images: Any = None, **more: Any) -> Any:
    return client.post(MANY, json={"algorithms": algorithms, "images": images or [PICTURE], **more})


def counts(response: Any) -> list[list[int]]:
    assert response.status_code == 200, response.text
    answer = ManyAnswer.model_validate(response.json())
    return [
        [len(result["detections"]) for result in one["results"]] for one in response.json()["answers"]
    ] + ([] if answer.took_ms >= 0 else [[-1]])


@pytest.mark.parametrize(
    "send",
    [
        lambda client: ask(client, ["thing-detection", SURE]),
        lambda client: client.post(
            MANY,
            params={"algorithms": json.dumps(["thing-detection", SURE])},
            content=encoded(),
            headers=JPEG,
        ),
        lambda client: client.post(
            MANY,
            files=[("image", ("a", encoded(), "image/jpeg"))],
            data={"algorithms": json.dumps(["thing-detection", SURE])},
        ),
        lambda client: client.post(
            MANY, params={"algorithms": json.dumps(["thing-detection", SURE])}, json={"images": [PICTURE]}
        ),
    ],
    ids=["json", "raw", "form", "json with a query"],
)
def test_every_form_of_body(client: TestClient, send: Any) -> None:
    assert counts(send(client)) == [[1], [0]]


@pytest.mark.parametrize(
    "query",
    ["algorithms=thing-detection,thing-detection", "algorithms=thing-detection&algorithms=thing-detection"],
)
def test_ids_in_the_query(client: TestClient, query: str) -> None:
    assert counts(client.post(f"{MANY}?{query}", content=encoded(), headers=JPEG)) == [[1], [1]]


def test_several_pictures_and_algorithms(client: TestClient) -> None:
    assert counts(ask(client, [SURE, "thing-detection"], [PICTURE] * 3)) == [[0, 0, 0], [1, 1, 1]]


def test_shared_work_is_done_once(hub: TestHub, client: TestClient) -> None:
    assert len(counts(ask(client, ["thing-detection", SURE] * 5))) == 10
    assert len(hub.predictor.sources) == 1


def test_large_json_is_read_off_the_event_loop(hub: TestHub, client: TestClient) -> None:
    large = base64.b64encode(encoded("bmp", 400, 300)).decode()
    assert counts(ask(client, ["thing-detection"], [large] * 2)) == [[1, 1]]
    body = problem(ask(client, ["thing-detection"], [large, "%"]), 400, "input")
    assert body["field"] == "images[1]"


@pytest.mark.parametrize(
    ("broken", "code", "field", "version", "reason"),
    [
        ("thing-detektion", "algorithm-not-found", "algorithms[1]", None, "unknown"),
        ("clip-only", "unsupported-type", "algorithms[1]", None, "takes no pictures"),
        (
            {"id": "thing-detection", "params": {"confidence": 7}},
            "params",
            "algorithms[1].params.confidence",
            1,
            "out of range",
        ),
        (
            {"id": "thing-detection", "params": {"nothing": 7}},
            "params",
            "algorithms[1].params.nothing",
            1,
            "unknown parameter",
        ),
    ],
)
def test_one_that_fails_leaves_the_others_alone(
    hub: TestHub, client: TestClient, broken: Any, code: str, field: str, version: int | None, reason: str
) -> None:
    response = ask(client, ["thing-detection", broken, SURE])
    assert response.status_code == 200, response.text
    first, second, third = response.json()["answers"]
    assert len(first["results"]) == len(third["results"]) == 1
    assert "error" not in first
    assert second["results"] == []
    assert second["version"] == version, reason
    assert second["error"]["code"] == code
    assert second["error"]["field"] == field
    assert second["error"]["detail"]
    ManyAnswer.model_validate(response.json())


def test_when_all_fail_the_first_error_is_the_answer(hub: TestHub, client: TestClient) -> None:
    body = problem(ask(client, ["thing-detektion", "clip-only"]), 404, "algorithm-not-found")
    assert body["field"] == "algorithms[0]"
    assert "thing-detection" in body["hint"]
    wrong = {"id": "thing-detection", "params": {"confidence": 7}}
    body = problem(ask(client, [wrong, "clip-only"]), 422, "params")
    assert body["field"] == "algorithms[0].params.confidence"
    hub.predictor.before = failing(QueueFullError("full", retry_after_s=2))
    response = ask(client, ["thing-detection", SURE])
    problem(response, 429, "queue-full")
    assert response.headers["retry-after"] == "2"


def test_what_fails_inside_shows_nothing_of_the_inside(hub: TestHub, client: TestClient) -> None:
    hub.predictor.before = failing(SessionError("secret path /home/x"))
    response = ask(client, ["thing-detection", "clip-only"])
    assert response.status_code == 500
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("body", "status", "field", "reason"),
    [
        ({"images": [PICTURE]}, 400, "algorithms", "none named"),
        ({"images": [PICTURE], "algorithms": []}, 400, "algorithms", "none named"),
        ({"images": [PICTURE], "algorithms": "thing-detection"}, 400, "algorithms", "no list"),
        ({"images": [PICTURE], "algorithms": None}, 400, "algorithms", "null"),
        ({"images": [PICTURE], "algorithms": [7]}, 400, "algorithms[0]", "a number"),
        ({"images": [PICTURE], "algorithms": [""]}, 400, "algorithms[0]", "an empty id"),
        ({"images": [PICTURE], "algorithms": ["x" * 65]}, 400, "algorithms[0]", "too long an id"),
        ({"images": [PICTURE], "algorithms": [{}]}, 400, "algorithms[0].id", "no id"),
        ({"images": [PICTURE], "algorithms": [{"id": "a", "x": 1}]}, 400, "algorithms[0].x", "unknown"),
        (
            {"images": [PICTURE], "algorithms": ["a", {"id": "a", "params": []}]},
            422,
            "algorithms[1].params",
            "params are no object",
        ),
        ({"images": [PICTURE], "algorithms": ["a"] * (MAX_ALGORITHMS + 1)}, 413, "algorithms", "too many"),
        ({"algorithms": ["thing-detection"]}, 400, "images", "no picture"),
        ({"algorithms": ["thing-detection"], "images": []}, 400, "images", "no picture"),
        ({"algorithms": ["thing-detection"], "images": [PICTURE] * 17}, 413, "images", "too many pictures"),
        ({"algorithms": ["thing-detection"], "images": {"0": PICTURE}}, 400, "images", "no list"),
        ({"algorithms": ["thing-detection"], "images": [None]}, 400, "images[0]", "null"),
        ({"algorithms": ["thing-detection"], "images": [{"uri": "x"}]}, 400, "images[0]", "no address"),
        ({"algorithms": ["thing-detection"], "images": [{"url": 7}]}, 400, "images[0].url", "a number"),
        ({"algorithms": ["thing-detection"], "images": ["http://a/b.jpg"]}, 400, "images[0]", "not base64"),
        ({"algorithms": ["thing-detection"], "images": [PICTURE], "params": {}}, 400, "params", "unknown"),
        (
            {"algorithms": ["thing-detection"], "images": [PICTURE], "annotate": 1},
            400,
            "annotate",
            "no boolean",
        ),
        ({"algorithms": ["thing-detection"], "images": [PICTURE], "fields": 1}, 400, "fields", "no list"),
        ({"algorithms": ["thing-detection"], "images": [PICTURE], "fields": [1]}, 400, "fields", "no name"),
        ({"algorithms": ["thing-detection"], "images": [PICTURE], "fields": ["x"]}, 400, "fields", "unknown"),
        ({"algorithms": ["thing-detection"], "images": [PICTURE], "fields": []}, 400, "fields", "none"),
        ([], 400, "body", "no object"),
        (None, 400, "body", "null"),
    ],
)
def test_bad_bodies(client: TestClient, body: Any, status: int, field: str, reason: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = client.post(MANY, content=json.dumps(body), headers=headers)
    assert response.status_code == status, (reason, response.text)
    assert response.json()["field"] == field, reason


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("", "algorithms", "none named"),
        ("algorithms=", "algorithms", "none named"),
        ("algorithms=[", "algorithms", "not JSON"),
        ("algorithms=[7]", "algorithms[0]", "a number"),
        ("algorithms=thing-detection&confidence=0.5", "confidence", "whose parameter?"),
        ("algorithms=thing-detection&annotate=maybe", "annotate", "no truth value"),
        ("algorithms=thing-detection&fields=boxes,nothing", "fields", "unknown column"),
        ("algorithms=thing-detection&fields=", "fields", "none named"),
        ("algorithms=thing-detection&url=http://example.org/a.jpg", "url", "a picture in the body too"),
    ],
)
def test_bad_queries(client: TestClient, query: str, field: str, reason: str) -> None:
    body = problem(client.post(f"{MANY}?{query}", content=encoded(), headers=JPEG), 400, "input")
    assert body["field"] == field, reason


def test_algorithms_in_body_and_query_are_refused(client: TestClient) -> None:
    response = client.post(
        f"{MANY}?algorithms=thing-detection", json={"algorithms": ["a"], "images": [PICTURE]}
    )
    assert problem(response, 400, "input")["field"] == "algorithms"


def test_many_unknown_names_cost_little(client: TestClient) -> None:
    response = ask(client, ["thing-detection", *[f"thing-detection-{index}" for index in range(63)]])
    errors = [one["error"] for one in response.json()["answers"][1:]]
    assert sum("hint" in error for error in errors) == 4


def test_it_needs_the_scope(hub: TestHub, client: TestClient) -> None:
    response = client.post(MANY, json={}, headers=bearer(hub.key("streams")))
    problem(response, 403, "forbidden")


def test_without_a_grant_it_is_as_if_it_did_not_exist(hub: TestHub, client: TestClient) -> None:
    hub.repository.add_tenant(Tenant("small", algorithms=("thing-*",)))
    client.headers.update(bearer(hub.key("infer", tenant="small")))
    response = ask(client, ["thing-detection", "sound-only", "sound-onlx"])
    found, hidden, unknown = response.json()["answers"]
    assert found["results"]
    assert hidden["version"] is None
    assert hidden["error"]["code"] == unknown["error"]["code"] == "algorithm-not-found"
    assert "sound-only" not in json.dumps(unknown)
    assert [row["id"] for row in client.get("/v1/algorithms").json()["items"]] == ["thing-detection"]
    problem(client.get("/v1/algorithms/sound-only"), 404, "algorithm-not-found")
    problem(client.post("/v1/algorithms/sound-only/infer", content=encoded()), 404, "algorithm-not-found")


def test_each_algorithm_is_booked_as_a_call(hub: TestHub, client: TestClient) -> None:
    usage = hub.app.state.parts.admission.usage
    before = usage.calls_today("default")
    ask(client, ["thing-detection", SURE, "clip-only"], [PICTURE] * 2)
    assert usage.calls_today("default") == before + 2
    problem(ask(client, ["clip-only"]), 415, "unsupported-type")
    assert usage.calls_today("default") == before + 2


def test_a_tenants_limits_count_for_every_algorithm(hub: TestHub, client: TestClient) -> None:
    hub.repository.add_tenant(Tenant("small", algorithms=("*",), calls_per_day=3))
    client.headers.update(bearer(hub.key("infer", tenant="small")))
    assert counts(ask(client, ["thing-detection"] * 2)) == [[1], [1]]
    response = ask(client, ["thing-detection"] * 2)
    problem(response, 429, "rate-limit")
    assert int(response.headers["retry-after"]) >= 1
    assert counts(ask(client, ["thing-detection"])) == [[1]]


@pytest.mark.parametrize(
    "send",
    [
        lambda client, bad: client.post(INFER, params=bad, content=encoded(), headers=JPEG),
        lambda client, bad: client.post(
            INFER, params={"params": json.dumps(bad)}, content=encoded(), headers=JPEG
        ),
        lambda client, bad: client.post(INFER, json={"images": [PICTURE], "params": bad}),
        lambda client, bad: client.post(
            INFER, files=[("image", ("a", encoded(), "image/jpeg"))], data={"params": json.dumps(bad)}
        ),
        lambda client, bad: ask(client, [{"id": "thing-detection", "params": bad}]),
    ],
    ids=["query", "query as json", "json", "form", "several"],
)
@pytest.mark.parametrize("bad", [{"confidence": 1.5}, {"count": 0}, {"nothing": 1}])
def test_parameters_are_checked_in_every_form(client: TestClient, send: Any, bad: dict[str, Any]) -> None:
    body = problem(send(client, bad), 422, "params")
    (name,) = bad
    assert body["field"].removeprefix("algorithms[0].params.") == name
    assert body["detail"]
