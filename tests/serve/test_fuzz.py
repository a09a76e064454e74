"""Whatever is sent, nothing of ours breaks: every answer is a result or a problem that says what is wrong."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aihub.types import StreamSpec
from tests.serve.hub import TestHub, bearer, encoded, event
from tests.serve.test_events import HOOK
from tests.serve.test_streams import ZONE, camera

PICTURE = base64.b64encode(encoded("png", 8, 8)).decode()
TASK = {
    "id": "t",
    "algorithm": "thing-detection",
    "params": {"zone": ZONE, "confidence": 0.5, "names": ["a"]},
}
BODIES: list[tuple[str, str, Any]] = [
    (
        "POST",
        "/v1/algorithms/thing-detection/infer",
        {
            "images": [PICTURE],
            "params": {"confidence": 0.5, "zone": ZONE},
            "annotate": True,
            "fields": ["boxes"],
        },
    ),
    (
        "POST",
        "/v1/infer",
        {
            "images": [PICTURE, {"url": "http://127.0.0.1/a.jpg"}],
            "algorithms": ["thing-detection", {"id": "thing-detection", "params": {"confidence": 0.5}}],
        },
    ),
    (
        "POST",
        "/v1/streams",
        camera(name="a", tasks=[TASK], sampling={"fps": 1, "motion_gate": True}, enabled=True),
    ),
    ("POST", "/v1/streams", {"streams": [camera(tasks=[TASK])]}),
    (
        "PATCH",
        "/v1/streams/gate",
        {"name": "b", "tasks": [TASK], "url": "rtsp://127.0.0.1/y", "password": "x"},
    ),
    (
        "POST",
        "/v1/sinks",
        {**HOOK, "name": "x", "algorithms": ["a"], "severities": ["alert"], "tenant": "default"},
    ),
    ("POST", f"/v1/events/{event(1).id}/state", {"state": "acknowledged"}),
]
# No text that could be a host: looking names up is slow and needs a network.
texts = st.text(st.characters(exclude_characters="/:", codec=None), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every part of a body."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, child in inner for place in places(child, (*path, key)))]


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """A request that is right but for one part: replaced, removed, or joined by another."""
    method, path, body = draw(st.sampled_from(BODIES))
    whole = [copy.deepcopy(body)]
    place: tuple[Any, ...] = (0, *draw(st.sampled_from(places(body))))
    way, last = place[:-1], place[-1]
    node: Any = whole
    for key in way:
        node = node[key]
    how = draw(st.sampled_from(["replace", "remove", "join"]))
    if how == "join" and isinstance(node[last], dict):
        node[last][draw(texts)] = draw(values)
    elif how == "remove" and way:
        del node[last]
    else:
        node[last] = draw(values)
    return method, path, json.dumps(whole[0]).encode()


@pytest.fixture
def client(hub: TestHub, anonymous: TestClient) -> TestClient:
    hub.repository.add_stream(StreamSpec(id="gate", url="rtsp://127.0.0.1/x"))
    hub.repository.save_transitions([event(1)])
    anonymous.headers.update(bearer(hub.key("infer", "streams", "events")))
    return anonymous


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken())
def test_a_wrong_part_never_breaks_the_hub(client: TestClient, asked: tuple[str, str, bytes]) -> None:
    method, path, content = asked
    response = client.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code < 500, (content, response.text)
    body = response.json()
    if response.status_code >= 400:
        assert body["code"]
        assert body["detail"]
    for row in body.get("results", []) if path == "/v1/streams" else []:
        assert row["status"] < 500, row


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200),
    st.sampled_from(["application/json", "multipart/form-data; boundary=b", "image/png", "x/y", ""]),
)
@example(b"{}", "application/json")
def test_any_bytes_as_a_body(client: TestClient, content: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    for method, path, _ in BODIES:
        response = client.request(method, path, content=content, headers=headers)
        if method == "PATCH" and response.status_code == 200:  # RFC 7396: an empty patch changes nothing
            assert json.loads(content) == {}
            continue
        assert 400 <= response.status_code < 500, (path, response.text)
        assert response.json()["code"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(
        [
            "/v1/streams",
            "/v1/events",
            "/v1/algorithms",
            "/v1/streams/{}",
            "/v1/events/{}",
            "/v1/sinks/{}",
            "/v1/algorithms/{}",
        ]
    ),
    st.dictionaries(
        st.sampled_from(
            ["cursor", "limit", "state", "stream", "since", "until", "severity", "domain", "readiness"]
        ),
        st.text(max_size=20) | st.integers().map(str) | st.floats().map(str),
    ),
    st.text(st.characters(exclude_characters="/?#.", codec="utf-8"), min_size=1, max_size=20),
)
def test_any_query_and_any_name(client: TestClient, path: str, query: dict[str, str], name: str) -> None:
    query = {key: text.encode("utf-8", "replace").decode() for key, text in query.items()}
    response = client.get(path.format(quote(name, safe="")), params=query)
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.json()["code"]
