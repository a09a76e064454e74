"""The law of the door: nothing but health answers without a key, and nothing answers a key without its scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.serve.oip.faults import speaks_oip
from aihub.serve.security import Brake, new_key
from tests.serve.hub import TestHub, bearer

OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/v2/health/live"), ("GET", "/v2/health/ready")}
ANY_KEY = {("GET", "/openapi.json"), ("GET", "/docs/errors"), ("GET", "/v2")}
"""Routes that every valid key may call."""


def routes(hub: TestHub) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path with its parameters filled, and description of every route there is."""
    for path, operations in hub.app.openapi()["paths"].items():
        for method, operation in operations.items():
            filled = path
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    filled = filled.replace("{" + parameter["name"] + "}", "x")
            assert "{" not in filled
            yield method.upper(), filled, operation


def test_the_description_knows_every_route(hub: TestHub) -> None:
    # Routes left out of the description would slip past the tests below.
    hidden = [route for route in _flat(hub.app.routes) if not getattr(route, "include_in_schema", True)]
    assert not hidden
    assert len(list(routes(hub))) >= 24


def _flat(found: Any) -> Iterator[Any]:
    for route in found:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _flat(inner.routes)
        else:
            yield route


def test_without_a_key_only_health_answers(hub: TestHub, anonymous: TestClient) -> None:
    for method, path, operation in routes(hub):
        response = anonymous.request(method, path)
        if (method, path) in OPEN:
            assert response.status_code in (200, 503), path
            assert operation["security"] == []
            continue
        assert response.status_code == 401, (method, path)
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        if speaks_oip(path):
            assert response.headers["content-type"] == "application/json"
            assert "API key" in response.json()["error"]
        else:
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["code"] == "unauthorized"
        assert operation["security"]
        for status in ("401", "403", "422", "429"):
            assert status in operation["responses"], (method, path)


@pytest.mark.parametrize(
    "headers", [bearer(new_key()[0]), {"X-API-Key": "nonsense"}, {"Authorization": "Basic eDp5"}]
)
def test_a_wrong_key_is_no_key(hub: TestHub, anonymous: TestClient, headers: dict[str, str]) -> None:
    hub.app.state.parts.door.brake = Brake(per_minute=10_000)  # there are more routes than guesses a minute
    for method, path, _ in routes(hub):
        if (method, path) not in OPEN:
            assert anonymous.request(method, path, headers=headers).status_code == 401, path


def test_a_key_without_scopes_is_told_which_it_lacks(hub: TestHub, anonymous: TestClient) -> None:
    headers = bearer(hub.key())
    for method, path, _ in routes(hub):
        response = anonymous.request(
            method, path, headers=headers, json={} if method in ("POST", "PATCH") else None
        )
        if (method, path) in OPEN | ANY_KEY:
            assert response.status_code in (200, 503)
            continue
        assert response.status_code == 403, (method, path)
        if speaks_oip(path):
            assert "scope" in response.json()["error"]
            continue
        assert response.json()["code"] == "forbidden"
        assert "scope" in response.json()["detail"]


@pytest.mark.parametrize(
    ("scope", "path", "others"),
    [
        ("streams", "/v1/streams", ["/v1/events", "/v1/sinks", "/metrics", "/v1/keys"]),
        ("events", "/v1/events", ["/v1/streams", "/metrics", "/v1/keys"]),
        ("infer", "/v1/algorithms", ["/v1/streams", "/v1/events", "/metrics", "/v1/keys"]),
        ("metrics", "/metrics", ["/v1/streams", "/v1/events", "/v1/algorithms", "/v1/keys"]),
        ("admin", "/v1/keys", []),
    ],
)
def test_a_scope_opens_its_own_door_only(
    hub: TestHub, anonymous: TestClient, scope: str, path: str, others: list[str]
) -> None:
    headers = bearer(hub.key(scope))
    assert anonymous.get(path, headers=headers).status_code == 200
    for other in others:
        assert anonymous.get(other, headers=headers).status_code == 403, other


def test_admin_opens_all(hub: TestHub, anonymous: TestClient) -> None:
    headers = bearer(hub.key("admin"))
    for path in (
        "/v1/streams",
        "/v1/events",
        "/v1/sinks",
        "/v1/algorithms",
        "/v1/keys",
        "/metrics",
        "/openapi.json",
    ):
        assert anonymous.get(path, headers=headers).status_code == 200, path


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/redoc", "/v1", "/v1/nothing", "/healthz/", "//healthz", "/healthz/x"]
)
def test_paths_that_lead_nowhere_need_a_key_too(anonymous: TestClient, path: str) -> None:
    assert anonymous.get(path).status_code == 401


def test_both_headers_carry_a_key(hub: TestHub, anonymous: TestClient) -> None:
    key = hub.key("streams")
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key}"},
        {"X-API-Key": key},
        {"Authorization": "Basic eDp5", "X-API-Key": key},
    ):
        assert anonymous.get("/v1/streams", headers=headers).status_code == 200, headers


def test_a_revoked_key_is_refused(hub: TestHub, anonymous: TestClient) -> None:
    key = hub.key("streams")
    hub.repository.revoke_key(hub.repository.list_keys()[0].id)
    assert anonymous.get("/v1/streams", headers=bearer(key)).status_code == 401


def test_keys_are_listed_without_the_keys(hub: TestHub, anonymous: TestClient) -> None:
    key = hub.key("admin")
    response = anonymous.get("/v1/keys", headers=bearer(key))
    (row,) = response.json()["items"]
    assert key.startswith(row["prefix"])
    assert key not in response.text
    assert "hash" not in response.text
