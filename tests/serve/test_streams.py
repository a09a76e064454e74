"""`/v1/streams`: submitting, seeing, changing and removing cameras."""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from aihub.errors import AddressError
from aihub.serve.addresses import CameraAddress
from aihub.storage.repository import Repository
from aihub.types import StreamState, StreamStatus
from tests.serve.hub import TestHub, bearer, encoded
from tests.serve.test_infer import problem

STREAMS = "/v1/streams"
ZONE = [[0, 0], [1, 0], [1, 1]]


def camera(**fields: Any) -> dict[str, Any]:
    return {"url": "rtsp://127.0.0.1:8554/gate", **fields}


def report(hub: TestHub, stream_id: str, status: StreamStatus) -> None:
    """What a host would: claim the stream and say how it does."""
    hub.repository.claim_streams("host-1", 1000, 60)
    hub.repository.save_statuses("host-1", {stream_id: status})


def test_the_life_of_a_stream(hub: TestHub, client: TestClient) -> None:
    body = camera(
        id="gate",
        name="Gate 3",
        tasks=[{"algorithm": "thing-detection", "params": {"zone": ZONE}}],
        sampling={"fps": 2},
    )
    created = client.post(STREAMS, json=body)
    assert created.status_code == 201
    assert created.headers["location"] == "/v1/streams/gate"
    made = created.json()
    assert made["status"]["state"] == "pending"
    assert made["tasks"] == [
        {"id": "thing-detection", "algorithm": "thing-detection", "params": {"zone": ZONE}}
    ]
    report(hub, "gate", StreamStatus(state=StreamState.LIVE, fps_read=25.0))
    seen = client.get(f"{STREAMS}/gate")
    assert (seen.json()["status"]["state"], seen.json()["status"]["fps_read"]) == ("live", 25.0)
    assert seen.headers["etag"] == '"1"'
    paused = client.patch(f"{STREAMS}/gate", json={"enabled": False})
    assert (paused.json()["revision"], paused.json()["status"]["state"]) == (2, "paused")
    assert client.patch(f"{STREAMS}/gate", json={"enabled": True}).json()["revision"] == 3
    assert client.delete(f"{STREAMS}/gate").status_code == 204
    problem(client.get(f"{STREAMS}/gate"), 404, "stream-not-found")
    problem(client.delete(f"{STREAMS}/gate"), 404, "stream-not-found")


@pytest.mark.parametrize(
    ("fields", "username", "password"),
    [
        ({"url": "rtsp://admin:s3cret@127.0.0.1/1"}, "admin", "s3cret"),
        ({"url": "rtsp://admin:p%40ss%2Fw%23@127.0.0.1/1"}, "admin", "p@ss/w#"),
        ({"url": "rtsp://admin:p@ss@127.0.0.1/1"}, "admin", "p@ss"),
        ({"url": "rtsp://127.0.0.1/1", "username": "u", "password": "w"}, "u", "w"),
        ({"url": "rtsp://a:b@127.0.0.1/1", "password": "w"}, "a", "w"),
        ({"url": "rtsp://127.0.0.1/1"}, "", ""),
    ],
)
def test_credentials_are_kept_apart_and_never_shown(
    hub: TestHub, client: TestClient, fields: dict[str, Any], username: str, password: str
) -> None:
    response = client.post(STREAMS, json={"id": "a", **fields})
    assert response.status_code == 201
    stored = hub.repository.get_stream("a")
    assert (stored.username, stored.password) == (username, password)
    assert stored.url == "rtsp://127.0.0.1/1"
    for text in (response.text, client.get(f"{STREAMS}/a").text, client.get(STREAMS).text):
        assert "s3cret" not in text
        assert "password" not in text
    assert response.json()["has_credentials"] is bool(username)


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        ({"url": "http://127.0.0.1/x"}, 400, "address", "url"),
        ({"url": "file:///etc/passwd"}, 400, "address", "url"),
        ({"url": "rtsp://"}, 422, "params", "url"),
        ({"url": "rtsp:///path"}, 400, "address", "url"),
        ({"url": "rtsp://127.0.0.1:99999/x"}, 400, "address", "url"),
        ({"url": "rtsp://127.0.0.1/a b"}, 400, "address", "url"),
        ({"url": "rtsp://u:a#b@127.0.0.1/x"}, 400, "address", "url"),
        ({"url": "rtsp://169.254.169.254/latest"}, 400, "address", "url"),
        ({"url": "rtsp://0.0.0.0/x"}, 400, "address", "url"),
        ({"url": "rtsp://239.1.1.1/x"}, 400, "address", "url"),
        ({"url": "rtsp://[::ffff:169.254.169.254]/x"}, 400, "address", "url"),
        ({"url": "rtsp://no-such-host.invalid/x"}, 400, "unresolved", "url"),
        ({"url": 5}, 422, "params", "url"),
        ({"transport": "quic"}, 422, "params", "transport"),
        ({"id": "../x"}, 422, "params", "id"),
        ({"id": ".."}, 422, "params", "id"),
        ({"sampling": {"fps": 0}}, 422, "params", "sampling.fps"),
        ({"colour": "red"}, 422, "params", "colour"),
        ({"tasks": [{"algorithm": "thing-detecton"}]}, 404, "algorithm-not-found", "tasks[0].algorithm"),
        ({"tasks": [{"algorithm": "sound-only"}]}, 415, "unsupported-type", "tasks[0].algorithm"),
        (
            {
                "tasks": [
                    {"algorithm": "thing-detection"},
                    {"algorithm": "thing-detection", "params": {"zone": [[2, 2]]}},
                ]
            },
            422,
            "params",
            "tasks[1].params.zone",
        ),
        (
            {"tasks": [{"algorithm": "thing-detection", "params": {"zon": ZONE}}]},
            422,
            "params",
            "tasks[0].params.zon",
        ),
        ({"tasks": [{"algorithm": "thing-detection", "params": 3}]}, 422, "params", "tasks[0].params"),
        ({"tasks": [{"id": "a", "algorithm": "thing-detection"}] * 2}, 422, "params", "tasks[1].id"),
        ({"tenant": "other"}, 403, "forbidden", "tenant"),
    ],
)
def test_what_is_wrong_is_named(
    client: TestClient, fields: dict[str, Any], status: int, code: str, field: str
) -> None:
    response = client.post(STREAMS, json=camera() | fields)
    assert problem(response, status, code)["field"] == field
    assert client.get(STREAMS).json()["items"] == []


