"""Tenants over HTTP: what was not granted cannot be called or seen, by any route; limits, keys, usage, audit."""

from __future__ import annotations

import base64
import io
import json
import re
import wave
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.serve.account_schemas import KeyIn
from aihub.serve.security import SCOPES
from aihub.storage.records import Tenant
from aihub.telemetry import REGISTRY
from aihub.types import Frame
from tests.serve.hub import TestHub, bearer, encoded, event, picture
from tests.serve.test_infer import problem

THING = "thing-detection"
UNKNOWN = "thing-detectiom"
"""An id that nobody has, as near to the real one as one may get."""
TENANTS, KEYS, USAGE, AUDIT, STREAMS = "/v1/tenants", "/v1/keys", "/v1/usage", "/v1/audit", "/v1/streams"


@pytest.fixture
def admin(hub: TestHub, anonymous: TestClient) -> TestClient:
    anonymous.headers.update(bearer(hub.key("admin")))
    return anonymous


def tenant(hub: TestHub, **given: Any) -> dict[str, str]:
    """A tenant `fire` with these grants and limits, and headers with a key of it."""
    hub.repository.add_tenant(Tenant("fire", **given))
    return bearer(hub.key("infer", "streams", "events", "faces", tenant="fire"))


def infer(client: TestClient, headers: dict[str, str], name: str = THING) -> Any:
    return client.post(
        f"/v1/algorithms/{name}/infer",
        content=encoded(),
        headers=headers | {"Content-Type": "image/jpeg"},
    )


# The law of grants


def _archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("one.jpg", encoded())
    return file.getvalue()


def _sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(bytes(32000))
    return file.getvalue()


ARCHIVE, SOUND = _archive(), _sound()


