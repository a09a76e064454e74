"""`/v1/events` and `/v1/sinks`: alarms, what people do with them, and where they go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from aihub.errors import StorageError
from aihub.types import EventState, Frame, Severity
from tests.serve.hub import TestHub, bearer, event, failing, picture
from tests.serve.test_infer import problem

EVENTS = "/v1/events"
SINKS = "/v1/sinks"
HOOK = {
    "kind": "webhook",
    "params": {"url": "https://93.184.215.14/t0ken/hook", "secret": "0123456789abcdef"},
}


@pytest.fixture
def filled(hub: TestHub) -> TestHub:
    """Twelve events of two streams, three algorithms, all severities, two tenants."""
    severities = list(Severity)
    hub.repository.save_transitions(
        [
            event(
                number,
                stream_id="gate" if number % 2 else "yard",
                algorithm=f"a{number % 3}",
                severity=severities[number % 4],
                tenant="other" if number == 12 else "default",
            )
            for number in range(1, 13)
        ]
    )
    return hub


def starts(client: TestClient, query: str = "") -> list[float]:
    return [row["started_at"] - 1000 for row in client.get(f"{EVENTS}?{query}").json()["items"]]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("stream=gate", [11, 9, 7, 5, 3, 1]),
        ("algorithm=a1", [10, 7, 4, 1]),
        ("severity=critical", [11, 7, 3]),
        ("state=opened&limit=2", [11, 10]),
        ("state=closed", []),
        ("since=1004&until=1007", [6, 5, 4]),
        ("stream=yard&algorithm=a0", [6]),
        ("stream=unknown", []),
    ],
)
def test_events_are_listed_newest_first_and_filtered(
    filled: TestHub, client: TestClient, query: str, numbers: list[int]
) -> None:
    assert starts(client, query) == numbers


def test_pages_hold_every_event_once(filled: TestHub, client: TestClient) -> None:
    found: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"{EVENTS}?limit=4{cursor}").json()
        found += [row["id"] for row in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(found) == len(set(found)) == 11


@pytest.mark.parametrize("query", ["state=odd", "severity=x", "since=yesterday", "limit=0", "cursor=x"])
def test_bad_queries_are_named(client: TestClient, query: str) -> None:
    assert problem(client.get(f"{EVENTS}?{query}"), 422, "params")["field"] == query.partition("=")[0]


def test_what_people_do_with_an_event(hub: TestHub, client: TestClient) -> None:
    hub.repository.save_transitions([event(1)])
    path = f"{EVENTS}/{event(1).id}"
    assert client.get(path).json()["state"] == "opened"
    for state in ("acknowledged", "dispatched", "resolved"):
        response = client.post(f"{path}/state", json={"state": state})
        assert response.json()["state"] == state
        assert client.get(path).json()["state"] == state
    problem(client.post(f"{path}/state", json={"state": "acknowledged"}), 409, "conflict")
    assert problem(client.post(f"{path}/state", json={"state": "opened"}), 422, "params")["field"] == "state"
    problem(client.post(f"{EVENTS}/none/state", json={"state": "resolved"}), 404, "event-not-found")
    assert hub.repository.list_audit().items[0].actor == "test"


def test_evidence_is_shown_and_every_look_is_noted(hub: TestHub, client: TestClient) -> None:
    seen = event(1)
    name = hub.artifacts.save_snapshot(seen, Frame(picture()))
    hub.repository.save_transitions([seen.model_copy(update={"snapshot": name}), event(2)])
    response = client.get(f"{EVENTS}/{seen.id}/snapshot")
    assert response.headers["content-type"] == "image/jpeg"
    assert response.content[:2] == b"\xff\xd8"
    (entry,) = hub.repository.list_audit(action="event.").items
    assert (entry.action, entry.subject, entry.outcome) == ("event.snapshot", seen.id, "ok")
    assert (entry.actor, entry.tenant, entry.address) == ("test", "default", "testclient")
    assert entry.key_id == hub.repository.list_keys()[0].id
    problem(client.get(f"{EVENTS}/{event(2).id}/snapshot"), 404, "snapshot-not-found")
    hub.artifacts.path(name).unlink()
    problem(client.get(f"{EVENTS}/{seen.id}/snapshot"), 404, "snapshot-not-found")
    problem(client.get(f"{EVENTS}/nobody/snapshot"), 404, "event-not-found")
    failed = [entry.outcome for entry in hub.repository.list_audit(3, action="event.snapshot").items]
    assert failed == ["event-not-found", "snapshot-not-found", "snapshot-not-found"]


def test_evidence_that_cannot_be_noted_is_not_shown(
    hub: TestHub, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = event(1)
    name = hub.artifacts.save_snapshot(seen, Frame(picture()))
    hub.repository.save_transitions([seen.model_copy(update={"snapshot": name})])
    monkeypatch.setattr(hub.repository, "add_audit", failing(StorageError("locked")))
    problem(client.get(f"{EVENTS}/{seen.id}/snapshot"), 503, "storage")


def test_tenants_do_not_see_each_other(filled: TestHub, client: TestClient) -> None:
    theirs = event(12).id
    for method, path in (("GET", theirs), ("GET", f"{theirs}/snapshot"), ("POST", f"{theirs}/state")):
        response = client.request(
            method, f"{EVENTS}/{path}", json={"state": "resolved"} if method == "POST" else None
        )
        assert response.status_code == 404
    assert filled.repository.get_event(theirs).state == EventState.OPENED
    other = bearer(filled.key("events", tenant="other"))
    assert [row["id"] for row in client.get(EVENTS, headers=other).json()["items"]] == [theirs]
    assert len(client.get(EVENTS, headers=bearer(filled.key("admin"))).json()["items"]) == 12


def test_the_life_of_a_sink(hub: TestHub, client: TestClient) -> None:
    made = client.post(SINKS, json={**HOOK, "id": "desk", "severities": ["alert"], "streams": ["gate"]})
    assert made.status_code == 201, made.text
    assert made.json()["target"] == "https://93.184.215.14"
    for text in (made.text, client.get(SINKS).text, client.get(f"{SINKS}/desk").text):
        assert "0123456789abcdef" not in text
        assert "t0ken" not in text
    hub.repository.save_transitions([event(1), event(2, severity=Severity.INFO)])
    (waiting,) = hub.repository.claim_deliveries("w", limit=10, lease_s=10)
    hub.repository.bury(waiting.id, "gone")
    assert client.post(f"{SINKS}/desk/replay").json() == {"replayed": 1}
    assert client.post(f"{SINKS}/desk/replay").json() == {"replayed": 0}
    problem(client.post(SINKS, json={**HOOK, "id": "desk"}), 409, "conflict")
    assert client.delete(f"{SINKS}/desk").status_code == 204
    problem(client.get(f"{SINKS}/desk"), 404, "sink-not-found")
    problem(client.delete(f"{SINKS}/desk"), 404, "sink-not-found")
    problem(client.post(f"{SINKS}/desk/replay"), 404, "sink-not-found")


def test_a_file_of_json_lines_is_a_sink_that_only_an_administrator_adds(
    hub: TestHub, client: TestClient
) -> None:
    body = {"kind": "jsonl", "params": {"file": "alarms.jsonl"}}
    problem(client.post(SINKS, json=body), 403, "forbidden")  # all tenants share the folder
    assert client.post(SINKS, json=body, headers=bearer(hub.key("admin"))).status_code == 201


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"kind": "webhok"}, 404, "sink-kind-not-found", "kind"),
        ({"params": {"url": "https://93.184.215.14/"}}, 422, "params", "params.secret"),
        ({"params": {"url": "ftp://x/", "secret": "0123456789abcdef"}}, 422, "params", "params.url"),
        (
            {"params": {"url": "http://127.0.0.1/", "secret": "0123456789abcdef"}},
            400,
            "address",
            "params.url",
        ),
        (
            {"params": {"url": "http://169.254.169.254/", "secret": "0123456789abcdef"}},
            400,
            "address",
            "params.url",
        ),
        ({"kind": "jsonl", "params": {"file": "../x.jsonl"}}, 422, "params", "params.file"),
        ({"kind": "jsonl", "params": {"path": "x"}}, 422, "params", "params.path"),
        ({"severities": ["loud"]}, 422, "params", "severities[0]"),
        ({"tenant": "*"}, 403, "forbidden", "tenant"),
        ({"tenant": "other"}, 403, "forbidden", "tenant"),
    ],
)
def test_what_is_wrong_with_a_sink_is_named(
    client: TestClient, changes: dict[str, Any], status: int, code: str, field: str
) -> None:
    response = client.post(SINKS, json=HOOK | changes)
    assert problem(response, status, code)["field"] == field
    assert "0123456789abcdef" not in response.text
    assert client.get(SINKS).json()["items"] == []


def test_sinks_belong_to_tenants(hub: TestHub, client: TestClient) -> None:
    client.post(SINKS, json={**HOOK, "id": "a"}, headers=bearer(hub.key("events", tenant="other")))
    admin = bearer(hub.key("admin"))
    client.post(SINKS, json={**HOOK, "id": "b", "tenant": "*"}, headers=admin)
    assert client.get(SINKS).json()["items"] == []
    for method, path in (("GET", "/a"), ("DELETE", "/a"), ("POST", "/a/replay"), ("DELETE", "/b")):
        assert client.request(method, f"{SINKS}{path}").status_code == 404
    assert {row["id"] for row in client.get(SINKS, headers=admin).json()["items"]} == {"a", "b"}


def test_frames_are_not_written_to_by_evidence(hub: TestHub) -> None:
    frame = Frame(picture())
    before = frame.image.copy()
    hub.artifacts.save_snapshot(event(1), frame)
    assert np.array_equal(frame.image, before)
