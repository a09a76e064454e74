"""`POST /v1/plan`: bounded, honest about what was not measured."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.capacity.costs import FILE, remember
from aihub.client import AihubClient, CapacityPlan
from tests.capacity.invented import ROUND
from tests.serve.hub import TestHub, bearer, serving

THINGS = "thing-detection"
GROUP: dict[str, Any] = {"streams": 100, "algorithms": [THINGS], "fps": 1}


@pytest.fixture
def measured(hub: TestHub) -> TestHub:
    algorithms = {**ROUND.algorithms, THINGS: ROUND.algorithms["people"]}
    remember(ROUND.model_copy(update={"algorithms": algorithms}), hub.services.settings.home / FILE)
    return hub


def test_a_plan(measured: TestHub, client: TestClient) -> None:
    response = client.post("/v1/plan", json={"groups": [GROUP], "machines": 1})
    assert response.status_code == 200
    found = CapacityPlan.model_validate(response.json())
    assert found.machines == 3  # 66 ms a second each: 6.6 cores by 4 * 0.8
    assert not found.fits
    assert found.degrade
    assert found.measured.fingerprint == ROUND.fingerprint


def test_before_anything_was_measured(client: TestClient) -> None:
    response = client.post("/v1/plan", json={"groups": [GROUP]})
    assert response.status_code == 503
    assert response.json()["code"] == "costs-missing"
    assert "aihub bench run costs" in response.json()["hint"]


@pytest.mark.parametrize(
    ("group", "field"),
    [
        ({"algorithms": [THINGS, "thing-detectoin"]}, "groups[0].algorithms[1]"),
        ({"algorithms": ["clip-only"]}, "groups[0].algorithms[0]"),
        ({"codec": "h265"}, "groups[0].codec"),
        ({"streams": 10_000_001}, "groups[0].streams"),
        ({"fps": 0}, "groups[0].fps"),
        ({"resolution": "1p"}, "groups[0].resolution"),
        ({"algorithms": []}, "groups[0].algorithms"),
        ({"colour": "red"}, "groups[0].colour"),
    ],
)
def test_what_is_wrong_is_named(
    measured: TestHub, client: TestClient, group: dict[str, Any], field: str
) -> None:
    response = client.post("/v1/plan", json={"groups": [{**GROUP, **group}]})
    assert response.status_code == 422
    assert response.json()["field"] == field


def test_an_algorithm_that_is_not_granted_does_not_exist(measured: TestHub, client: TestClient) -> None:
    measured.repository.update_tenant("default", {"algorithms": ("clip-only",)})
    measured.app.state.parts.door.look_again()
    response = client.post("/v1/plan", json={"groups": [GROUP]})
    assert response.status_code == 422
    assert "no algorithm named" in response.json()["detail"]


def test_it_needs_the_scope(measured: TestHub, anonymous: TestClient) -> None:
    for scope, status in {"infer": 403, "streams": 200, "admin": 200}.items():
        headers = bearer(measured.key(scope))
        assert anonymous.post("/v1/plan", json={"groups": [GROUP]}, headers=headers).status_code == status


def test_the_client_plans(measured: TestHub) -> None:
    with serving(measured.app) as url, AihubClient(url, measured.key("streams")) as client:
        found = client.plan({"groups": [GROUP], "latency_ms": 100})
        assert found.machines == 3