def test_the_nearest_algorithm_is_suggested(client: TestClient) -> None:
    body = client.post(STREAMS, json=camera(tasks=[{"algorithm": "thing-detecton"}])).json()
    assert "thing-detection" in body["hint"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b'{"streams": {}}', b'{"streams": []}', b'{"streams": [1]}']
)
def test_bodies_that_are_no_streams(client: TestClient, content: bytes) -> None:
    problem(
        client.post(STREAMS, content=content, headers={"Content-Type": "application/json"}), 422, "params"
    )


def test_passwords_do_not_come_back_in_errors(client: TestClient) -> None:
    for fields in (
        {"url": "http://u:hunter2@127.0.0.1/x"},
        {"url": "rtsp://u:hunter2@127.0.0.1:xx/"},
        {"url": "rtsp://u:hunter2@127.0.0.1/#x"},
        {"password": ["hunter2"]},
        {"passwort": "hunter2"},
    ):
        response = client.post(STREAMS, json=camera() | fields)
        assert response.status_code in (400, 422)
        assert "hunter2" not in response.text


def test_halves_of_characters_do_no_harm(client: TestClient) -> None:
    bodies = [
        b'{"url": "rtsp://127.0.0.1/\\ud800"}',
        b'{"url": "rtsp://127.0.0.1/x", "name": "\\ud800"}',
        b'{"url": "rtsp://127.0.0.1/x", "tasks": [{"algorithm": "\\ud800"}]}',
        b'{"url": "rtsp://127.0.0.1/x", "tasks": [{"algorithm": "thing-detection", "params": {"\\ud800": 1}}]}',
    ]
    headers = {"Content-Type": "application/json"}
    for body in bodies:
        response = client.post(STREAMS, content=body, headers=headers)
        assert response.status_code in (400, 404, 422), body
        assert response.json()["code"]
    response = client.post(STREAMS, content=b'{"streams": [' + b",".join(bodies) + b"]}", headers=headers)
    assert response.json()["failed"] == 4


def test_tasks_of_one_algorithm_get_names_of_their_own(client: TestClient) -> None:
    tasks = [{"algorithm": "thing-detection"}] * 3
    made = client.post(STREAMS, json=camera(tasks=tasks)).json()
    assert [task["id"] for task in made["tasks"]] == [
        "thing-detection",
        "thing-detection-2",
        "thing-detection-3",
    ]


def test_ids_are_taken_once(client: TestClient) -> None:
    assert client.post(STREAMS, json=camera(id="a")).status_code == 201
    assert problem(client.post(STREAMS, json=camera(id="a")), 409, "conflict")["field"] == "id"