def requests_about(hub: TestHub, name: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Every route, called so that it is about the algorithm of that name wherever it can be: in path, query and body."""
    picture_text = "data:image/jpeg;base64," + base64.b64encode(encoded()).decode()
    bodies: list[dict[str, Any]] = [
        {},
        {"images": [picture_text], "algorithms": [name]},
        {"images": [picture_text]},
        {"id": "x1", "url": "rtsp://10.0.0.1/1", "tasks": [{"algorithm": name}]},
        {"streams": [{"url": "rtsp://10.0.0.1/1", "tasks": [{"algorithm": name}]}]},
        {"tasks": [{"algorithm": name}]},
        {"algorithms": [name]},
        {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["x"]}]},
        {"model": name},
    ]
    for path, operations in hub.app.openapi()["paths"].items():
        for method, operation in operations.items():
            filled = re.sub(r"\{[^}]*\}", name, path.replace("{version}", "1"))
            names = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
            query = {one: name for one in ("algorithm", "algorithms", "model", "model_name") if one in names}
            for body in bodies if "requestBody" in operation else [None]:
                yield method.upper(), path, filled, {"params": query, "json": body}
            if "multipart/form-data" in operation.get("requestBody", {}).get("content", {}):
                for part, file, field in (
                    ("image", encoded(), "algorithms"),
                    ("file", ARCHIVE, "algorithms"),
                    ("file", SOUND, "model"),
                ):
                    form = {"files": {part: (f"{part}.zip", file)}, "data": {field: name}}
                    yield method.upper(), path, filled, form


SKIP = {"/v1/events/live"}
"""It does not end, and is about the tenant's own events."""


@pytest.mark.parametrize(("name", "unknown"), [(THING, UNKNOWN), ("sound-only", "sounb-only")])
def test_a_tenant_without_a_grant_can_neither_call_nor_see(
    hub: TestHub, anonymous: TestClient, name: str, unknown: str
) -> None:
    headers = tenant(hub, algorithms=("clip-only",), stream_groups=("*",))
    asked = zip(requests_about(hub, name), requests_about(hub, unknown), strict=True)
    count = 0
    for (method, path, there, request), (_, _, nowhere, same) in asked:
        if path in SKIP:
            continue
        real = anonymous.request(method, there, headers=headers, **request)
        unreal = anonymous.request(method, nowhere, headers=headers, **same)
        assert real.status_code == unreal.status_code, (method, there, request)
        assert _plain(real.text, name) == _plain(unreal.text, unknown), (method, there, request)
        assert name not in unreal.text.replace(unknown, ""), (method, there, "it is suggested")
        count += 1
    assert count > 60
    assert hub.predictor.sources == [], "nothing was computed"
    assert hub.repository.list_usage().items == []


def _plain(text: str, name: str) -> str:
    """An answer without what differs from call to call."""
    text = text.replace(name, "NAME")
    text = re.sub(r'"(request_id|took_ms|uptime_s|id|created_at|updated_at)":\s*("[^"]*"|[\d.]+)', "", text)
    return re.sub(r"[\d.]+ ?m?s\b", "", text)


def test_the_law_has_teeth(hub: TestHub, anonymous: TestClient) -> None:
    """The same walk with a grant computes and differs, so it does reach what it should."""
    headers = tenant(hub, algorithms=("*",), stream_groups=("*",))
    differing = set()
    for (method, path, there, request), (_, _, nowhere, same) in zip(
        requests_about(hub, THING), requests_about(hub, UNKNOWN), strict=True
    ):
        if path not in SKIP:
            real = anonymous.request(method, there, headers=headers, **request)
            unreal = anonymous.request(method, nowhere, headers=headers, **same)
            if real.status_code != unreal.status_code:
                differing.add((method, path))
    assert {
        ("GET", "/v1/algorithms/{algorithm_id}"),
        ("POST", "/v1/algorithms/{algorithm_id}/infer"),
        ("POST", "/v1/infer"),
        ("POST", "/v1/streams"),
        ("POST", "/v1/jobs"),
        ("GET", "/v2/models/{model}"),
        ("GET", "/v2/models/{model}/versions/{version}/config"),
        ("GET", "/v2/models/{model}/stats"),
        ("POST", "/v2/models/{model}/infer"),
        ("POST", "/v2/models/{model}/versions/{version}/infer"),
    } <= differing
    assert hub.predictor.sources


def test_lists_show_what_was_granted(hub: TestHub, anonymous: TestClient) -> None:
    headers = tenant(hub, algorithms=("thing-*", "clip-?nly"))
    listed = anonymous.get("/v1/algorithms", headers=headers).json()["items"]
    assert sorted(row["id"] for row in listed) == ["clip-only", THING]
    assert infer(anonymous, headers).status_code == 200


def test_a_tenant_that_was_given_nothing_has_nothing(hub: TestHub, anonymous: TestClient) -> None:
    headers = tenant(hub)
    assert anonymous.get("/v1/algorithms", headers=headers).json()["items"] == []
    problem(infer(anonymous, headers), 404, "algorithm-not-found")
    refused = anonymous.post(STREAMS, headers=headers, json={"url": "rtsp://10.0.0.1/1"})
    assert problem(refused, 403, "forbidden")["field"] == "group"


def test_a_key_whose_tenant_is_gone_has_nothing(hub: TestHub, anonymous: TestClient) -> None:
    headers = tenant(hub, algorithms=("*",))
    with hub.repository._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM tenants WHERE id = 'fire'")
    assert anonymous.get("/v1/algorithms", headers=headers).json()["items"] == []


def test_events_of_a_tenant_stay_its_own_when_a_grant_is_taken_away(
    hub: TestHub, anonymous: TestClient
) -> None:
    headers = tenant(hub)
    hub.repository.save_transitions([event(1, tenant="fire", algorithm=THING)])
    (row,) = anonymous.get("/v1/events", headers=headers).json()["items"]
    assert row["algorithm"] == THING


def test_an_administrator_is_told_what_a_tenant_may_not_do(hub: TestHub, admin: TestClient) -> None:
    tenant(hub, algorithms=("clip-only",))
    body = {"id": "a", "url": "rtsp://10.0.0.1/1", "tenant": "fire"}
    tasks = [{"algorithm": "clip-only"}, {"algorithm": THING}]
    refused = admin.post(STREAMS, json=body | {"tasks": tasks})
    assert problem(refused, 403, "forbidden")["field"] == "tasks[1].algorithm"
    bulk = admin.post(
        STREAMS, json={"streams": [body | {"tasks": tasks}, body | {"tasks": tasks[:1]}]}
    ).json()
    assert [row["status"] for row in bulk["results"]] == [403, 201]
    problem(admin.patch(f"{STREAMS}/a", json={"tasks": tasks}), 403, "forbidden")


# Groups of streams


def test_groups_limit_which_streams_are_added_and_seen(hub: TestHub, anonymous: TestClient) -> None:
    headers = tenant(hub, algorithms=("*",), stream_groups=("yard-*",))
    mine = bearer(hub.key("admin"))
    for name, group in (("a", "yard-1"), ("b", "gate"), ("c", "yard-2")):
        body = {"id": name, "url": "rtsp://10.0.0.1/1", "group": group, "tenant": "fire"}
        assert anonymous.post(STREAMS, headers=mine, json=body).status_code == 201
    page = anonymous.get(STREAMS, headers=headers, params={"limit": 1}).json()
    more = anonymous.get(STREAMS, headers=headers, params={"cursor": page["next_cursor"]}).json()
    assert [row["id"] for row in page["items"] + more["items"]] == ["a", "c"]
    assert page["items"][0]["group"] == "yard-1"
    for method, path in (
        ("GET", "/b"), ("PATCH", "/b"), ("DELETE", "/b"), ("GET", "/b/snapshot"),
    ):  # fmt: skip
        hidden = anonymous.request(method, STREAMS + path, headers=headers, json={"name": "x"})
        absent = anonymous.request(method, f"{STREAMS}/z{path[2:]}", headers=headers, json={"name": "x"})
        assert problem(hidden, 404, "stream-not-found")["detail"] == "no stream named 'b'"
        assert absent.json()["detail"] == "no stream named 'z'"
    moved = anonymous.patch(f"{STREAMS}/a", headers=headers, json={"group": "gate"})
    assert problem(moved, 403, "forbidden")["field"] == "group"
    assert (
        anonymous.patch(f"{STREAMS}/a", headers=headers, json={"group": "yard-9"}).json()["group"] == "yard-9"
    )
    many = {"streams": [{"url": "rtsp://10.0.0.1/1", "group": group} for group in ("yard-1", "default")]}
    bulk = anonymous.post(STREAMS, headers=headers, json=many).json()
    assert [row["status"] for row in bulk["results"]] == [201, 403]
    assert len(anonymous.get(STREAMS, headers=mine).json()["items"]) == 4, "administrators see all"


# Limits


@pytest.mark.parametrize(
    ("limits", "calls", "longest"),
    [
        ({"calls_per_second": 0.01, "burst": 2}, 2, 100),
        ({"calls_per_day": 3}, 3, 86_400),
    ],
)
def test_what_is_over_the_limit_is_refused_with_the_time_to_come_back(
    hub: TestHub, anonymous: TestClient, limits: dict[str, Any], calls: int, longest: int
) -> None:
    headers = tenant(hub, algorithms=("*",), **limits)
    for _ in range(calls):
        assert infer(anonymous, headers).status_code == 200
    refused = infer(anonymous, headers)
    problem(refused, 429, "rate-limit")
    assert 1 <= int(refused.headers["Retry-After"]) <= longest
    assert infer(anonymous, bearer(hub.key("infer"))).status_code == 200, "other tenants are not touched"
    assert anonymous.get("/v1/algorithms", headers=headers).status_code == 200, "looking is free"


# Usage


def test_usage_rows_add_up_to_the_counters(hub: TestHub, anonymous: TestClient) -> None:
    names = {"calls": "calls_total", "errors": "errors_total", "frames": "frames_total",
             "compute_s": "compute_seconds_total"}  # fmt: skip

    def counted() -> dict[str, float]:
        families = {metric.name: metric for metric in REGISTRY.collect()}
        return {
            name: sum(
                sample.value
                for sample in families[f"aihub_usage_{total.removesuffix('_total')}"].samples
                if sample.name == f"aihub_usage_{total}"
            )
            for name, total in names.items()
        }

    before = counted()
    headers, other = tenant(hub, algorithms=("*",)), bearer(hub.key("infer"))
    for _ in range(3):
        assert infer(anonymous, headers).status_code == 200
    assert infer(anonymous, other).status_code == 200
    broken = anonymous.post(
        f"/v1/algorithms/{THING}/infer",
        content=b"\xff\xd8no",
        headers=headers | {"Content-Type": "image/jpeg"},
    )
    assert broken.status_code == 400
    hub.app.state.parts.admission.usage.flush()
    risen = {name: value - before[name] for name, value in counted().items()}
    answer = anonymous.get(USAGE, headers=bearer(hub.key("admin"))).json()
    for name in names:
        assert answer["total"][name] == pytest.approx(risen[name])
        assert sum(row[name] for row in answer["items"]) == pytest.approx(risen[name])
    assert risen["calls"] >= 4
    mine = anonymous.get(USAGE, headers=headers).json()
    assert {row["tenant"] for row in mine["items"]} == {"fire"}
    assert mine["total"]["frames"] == 3
    problem(anonymous.get(USAGE, headers=headers, params={"tenant": "default"}), 403, "forbidden")


def test_usage_is_asked_for_by_day(hub: TestHub, admin: TestClient) -> None:
    from aihub.storage.records import Usage

    hub.repository.add_usage([Usage(f"2020-01-0{day}", "fire", THING, day) for day in (1, 2, 3)])
    assert admin.get(USAGE).json()["items"] == [], "the last thirty days"
    some = admin.get(USAGE, params={"since": "2020-01-02", "until": "2020-01-03", "limit": 1}).json()
    assert (some["items"][0]["day"], some["total"]["calls"]) == ("2020-01-03", 5)
    rest = admin.get(
        USAGE, params={"since": "2020-01-02", "until": "2020-01-03", "cursor": some["next_cursor"]}
    )
    assert [row["calls"] for row in rest.json()["items"]] == [2]
    problem(admin.get(USAGE, params={"since": "yesterday"}), 422, "params")
    problem(admin.get(USAGE, params={"cursor": "x"}), 422, "params")


# Tenants and keys


def test_the_life_of_a_tenant(hub: TestHub, admin: TestClient) -> None:
    made = admin.post(TENANTS, json={"id": "fire", "algorithms": ["fire-*"], "calls_per_second": 2})
    assert made.status_code == 201
    assert made.json() == admin.get(f"{TENANTS}/fire").json()
    assert made.json()["stream_groups"] == [], "nothing that was not given"
    problem(admin.post(TENANTS, json={"id": "fire"}), 409, "conflict")
    changed = admin.patch(f"{TENANTS}/fire", json={"calls_per_second": None, "algorithms": None, "burst": 7})
    assert (changed.json()["calls_per_second"], changed.json()["burst"]) == (None, 7)
    assert changed.json()["algorithms"] == ["fire-*"], "null takes limits away, not grants"
    assert [row["id"] for row in admin.get(TENANTS).json()["items"]] == ["default", "fire"]
    assert admin.delete(f"{TENANTS}/fire").status_code == 204
    for request in (admin.get, admin.delete):
        problem(request(f"{TENANTS}/fire"), 404, "tenant-not-found")
    problem(admin.patch(f"{TENANTS}/fire", json={}), 404, "tenant-not-found")
    problem(admin.delete(f"{TENANTS}/default"), 409, "conflict")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"algorithms": ["a b"]}, "algorithms[0]"),
        (
            {"algorithms": ["[a-z]"]},
            "algorithms[0]",
        ),  # not a shell's sets, so that none is granted by mistake
        ({"algorithms": "*"}, "algorithms"),
        ({"calls_per_second": 0}, "calls_per_second"),  # to stop a tenant, take its grants away
        ({"calls_per_second": -1}, "calls_per_second"),
        ({"concurrency": 0}, "concurrency"),
        ({"calls_per_day": 1e30}, "calls_per_day"),
        ({"title": "a\0b"}, "title"),
        ({"id": "water"}, "id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_grants_and_limits_are_named(
    hub: TestHub, admin: TestClient, change: dict[str, Any], field: str
) -> None:
    assert problem(admin.patch(f"{TENANTS}/default", json=change), 422, "params")["field"] == field


