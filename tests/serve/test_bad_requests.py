"""Requests that are wrong on the wire, and senders that are slow, lie or go away: answered, dropped, and nobody else is hurt."""

from __future__ import annotations

import base64
import dataclasses
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient

from aihub.serve.deadlines import HEADER
from aihub.serve.edge import Edge
from aihub.serve.workers import Workers
from aihub.telemetry import REGISTRY
from aihub.types import Frame
from tests.serve.hub import TestHub, bearer, encoded, serving
from tests.serve.test_infer import INFER
from tests.serve.test_live import wait_for

MANY = "/v1/infer"
PICTURE = base64.b64encode(encoded("png", 8, 8)).decode()
DEEP = 50_000


@pytest.fixture
def key(hub: TestHub) -> str:
    return hub.key("infer")


def nested(opening: str, closing: str) -> str:
    return opening * DEEP + closing * DEEP


@pytest.mark.parametrize("path", [INFER, MANY])
@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (nested("[", "]"), "body", "lists in lists"),
        (nested('{"a":', "1" + "}")[:-1], "body", "objects in objects, cut off"),
        ('{"images": ' + nested("[", "]") + "}", "body", "below a field that is known"),
        ('{"images": [{"url": ' + nested("[", "]") + "}]}", "body", "below an address"),
        ('{"fields": ' + nested('{"a":', "}") + "}", "body", "below an option"),
        ("[" * 900 + "]" * 900, "body", "as deep as can be read"),
        ('{"images": [' + "[" * 900 + "]" * 900 + "]}", "images[0]", "as deep as can be read, below a field"),
        ("9" * 20_000, "body", "more digits than Python reads"),
        ('{"images": [1e999]}', "images[0]", "infinite"),
        ('{"images": [NaN]}', "images[0]", "not a number"),
        ('{"images": ["\\u0000"]}', "images[0]", "a zero"),
        ('{"images": [' + ",".join(['""'] * 20_000) + "]}", "images", "many empty pictures"),
        ('{"images": {' + ",".join(f'"{i}":0' for i in range(20_000)) + "}}", "images", "many fields"),
        (json.dumps({f"f{i}": 0 for i in range(20_000)}), "f0", "many unknown fields"),
    ],
)
def test_json_bombs(client: TestClient, path: str, body: str, field: str, reason: str) -> None:
    if path == MANY and body.startswith('{"images": ['):
        body = body.replace("{", '{"algorithms": ["thing-detection"], ', 1)
    started = time.monotonic()
    response = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 413), (reason, response.text[:300])
    assert response.json()["field"] == field, (reason, response.text[:300])
    assert len(response.content) < 5000
    assert time.monotonic() - started < 4


def test_params_can_be_deep_and_are_refused_by_name(client: TestClient) -> None:
    deep: Any = 0
    for _ in range(300):
        deep = [deep]
    body = {"images": [PICTURE], "params": {"zone": deep}}
    response = client.post(INFER, json=body)
    assert (response.status_code, response.json()["field"]) == (422, "zone")
    many = {"images": [PICTURE], "algorithms": [{"id": "thing-detection", "params": {"zone": deep}}]}
    response = client.post(MANY, json=many)
    assert (response.status_code, response.json()["field"]) == (422, "algorithms[0].params.zone")


@pytest.mark.parametrize(
    "body",
    [
        {"images": [PICTURE], "params": {"x" * 1_000_000: 1}},
        {"images": [PICTURE], "x" * 1_000_000: 1},
        {"images": [PICTURE], "params": {"names": "x" * 1_000_000}},
        {"images": [PICTURE], "params": {"zone": [[0, 0]] * 100_000}},
        {"images": ["x" * 1_000_000]},
    ],
)
def test_what_is_long_is_not_repeated(client: TestClient, body: dict[str, Any]) -> None:
    response = client.post(INFER, json=body)
    assert 400 <= response.status_code < 500
    assert response.json()["field"]
    assert len(response.content) < 2000


@pytest.mark.parametrize(("path", "known"), [(INFER, "zone"), (MANY, "algorithms")])
def test_names_that_are_long_are_not_repeated(client: TestClient, path: str, known: str) -> None:
    name = "x" * 8000
    for response in (
        client.post(path, content=encoded(), params={name: "1", known: "a"}),
        client.post(path, data={name: "1"}, files={"image": encoded()}),
        client.post(path, data={"x" * 150: "1"}, files={"image": encoded()}),
    ):
        assert 400 <= response.status_code < 500, response.text[:300]
        assert response.json()["field"]
        assert len(response.content) < 2000


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"'
    head += f'; filename="{filename}"' if filename else ""
    return head.encode() + b"\r\n\r\n" + data + b"\r\n"