def test_many_at_once_each_judged_by_itself(client: TestClient) -> None:
    streams = [
        camera(id="a"),
        camera(id="b", tasks=[{"algorithm": "nothing-like-it"}]),
        camera(id="a"),
        {"name": "no url"},
        camera(id="c", tasks=[{"algorithm": "thing-detection", "params": {"confidence": 7}}]),
        camera(id="d"),
    ]
    response = client.post(STREAMS, json={"streams": streams})
    assert response.status_code == 207
    body = response.json()
    assert (body["created"], body["failed"]) == (2, 4)
    assert [row["status"] for row in body["results"]] == [201, 404, 409, 422, 422, 201]
    assert [row["index"] for row in body["results"]] == list(range(6))
    assert body["results"][4]["problem"]["field"] == "tasks[0].params.confidence"
    assert body["results"][0]["stream"]["id"] == "a"
    assert [row["id"] for row in client.get(STREAMS).json()["items"]] == ["a", "d"]
    assert client.post(STREAMS, json={"streams": [camera(), camera()]}).status_code == 201
    problem(client.post(STREAMS, json={"streams": [camera()] * 1001}), 422, "params")


def test_pages_hold_every_stream_once(hub: TestHub, client: TestClient) -> None:
    client.post(STREAMS, json={"streams": [camera(id=f"s{n:02}") for n in range(25)]})
    for n in range(0, 25, 5):
        report(hub, f"s{n:02}", StreamStatus(state=StreamState.LIVE))

    def pages(query: str) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            page = client.get(f"{STREAMS}?{query}{cursor}").json()
            found += [row["id"] for row in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    assert pages("limit=10") == [f"s{n:02}" for n in range(25)]
    assert pages("limit=25") == [f"s{n:02}" for n in range(25)]
    assert pages("limit=2&state=live") == ["s00", "s05", "s10", "s15", "s20"]
    assert pages("limit=3&state=failed") == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "cursor=!!", "cursor=e30", "state=odd"]
)
def test_bad_queries_are_named(client: TestClient, query: str) -> None:
    assert problem(client.get(f"{STREAMS}?{query}"), 422, "params")["field"] == query.partition("=")[0]


@pytest.mark.parametrize("given", ['"1"', "1", 'W/"1"', "*"])
def test_a_change_may_be_bound_to_a_revision(client: TestClient, given: str) -> None:
    client.post(STREAMS, json=camera(id="a"))
    assert client.patch(f"{STREAMS}/a", json={"name": "x"}, headers={"If-Match": given}).status_code == 200
    if given != "*":
        problem(
            client.patch(f"{STREAMS}/a", json={"name": "y"}, headers={"If-Match": given}), 409, "conflict"
        )
    problem(client.patch(f"{STREAMS}/a", json={"name": "z"}, headers={"If-Match": "latest"}), 422, "params")


def test_changes_are_checked_like_new_streams(client: TestClient) -> None:
    client.post(STREAMS, json=camera(id="a", tasks=[{"algorithm": "thing-detection"}]))
    wrong = {"tasks": [{"algorithm": "thing-detection", "params": {"count": 99}}]}
    assert (
        problem(client.patch(f"{STREAMS}/a", json=wrong), 422, "params")["field"] == "tasks[0].params.count"
    )
    problem(client.patch(f"{STREAMS}/a", json={"url": "rtsp://169.254.1.1/"}), 400, "address")
    assert problem(client.patch(f"{STREAMS}/a", json={"id": "b"}), 422, "params")["field"] == "id"
    problem(client.patch(f"{STREAMS}/none", json={"name": "b"}), 404, "stream-not-found")
    unchanged = client.patch(f"{STREAMS}/a", json={"name": None}).json()
    assert (unchanged["revision"], len(unchanged["tasks"])) == (1, 1)
    assert client.patch(f"{STREAMS}/a", json={"tasks": [], "sampling": {"fps": 1}}).json()["tasks"] == []


@pytest.mark.parametrize(
    ("url", "username"),
    [
        ("rtsp://127.0.0.1:8554/other", "admin"),
        ("rtsp://127.0.0.1:9554/gate", ""),
        ("rtsp://127.0.0.2:8554/gate", ""),
        ("rtsp://new:word@127.0.0.2:8554/gate", "new"),
        ("rtsp://new:word@127.0.0.1:8554/gate", "new"),
    ],
)
def test_moving_a_stream_does_not_send_its_password_elsewhere(
    hub: TestHub, client: TestClient, url: str, username: str
) -> None:
    client.post(STREAMS, json=camera(id="a", username="admin", password="s3cret"))
    assert client.patch(f"{STREAMS}/a", json={"url": url}).status_code == 200
    stored = hub.repository.get_stream("a")
    assert stored.username == username
    assert stored.password == {"admin": "s3cret", "new": "word", "": ""}[username]