def test_the_life_of_a_key(hub: TestHub, admin: TestClient) -> None:
    made = admin.post(KEYS, json={"name": "desk", "scopes": ["infer", "infer"]})
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    old = made.json()
    assert old["scopes"] == ["infer"]
    assert infer(admin, bearer(old["key"])).status_code == 200
    new = admin.post(f"{KEYS}/{old['id']}/rotate", json={"grace_s": 0}).json()
    assert (new["name"], new["tenant"], new["scopes"]) == ("desk", "default", ["infer"])
    assert infer(admin, bearer(new["key"])).status_code == 200
    problem(infer(admin, bearer(old["key"])), 401, "unauthorized")
    problem(admin.post(f"{KEYS}/{old['id']}/rotate"), 409, "conflict")
    problem(admin.post(f"{KEYS}/nobody/rotate"), 404, "key-not-found")
    assert admin.delete(f"{KEYS}/{new['id']}").json()["revoked_at"]
    problem(admin.delete(f"{KEYS}/nobody"), 404, "key-not-found")
    listed = {row["id"]: row for row in admin.get(KEYS).json()["items"]}
    assert listed[old["id"]]["replaced_by"] == new["id"]
    assert old["key"] not in admin.get(KEYS).text + json.dumps(admin.get(AUDIT).json())