@pytest.mark.parametrize("path", [INFER, f"{MANY}?algorithms=thing-detection"])
@pytest.mark.parametrize(
    ("form", "statuses", "reason"),
    [
        (part("image", b"x", "a") * 5000 + b"--x--\r\n", {413}, "thousands of pictures"),
        (part("f", b"1") * 5000 + b"--x--\r\n", {400}, "thousands of fields"),
        (b"--x\r\n" * 5000 + b"--x--\r\n", {400}, "thousands of empty parts"),
        (part("image", encoded(), "a") + b"--x", {400}, "the end is missing"),
        (part("image", encoded(), "a")[:200], {400}, "cut off"),
        (b"--x\r\n" + b"A" * 100_000 + b"\r\n\r\n--x--\r\n", {400}, "a header without end"),
        (b"--x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n--x--\r\n", {400}, "headers without number"),
        (b"--x\r\n\r\nno name\r\n--x--\r\n", {400}, "no disposition"),
        (part("\xff\xfe", b"1") + b"--x--\r\n", {400}, "a name that is no text"),
        (part("params", b"\xff\xfe") + b"--x--\r\n", {400}, "a value that is no text"),
        (b"--x--\r\n", {400}, "nothing in it"),
        (b"", {400}, "nothing at all"),
        (part("image", b"", "a") + b"--x--\r\n", {400}, "an empty picture"),
    ],
)
def test_broken_forms(client: TestClient, path: str, form: bytes, statuses: set[int], reason: str) -> None:
    started = time.monotonic()
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = client.post(path, content=form, headers=headers)
    assert response.status_code in statuses, (reason, response.text[:300])
    assert response.json()["field"], reason
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 10_000,
        "multipart/form-data; charset=nonsense; boundary=x",
        "multipart/mixed; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "text/plain",
        "image/jpeg/x",
        "/",
        ";",
    ],
)
def test_odd_content_types(client: TestClient, content_type: str) -> None:
    response = client.post(INFER, content=b"{}", headers={"Content-Type": content_type})
    assert 400 <= response.status_code < 500, response.text
    assert response.json()["field"]


# -- on the wire -----------------------------------------------------------------------------------------------------


@contextmanager
def wire(url: str, timeout_s: float = 5) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=timeout_s) as connection:
        yield connection


def head(key: str, *headers: str, path: str = INFER) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"X-API-Key: {key}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def answer(connection: socket.socket) -> bytes:
    said = b""
    with suppress(TimeoutError, ConnectionError):
        while more := connection.recv(65536):
            said += more
    return said


def fine(url: str, key: str) -> None:
    response = httpx2.post(url + INFER, content=encoded(), headers=bearer(key), timeout=10)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        (["Content-Length: 5"], encoded(), "shorter than the body: the rest is no request"),
        (["Content-Length: -5"], b"", "negative"),
        (["Content-Length: five"], b"", "no number"),
        (["Content-Length: 5", "Content-Length: 6"], b"12345", "two that differ"),
        (["Content-Length: 18446744073709551621"], b"12345", "more than 64 bits"),
        (["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n", "a length and chunks"),
        (["Transfer-Encoding: chunked"], b"zz\r\n", "a chunk whose size is no number"),
        (["Transfer-Encoding: chunked"], b"-5\r\nabc\r\n", "a chunk of negative size"),
        (["Transfer-Encoding: chunked"], b"ffffffffffffffffff\r\n", "a chunk of any size"),
        (["Transfer-Encoding: chunked", "Content-Type: image/jpeg"], b"0\r\n\r\n", "nothing, in chunks"),
    ],
)
def test_bodies_that_lie_about_their_length(
    url: str, key: str, headers: list[str], body: bytes, reason: str
) -> None:
    with wire(url, timeout_s=2) as connection:
        connection.sendall(head(key, *headers) + body)
        connection.shutdown(socket.SHUT_WR)
        said = answer(connection)
    assert b" 200 " not in said, reason
    assert b" 500 " not in said, reason
    fine(url, key)