def test_tenants_do_not_see_each_other(hub: TestHub, client: TestClient) -> None:
    client.post(STREAMS, json=camera(id="mine"))
    other = bearer(hub.key("streams", tenant="other"))
    client.post(STREAMS, json=camera(id="theirs"), headers=other)
    assert [row["id"] for row in client.get(STREAMS).json()["items"]] == ["mine"]
    assert [row["id"] for row in client.get(STREAMS, headers=other).json()["items"]] == ["theirs"]
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/snapshot")):
        response = client.request(method, f"{STREAMS}/theirs{path}", json={} if method == "PATCH" else None)
        problem(response, 404, "stream-not-found")
    admin = bearer(hub.key("admin"))
    assert {row["tenant"] for row in client.get(STREAMS, headers=admin).json()["items"]} == {
        "default",
        "other",
    }
    problem(client.post(STREAMS, json=camera(tenant="third"), headers=admin), 404, "tenant-not-found")
    hub.key(tenant="third")
    made = client.post(STREAMS, json=camera(tenant="third"), headers=admin)
    assert made.json()["tenant"] == "third"


def test_a_snapshot_is_asked_for_and_awaited(hub: TestHub, client: TestClient) -> None:
    client.post(STREAMS, json=camera(id="a"))
    hub.pictures.write("a", b"old")
    time.sleep(0.05)
    hub.repository.claim_streams("host-1", 10, 60)

    def host() -> None:
        until = time.monotonic() + 5
        while time.monotonic() < until:
            if hub.repository.snapshot_requests("host-1"):
                hub.pictures.write("a", encoded())
                return
            time.sleep(0.02)

    thread = threading.Thread(target=host)
    thread.start()
    response = client.get(f"{STREAMS}/a/snapshot")
    thread.join()
    assert response.content == encoded()
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["cache-control"] == "no-store"
    assert hub.repository.list_audit().items[0].action == "stream.snapshot"
    client.delete(f"{STREAMS}/a")
    assert hub.pictures.newer("a", 0) is None


def test_no_snapshot_says_why(hub: TestHub, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aihub.serve.routers.streams.SNAPSHOT_TIMEOUT_S", 0.2)
    client.post(STREAMS, json=camera(id="a"))
    report(hub, "a", StreamStatus(state=StreamState.BACKOFF, error_code="auth", error="wrong password"))
    body = problem(client.get(f"{STREAMS}/a/snapshot"), 503, "no-picture")
    assert "backoff" in body["detail"]
    assert "wrong password" in body["detail"]
    client.patch(f"{STREAMS}/a", json={"enabled": False})
    monkeypatch.setattr("aihub.serve.routers.streams.SNAPSHOT_TIMEOUT_S", 60)
    assert "paused" in problem(client.get(f"{STREAMS}/a/snapshot"), 503, "no-picture")["detail"]


def test_private_networks_need_to_be_named(repository: Repository, tmp_path: Any) -> None:
    hub = TestHub(repository, tmp_path, camera_networks=("10.0.0.0/8",))
    with TestClient(hub.app, headers=bearer(hub.key("streams"))) as client:
        assert client.post(STREAMS, json={"url": "rtsp://10.2.3.4/x"}).status_code == 201
        problem(client.post(STREAMS, json={"url": "rtsp://127.0.0.1/x"}), 400, "address")
        problem(client.post(STREAMS, json={"url": "rtsp://localhost/x"}), 400, "address")
        problem(client.post(STREAMS, json={"url": "rtsp://2130706433/x"}), 400, "address")


printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)


@given(printable, printable, st.sampled_from(["10.0.0.1", "[fd00::1]", "camera.example"]), printable)
def test_whatever_an_address_holds_its_credentials_are_out(
    user: str, word: str, host: str, path: str
) -> None:
    url = f"rtsp://{quote(user, safe='')}:{quote(word, safe='')}@{host}/{quote(path)}"
    parsed = CameraAddress.parse(url)
    assert (parsed.username, parsed.password) == (user, word)
    assert parsed.url == f"rtsp://{host}/{quote(path)}"
    assert CameraAddress.parse(parsed.url).url == parsed.url


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused_as_one(text: str) -> None:
    try:
        parsed = CameraAddress.parse(f"rtsp://{text}")
    except AddressError:
        return
    assert "@" not in parsed.url.removeprefix("rtsp://").partition("/")[0].partition("?")[0]