def test_a_grace_time_lets_both_keys_work(hub: TestHub, admin: TestClient) -> None:
    old = admin.post(KEYS, json={"name": "desk", "scopes": ["infer"]}).json()
    new = admin.post(f"{KEYS}/{old['id']}/rotate").json()
    for key in (old["key"], new["key"]):
        assert infer(admin, bearer(key)).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"scopes": ["fly"]}, 422, "scopes[0]"),
        ({"scopes": []}, 422, "scopes"),
        ({"tenant": "water"}, 404, "tenant"),
        ({"expires_at": 1.0}, 422, "expires_at"),
        ({"expires_at": 1e300}, 422, "expires_at"),
        ({"name": ""}, 422, "name"),
    ],
)
def test_wrong_keys_are_not_made(
    hub: TestHub, admin: TestClient, change: dict[str, Any], status: int, field: str
) -> None:
    refused = admin.post(KEYS, json={"name": "desk", "scopes": ["infer"]} | change)
    assert (refused.status_code, refused.json()["field"]) == (status, field)
    assert len(admin.get(KEYS).json()["items"]) == 1


def test_the_api_knows_every_scope() -> None:
    assert set(KeyIn.model_json_schema()["properties"]["scopes"]["items"]["enum"]) == set(SCOPES)


@pytest.mark.parametrize("scopes", [("infer",), ("streams", "events", "faces", "metrics")])
def test_only_administrators_manage(hub: TestHub, anonymous: TestClient, scopes: tuple[str, ...]) -> None:
    headers = bearer(hub.key(*scopes))
    for method, path in (
        ("GET", TENANTS), ("POST", TENANTS), ("GET", f"{TENANTS}/default"), ("PATCH", f"{TENANTS}/default"),
        ("DELETE", f"{TENANTS}/default"), ("GET", KEYS), ("POST", KEYS), ("DELETE", f"{KEYS}/x"),
        ("POST", f"{KEYS}/x/rotate"), ("GET", AUDIT),
    ):  # fmt: skip
        problem(anonymous.request(method, path, headers=headers, json={}), 403, "forbidden")


