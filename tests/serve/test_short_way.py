"""Laws of the short way: nobody can tell from an answer which way a request went, and nothing is refused on only one of them."""

from __future__ import annotations

import contextlib
import inspect
import threading
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from aihub.errors import QueueFullError
from aihub.serve.app import create_app
from aihub.serve.routers import health, infer, oip
from aihub.serve.short_way import OPERATIONS, SCOPE, ShortWay, short_routes
from aihub.telemetry import HTTP_REQUESTS
from tests.serve.hub import TestHub, bearer, encoded

INFER = "/v1/algorithms/thing-detection/infer"
MODEL = "/v2/models/thing-detection/infer"
JPEG = {"content-type": "image/jpeg"}
RAW = {"inference-header-content-length": "0", "content-type": "application/octet-stream"}

REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("one algorithm", INFER, {"content": encoded(), "headers": JPEG}),
    ("its parameters in the query", f"{INFER}?confidence=0.4", {"content": encoded(), "headers": JPEG}),
    ("several algorithms", "/v1/infer?algorithms=thing-detection", {"content": encoded(), "headers": JPEG}),
    ("the open protocol", MODEL, {"content": encoded(), "headers": RAW}),
    ("a version of it", "/v2/models/thing-detection/versions/1/infer", {"content": encoded(), "headers": RAW}),
    ("a version that is not there", "/v2/models/thing-detection/versions/9/infer", {"content": b"{}"}),
    ("echo", "/v1/echo", {"content": b"12345"}),
    ("an unknown algorithm", "/v1/algorithms/thing-detector/infer", {"content": encoded(), "headers": JPEG}),
    ("letters that had to be quoted", "/v1/algorithms/%E7%83%9F%2F%3F/infer", {"content": encoded()}),
    ("a wrong parameter", f"{INFER}?confidence=7", {"content": encoded(), "headers": JPEG}),
    ("not a picture", INFER, {"content": b"nothing", "headers": JPEG}),
    ("a content type that is not read", INFER, {"content": b"x", "headers": {"content-type": "text/plain"}}),
    ("JSON that is none", "/v1/infer", {"content": b"{", "headers": {"content-type": "application/json"}}),
    ("a body over the limit", "/v1/echo", {"content": b"x" * (33 << 20)}),
    ("a wrong time", INFER, {"content": encoded(), "headers": {**JPEG, "x-request-timeout-seconds": "soon"}}),
    ("a slash too many", f"{INFER}/", {"content": encoded(), "headers": JPEG}),
    ("a line break in a name", "/v1/algorithms/thing-detection/infer%0A", {"content": encoded()}),
]  # fmt: skip


@pytest.fixture
def long_way(hub: TestHub) -> Iterator[TestClient]:
    """The same hub with everything through the framework."""
    with TestClient(without_short_way(hub), headers=bearer(hub.key("infer"))) as client:
        yield client


def without_short_way(hub: TestHub) -> FastAPI:
    app = create_app(hub.services)
    (layer,) = (layer for layer in app.user_middleware if getattr(layer, "cls", None) is ShortWay)
    layer.kwargs["routes"] = []
    return app


@pytest.mark.parametrize(("path", "sent"), [row[1:] for row in REQUESTS], ids=[row[0] for row in REQUESTS])
def test_both_ways_give_the_same_answer(
    client: TestClient, long_way: TestClient, path: str, sent: dict[str, Any]
) -> None:
    short, long = client.post(path, **sent), long_way.post(path, **sent)
    assert short.status_code == long.status_code
    assert sorted(short.headers) == sorted(long.headers)
    assert short.headers["content-type"] == long.headers["content-type"]
    assert _told(short) == _told(long)


def _told(response: Any) -> Any:
    """The body without what differs from one request to the next."""
    if response.headers["content-type"] not in ("application/json", "application/problem+json"):
        return response.content
    return {
        name: value for name, value in response.json().items() if name not in ("took_ms", "request_id", "id")
    }


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_other_methods_are_answered_by_the_framework(client: TestClient, method: str) -> None:
    response = client.request(method, INFER)
    assert response.status_code == 405


@pytest.mark.parametrize("path", [INFER, "/v1/infer", MODEL, "/v1/echo"])
def test_a_key_without_the_scope_is_refused(hub: TestHub, anonymous: TestClient, path: str) -> None:
    assert anonymous.post(path, headers=bearer(hub.key("streams"))).status_code == 403
    assert anonymous.post(path).status_code == 401


def test_metrics_name_the_route_alike(client: TestClient, long_way: TestClient) -> None:
    counted = HTTP_REQUESTS.labels("/v1/algorithms/{algorithm_id}/infer", "200")
    before = counted._value.get()
    for way in (client, long_way):
        way.post(INFER, content=encoded(), headers=JPEG)
    assert counted._value.get() == before + 2


def test_endpoints_take_what_the_short_way_gives_and_need_the_scope_that_it_asks_for() -> None:
    for route in short_routes((infer.router, oip.router)):
        taken = inspect.signature(route.endpoint).parameters
        assert set(taken) - {"request", "caller"} == set(route.param_convertors), route.path
        caller = typing.get_type_hints(route.endpoint, include_extras=True)["caller"]
        assert caller.__metadata__[0].dependency.scopes == (SCOPE,), route.path
        assert route.methods == {"POST"}
    with pytest.raises(KeyError):
        short_routes((health.router,))
    assert len(set(OPERATIONS)) == len(OPERATIONS)


def test_what_would_be_refused_is_refused_before_its_body_is_read(hub: TestHub, client: TestClient) -> None:
    workers = hub.app.state.parts.workers
    held, begun = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        begun.release()
        held.wait(20)

    async def fill() -> None:
        with contextlib.suppress(QueueFullError):
            await workers.run(hold, 20.0, tenant="default")

    threads = []
    try:
        for _ in range(64):
            thread = threading.Thread(target=client.portal.call, args=(fill,), daemon=True)  # type: ignore[union-attr]
            thread.start()
            threads.append(thread)
        assert begun.acquire(timeout=10)
        refused = _refused(client)
    finally:
        held.set()
        for thread in threads:
            thread.join(20)
    assert refused.json()["code"] == "queue-full"
    assert int(refused.headers["retry-after"]) >= 1
    assert client.post(INFER, content=encoded(), headers=JPEG).status_code == 200


def _refused(client: TestClient) -> Any:
    """The answer to a body that would be called no picture, had anybody looked at it."""
    for _ in range(200):
        response = client.post(
            INFER, content=b"not a picture", headers={**JPEG, "x-request-timeout-seconds": "0.2"}
        )
        if response.status_code == 429:
            return response
    pytest.fail(f"never refused: {response.text}")
