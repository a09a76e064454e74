"""Tenants of a whole hub: grants reach its streams, and what is used adds up over all its processes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from aihub.bench.cameras import CameraServer
from aihub.bench.footage import SCENES
from aihub.types import uuid7
from tests.hub.conftest import Hub, until
from tests.serve.hub import encoded

pytestmark = [pytest.mark.hub, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    with CameraServer([SCENES["quality"]()], count=1) as server:
        yield server.url(0)


@pytest.fixture
def fire(hub: Hub) -> str:
    """A tenant that may use one algorithm."""
    name = f"fire-{uuid7()[-12:]}"
    body = {"id": name, "algorithms": ["black-screen"], "stream_groups": ["yard"]}
    assert hub.call("POST", "/v1/tenants", json=body).status_code == 201
    return name


def ask(hub: Hub, key: str, method: str, path: str, **more: Any) -> httpx2.Response:
    return httpx2.request(method, hub.url + path, headers={"X-API-Key": key}, timeout=30.0, **more)


def counted(hub: Hub, tenant: str) -> dict[str, float]:
    """What the metrics of all processes say a tenant used."""
    text = hub.call("GET", "/metrics").text
    names = {"calls": "calls_total", "frames": "frames_total", "compute_s": "compute_seconds_total"}
    return {
        name: sum(
            float(value)
            for labels, value in re.findall(rf"^aihub_usage_{total}{{(.*)}} (\S+)$", text, re.MULTILINE)
            if f'tenant="{tenant}"' in labels
        )
        for name, total in names.items()
    }


def test_grants_reach_streams_and_usage_adds_up_to_the_metrics(hub: Hub, fire: str, camera: str) -> None:
    made = hub.call(
        "POST", "/v1/keys", json={"name": fire, "tenant": fire, "scopes": ["infer", "streams"]}
    ).json()
    key = made["key"]
    for algorithm, status in (("black-screen", 200), ("frozen-picture", 404)):
        answer = ask(hub, key, "POST", f"/v1/algorithms/{algorithm}/infer", content=encoded())
        assert answer.status_code == status, answer.text
    stream = {"id": fire, "url": camera, "group": "yard", "tasks": [{"algorithm": "black-screen"}]}
    refused = ask(hub, key, "POST", "/v1/streams", json=stream | {"tasks": [{"algorithm": "frozen-picture"}]})
    assert refused.status_code == 404
    assert ask(hub, key, "POST", "/v1/streams", json=stream).status_code == 201

    def used() -> dict[str, Any]:
        found: dict[str, Any] = ask(hub, key, "GET", "/v1/usage").json()["total"]
        return found

    until(lambda: used()["frames"] > 5, 40, "frames of the stream are booked")
    assert used()["calls"] == 1, "frames of streams are no calls"
    assert used()["compute_s"] > 0

    # The grant is taken away: the task stops, and says no more than that it is not known.
    assert hub.call("PATCH", f"/v1/tenants/{fire}", json={"algorithms": []}).status_code == 200
    broken = until(
        lambda: hub.get(f"/v1/streams/{fire}")["status"]["broken_tasks"], 15, "the task has lost its grant"
    )
    assert broken == {"black-screen": "no algorithm named 'black-screen'"}
    assert ask(hub, key, "GET", "/v1/algorithms").json()["items"] == []
    time.sleep(3)  # what was under way is booked and written
    before = used()
    time.sleep(3)
    assert used() == before, "nothing is analysed any more"
    until(
        lambda: (
            counted(hub, fire)
            == pytest.approx({name: used()[name] for name in ("calls", "frames", "compute_s")})
        ),
        15,
        "usage equals the metrics of all processes",
    )
    assert hub.call("PATCH", f"/v1/tenants/{fire}", json={"algorithms": ["black-*"]}).status_code == 200
    until(lambda: used()["frames"] > before["frames"], 15, "with its grant the task works again")

    hub.call("DELETE", f"/v1/streams/{fire}")
    hub.call("DELETE", f"/v1/keys/{made['id']}")
    assert hub.call("DELETE", f"/v1/tenants/{fire}").status_code == 204
    notes = hub.get("/v1/audit", params={"limit": 1000})["items"]
    about = [note["action"] for note in notes[::-1] if note["subject"] in (fire, made["id"])]
    assert about == [
        "tenant.create", "key.create", "tenant.update", "tenant.update", "key.revoke", "tenant.delete",
    ]  # fmt: skip