def test_a_body_that_drips_is_given_up_by_the_deadline(url: str, key: str) -> None:
    started = time.monotonic()
    with wire(url, timeout_s=10) as connection:
        connection.sendall(head(key, "Content-Length: 1000", f"{HEADER}: 0.5", "Content-Type: image/jpeg"))
        stop = threading.Event()

        def drip() -> None:
            with suppress(OSError):
                while not stop.wait(0.05):
                    connection.sendall(b"\xff")

        dripping = threading.Thread(target=drip)
        dripping.start()
        said = connection.recv(65536)
        stop.set()
        dripping.join(5)
    assert said.startswith(b"HTTP/1.1 504")
    assert b"did not arrive" in said
    assert time.monotonic() - started < 4
    fine(url, key)


def test_many_slow_senders_hold_nobody_up(hub: TestHub, url: str, key: str) -> None:
    parts = urlsplit(url)
    slow = [socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) for _ in range(200)]
    for index, connection in enumerate(slow):
        sent = head(key, "Content-Length: 100000", "Content-Type: image/jpeg")
        connection.sendall(sent[: len(sent) - index % 7])
    started = time.monotonic()
    fine(url, key)
    assert time.monotonic() - started < 4
    assert hub.app.state.parts.workers._busy == 0
    for connection in slow:
        connection.close()


def test_a_body_that_comes_a_byte_at_a_time_is_given_up(hub: TestHub) -> None:
    (layer,) = (layer for layer in hub.app.user_middleware if getattr(layer, "cls", None) is Edge)
    layer.kwargs["body_s"] = 0.5
    key = hub.key("streams")
    with serving(hub.app) as url, wire(url) as connection:
        connection.sendall(
            head(key, "Content-Length: 50", "Content-Type: application/json", path="/v1/streams")
        )
        begun = time.monotonic()
        while time.monotonic() < begun + 5 and not select.select([connection], [], [], 0.1)[0]:
            connection.sendall(b" ")
        said = answer(connection)
        assert said.startswith(b"HTTP/1.1 504")
        assert b'"deadline"' in said
        assert time.monotonic() - begun < 3


def test_half_closed_and_reset_connections_leave_nothing_behind(hub: TestHub, url: str, key: str) -> None:
    request = head(key, f"Content-Length: {len(encoded())}", "Content-Type: image/jpeg") + encoded()
    for cut in (len(request), len(request) - 10, 100):
        with wire(url) as connection:
            connection.sendall(request[:cut])
            connection.shutdown(socket.SHUT_WR)
            said = answer(connection)
            assert b" 500 " not in said
        with wire(url) as connection:
            connection.sendall(request[:cut])
            linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # a reset, not a goodbye
    fine(url, key)
    wait_for(lambda: hub.app.state.parts.workers._busy == 0)


def test_work_of_a_client_that_left_is_dropped_while_it_waits(hub: TestHub) -> None:
    release = threading.Event()
    seen: list[Frame] = []

    def hold(frame: Frame) -> None:
        seen.append(frame)
        release.wait(10)

    hub.predictor.before = hold
    parts, workers = hub.app.state.parts, Workers(threads=1)
    hub.app.state.parts = dataclasses.replace(parts, workers=workers)
    key = hub.key("infer")
    request = head(key, f"Content-Length: {len(encoded())}", "Content-Type: image/jpeg") + encoded()
    with serving(hub.app) as url:
        with wire(url) as first:
            first.sendall(request)
            wait_for(lambda: len(seen) == 1)
            with wire(url) as second:
                second.sendall(request)
                wait_for(lambda: workers._size == 1)
            wait_for(lambda: workers._size == 0)  # it hung up: nothing is to be done any more
            release.set()
            assert first.recv(65536).startswith(b"HTTP/1.1 200")
        fine(url, key)
    assert len(seen) == 2
    workers.close()


def test_what_is_refused_and_dropped_is_counted(hub: TestHub, url: str, key: str) -> None:
    def gone() -> float:
        labels = {"route": "/v1/infer", "status": "499"}
        return REGISTRY.get_sample_value("aihub_http_requests_total", labels) or 0

    before = gone()
    with wire(url) as connection:
        connection.sendall(head(key, "Content-Length: 100000", "Content-Type: image/jpeg", path=MANY))
    wait_for(lambda: gone() == before + 1)
