"""Sizes, slow and broken senders on a real socket: nothing large is ever held, and nobody else is disturbed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from aihub.storage.repository import Repository
from aihub.telemetry import REGISTRY
from tests.serve.hub import TestHub, bearer, encoded, serving
from tests.serve.test_live import wait_for

INFER = "/v1/algorithms/thing-detection/infer"
LIMIT = 200_000
MANY = 400_000


@pytest.fixture
def hub(repository: Repository, tmp_path: Path) -> TestHub:
    return TestHub(repository, tmp_path, max_image_bytes=LIMIT, max_body_bytes=MANY)


@pytest.fixture
def key(hub: TestHub) -> str:
    return hub.key("infer", "streams")


PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


def chunks(total: int, size: int = 50_000) -> Iterator[bytes]:
    for start in range(0, total, size):
        yield b"x" * size if start else PART.ljust(size, b"x")


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
@pytest.mark.parametrize(
    ("path", "content_type", "limit"),
    [
        (INFER, "image/jpeg", LIMIT),
        ("/v1/echo", "application/octet-stream", LIMIT),
        (INFER, "application/json", MANY),
        (INFER, "multipart/form-data; boundary=x", MANY),
    ],
)
def test_bodies_over_their_limit_are_refused(
    url: str, key: str, path: str, content_type: str, limit: int, declared: bool
) -> None:
    size = limit + 100_000
    content = PART.ljust(size, b"x") if declared else chunks(size)
    response = httpx2.post(
        url + path, content=content, headers={**bearer(key), "Content-Type": content_type}, timeout=10
    )
    assert response.status_code == 413
    assert response.json()["code"] == "too-large"
    assert response.json()["field"] == "body"
    assert f"{limit:,}" in response.json()["detail"]


def test_a_body_at_its_limit_passes(url: str, key: str) -> None:
    response = httpx2.post(f"{url}/v1/echo", content=b"x" * LIMIT, headers=bearer(key))
    assert response.json() == {"bytes": LIMIT}
    assert httpx2.post(f"{url}/v1/echo", content=chunks(LIMIT), headers=bearer(key)).json() == {
        "bytes": LIMIT
    }


def test_routes_without_pictures_take_less(url: str, key: str) -> None:
    response = httpx2.post(f"{url}/v1/streams", content=b" " * 5_000_000, headers=bearer(key), timeout=10)
    assert response.status_code == 413


def test_without_a_key_no_body_is_read(url: str) -> None:
    # The head alone: an answer must come although not one byte of the announced body does.
    head = b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    assert _raw(url, head).startswith(b"HTTP/1.1 401")


def test_a_declared_size_is_refused_before_the_body_comes(url: str, key: str) -> None:
    head = f"POST /v1/echo HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: 99999999999\r\n\r\n"
    answer = _raw(url, head.encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()


def _raw(url: str, request: bytes) -> bytes:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def test_senders_that_go_away_leave_the_others_alone(
    hub: TestHub, url: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    def gone() -> float:
        labels = {"route": "/v1/algorithms/{algorithm_id}/infer", "status": "499"}
        return REGISTRY.get_sample_value("aihub_http_requests_total", labels) or 0

    before = gone()
    parts = urlsplit(url)
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: 100000\r\n\r\n"
    waiting = [
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) for _ in range(20)
    ]
    for connection in waiting:
        connection.sendall(head.encode() + b"\xff\xd8\xff")
    for connection in waiting[:10]:
        connection.close()
    with httpx2.Client(base_url=url, headers=bearer(key)) as client:
        assert client.post(INFER, content=encoded()).status_code == 200
    for connection in waiting[10:]:
        connection.close()
    wait_for(lambda: gone() == before + 20)
    assert not caplog.records


def test_what_is_no_http_is_refused(url: str) -> None:
    assert _raw(url, b"\x16\x03\x01\x02\x00\x01\x00\x01").startswith(b"HTTP/1.1 400")


def test_sixteen_at_once(url: str, key: str) -> None:
    answers: list[int] = []

    def send() -> None:
        with httpx2.Client(base_url=url, headers=bearer(key)) as client:
            answers.extend(client.post(INFER, content=encoded()).status_code for _ in range(5))

    threads = [threading.Thread(target=send) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [200] * 80


def test_more_than_can_wait_is_refused_at_once(hub: TestHub, key: str) -> None:
    release, entered = threading.Event(), threading.Event()

    def wait(_: object) -> None:
        entered.set()
        release.wait(10)

    hub.predictor.before = wait
    workers = hub.app.state.parts.workers
    with (
        serving(hub.app) as address,
        httpx2.Client(base_url=address, headers=bearer(key), timeout=20) as client,
    ):
        many = [
            threading.Thread(target=httpx2.post, args=(address + INFER,),
                             kwargs={"content": encoded(), "headers": bearer(key), "timeout": 20})
            for _ in range(workers._share + workers._bound())
        ]  # fmt: skip
        for thread in many:
            thread.start()
        assert entered.wait(5)
        wait_for(lambda: workers._size == workers._bound())
        refused = client.post(INFER, content=encoded())
        assert refused.status_code == 429
        assert refused.json()["code"] == "queue-full"
        assert int(refused.headers["retry-after"]) >= 1
        release.set()
        for thread in many:
            thread.join(10)
