"""Algorithms that users give to a running hub: used at once, refused with line and reason, known to every process."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from aihub.algorithms.registry import Registry
from aihub.serve.app import create_app
from aihub.serve.own_cards import OwnCards
from aihub.storage.repository import Repository
from tests.serve.hub import TestHub, bearer, encoded
from tests.serve.test_infer import problem

CARD = """\
id: mine
version: {version}
title: {{en: Mine, zh: 我的}}
summary: A thing of mine is seen on the picture.
domain: own
input: [image, video]
params:
  confidence: {{type: number, default: 0.1, minimum: 0, maximum: 1, description: "Least confidence."}}
stages:
  - detect: {{model: things}}
  - filter: {{confidence: $confidence}}
  - zone-presence: {{}}
event: {{type: mine, severity: info}}
examples:
  - {{media: "drawn:blank", expect: {{none: true}}, evidence: synthetic}}
intended_use: Tests.
limits: Tests.
"""
YAML = {"Content-Type": "application/yaml"}


@pytest.fixture
def admin(hub: TestHub) -> TestClient:
    return TestClient(create_app(hub.services), headers=bearer(hub.key("admin")))


def put(client: TestClient, text: str, name: str = "mine"):  # type: ignore[no-untyped-def]
    return client.put(f"/v1/algorithms/{name}", content=text.encode(), headers=YAML)


def test_a_card_is_used_at_once_and_replaced_without_a_restart(admin: TestClient) -> None:
    first = put(admin, CARD.format(version=1))
    assert first.status_code == 201, first.text
    assert first.json()["readiness"] == "ready"
    answer = admin.post(
        "/v1/algorithms/mine/infer", content=encoded(), headers={"Content-Type": "image/jpeg"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == 1
    second = put(admin, CARD.format(version=2))
    assert (second.status_code, second.json()["version"]) == (200, 2)
    assert "mine" in [row["id"] for row in admin.get("/v1/algorithms").json()["items"]]


def test_a_card_that_goes_is_gone(admin: TestClient) -> None:
    put(admin, CARD.format(version=1))
    assert admin.delete("/v1/algorithms/mine").status_code == 204
    problem(admin.get("/v1/algorithms/mine"), 404, "algorithm-not-found")
    problem(admin.delete("/v1/algorithms/mine"), 404, "algorithm-not-found")


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        (CARD.format(version=1).replace("detect:", "detekt:"), "stages.0.detekt", "detect"),  # no such stage
        (CARD.format(version=1) + "colour: red\n", "colour", "colour"),  # a field that cards do not have
        (CARD.format(version=1).replace("default: 0.1", "default: 7"), "params.confidence.default", "from 0 to 1"),
        (CARD.format(version=1) + "  bad: [\n", "body", "mine.yaml:1"),  # not YAML: the line is told
        (CARD.format(version=1).replace("id: mine", "id: other"), "id", "other"),  # not the id of the path
        (CARD.format(version=1).replace("none: true", "nothing: 1"), "expect.nothing", "nothing"),
        ("[]", "body", "mapping"),
        ("", "body", "mapping"),
    ],
)  # fmt: skip
def test_a_bad_card_is_refused_with_its_place_and_changes_nothing(
    admin: TestClient, text: str, field: str, said: str
) -> None:
    put(admin, CARD.format(version=1))
    body = problem(put(admin, text), 400, "input")
    assert body["field"] == field
    assert said in f"{body['detail']} {body.get('hint')}"
    assert admin.get("/v1/algorithms/mine").json()["version"] == 1


def test_what_comes_with_the_hub_stays(admin: TestClient) -> None:
    text = CARD.format(version=9).replace("id: mine", "id: thing-detection")
    problem(put(admin, text, "thing-detection"), 409, "conflict")
    problem(admin.delete("/v1/algorithms/thing-detection"), 409, "conflict")


def test_only_administrators_give_cards(hub: TestHub) -> None:
    client = TestClient(create_app(hub.services), headers=bearer(hub.key("infer", "streams", "events")))
    problem(put(client, CARD.format(version=1)), 403, "forbidden")
    problem(client.delete("/v1/algorithms/mine"), 403, "forbidden")


def test_too_large_and_of_another_type(admin: TestClient) -> None:
    problem(put(admin, "#" * 70_000), 413, "too-large")
    answer = admin.put("/v1/algorithms/mine", content=b"x", headers={"Content-Type": "image/jpeg"})
    problem(answer, 415, "unsupported-type")
    problem(admin.put("/v1/algorithms/mine", content=b"\xff\xfe", headers=YAML), 400, "input")


def test_other_processes_learn_of_it(hub: TestHub, admin: TestClient, tmp_path: Path) -> None:
    registry = Registry(hub.predictor, [tmp_path / "elsewhere"])
    other = OwnCards(hub.repository, registry, hub.predictor, tmp_path / "elsewhere")
    put(admin, CARD.format(version=1))
    other.sync()
    assert registry.get("mine").card.version == 1
    put(admin, CARD.format(version=2))
    other.sync()
    assert registry.get("mine").card.version == 2
    admin.delete("/v1/algorithms/mine")
    other.sync()
    assert registry.list() == []


def test_the_streams_that_it_watches_are_bound_anew(
    repository: Repository, hub: TestHub, admin: TestClient
) -> None:
    put(admin, CARD.format(version=1))
    for name, algorithm in (("gate", "mine"), ("yard", "thing-detection")):
        body = {"id": name, "url": "rtsp://10.0.0.1/1", "tasks": [{"algorithm": algorithm}]}
        assert admin.post("/v1/streams", json=body).status_code == 201
    put(admin, CARD.format(version=2))
    assert hub.repository.get_stream("gate").revision == 2
    assert hub.repository.get_stream("yard").revision == 1


def test_the_audit_knows_who_gave_it(hub: TestHub, admin: TestClient) -> None:
    put(admin, CARD.format(version=1))
    put(admin, "[]")
    admin.delete("/v1/algorithms/mine")
    noted = [
        (entry.action, entry.outcome)
        for entry in hub.repository.list_audit().items
        if entry.subject == "mine"
    ]
    assert noted == [("card.delete", "ok"), ("card.put", "input"), ("card.put", "ok")]