# Audit


def test_the_audit_shows_every_key_change_and_every_look_at_evidence(hub: TestHub, admin: TestClient) -> None:
    name = hub.artifacts.save_snapshot(event(1), Frame(picture()))
    hub.repository.save_transitions([event(1).model_copy(update={"snapshot": name})])
    key = admin.post(KEYS, json={"name": "desk", "scopes": ["events"]}).json()
    new = admin.post(f"{KEYS}/{key['id']}/rotate").json()
    admin.get(
        f"/v1/events/{event(1).id}/snapshot", headers=bearer(new["key"]) | {"X-Forwarded-For": "6.6.6.6"}
    )
    admin.get("/v1/events/nobody/snapshot", headers=bearer(new["key"]))
    admin.post(STREAMS, json={"id": "cam", "url": "rtsp://10.0.0.1/1", "enabled": False})
    assert admin.get(f"{STREAMS}/cam/snapshot").status_code == 503
    admin.post(TENANTS, json={"id": "fire"})
    admin.patch(f"{TENANTS}/fire", json={"burst": 3})
    admin.delete(f"{KEYS}/{new['id']}")
    admin.delete(f"{TENANTS}/fire")
    items = admin.get(AUDIT).json()["items"]
    assert [(row["action"], row["subject"], row["outcome"]) for row in items[:9]] == [
        ("tenant.delete", "fire", "ok"),
        ("key.revoke", new["id"], "ok"),
        ("tenant.update", "fire", "ok"),
        ("tenant.create", "fire", "ok"),
        ("stream.snapshot", "cam", "no-picture"),
        ("event.snapshot", "nobody", "event-not-found"),
        ("event.snapshot", event(1).id, "ok"),
        ("key.rotate", key["id"], "ok"),
        ("key.create", key["id"], "ok"),
    ]
    assert {row["address"] for row in items[:9]} == {"testclient"}, (
        "what a client claims of itself is not believed"
    )
    assert (items[6]["actor"], items[6]["key_id"], items[6]["tenant"]) == ("desk", new["id"], "default")
    assert abs(items[0]["at"] - items[8]["at"]) < 60
    looks = admin.get(AUDIT, params={"action": "event.", "actor": "desk", "limit": 1}).json()
    assert looks["items"] == [items[5]]
    after = admin.get(
        AUDIT, params={"action": "event.", "actor": "desk", "cursor": looks["next_cursor"]}
    ).json()
    assert after["items"] == [items[6]]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert admin.request(method, AUDIT, json={}).status_code == 405


def test_changes_that_fail_are_in_the_audit_too(hub: TestHub, admin: TestClient) -> None:
    tries = [
        (
            "POST",
            KEYS,
            {"name": "desk", "tenant": "water", "scopes": ["infer"]},
            "key.create",
            "desk",
            "tenant-not-found",
        ),
        ("POST", f"{KEYS}/nobody/rotate", {}, "key.rotate", "nobody", "key-not-found"),
        ("DELETE", f"{KEYS}/nobody", {}, "key.revoke", "nobody", "key-not-found"),
        ("POST", TENANTS, {"id": "default"}, "tenant.create", "default", "conflict"),
        ("PATCH", f"{TENANTS}/water", {"burst": 1}, "tenant.update", "water", "tenant-not-found"),
        ("DELETE", f"{TENANTS}/default", {}, "tenant.delete", "default", "conflict"),
    ]
    for method, path, body, *expected in tries:
        assert admin.request(method, path, json=body).status_code >= 400
        newest = admin.get(AUDIT, params={"limit": 1}).json()["items"][0]
        assert [newest["action"], newest["subject"], newest["outcome"]] == expected
