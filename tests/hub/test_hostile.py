"""Clients that drip, hang up half-way, hold connections without a word or guess keys: let go in time, and nobody else notices."""

from __future__ import annotations

import json
import resource
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPResponse

import httpx2
import psutil
import pytest

from aihub.serve.cluster import HEAD_S, connections
from aihub.serve.deadlines import HEADER
from aihub.serve.security import FAILURES_PER_MINUTE, new_key
from tests.hub.conftest import Hub, until
from tests.hub.test_infer import dark

pytestmark = pytest.mark.hub

IDLE = 10_000
INFER = "/v1/algorithms/black-screen/infer"
QUICK_S = 5.0
"""Longest that anybody else may wait meanwhile; usually some milliseconds."""


@pytest.fixture
def key(hub: Hub) -> str:
    return (hub.home / "admin.key").read_text().strip()


def head(key: str, *more: str, method: str = "POST", path: str = INFER) -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: x", f"X-API-Key: {key}", *more)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def picture(key: str) -> bytes:
    return head(key, "Content-Type: image/png", f"Content-Length: {len(dark())}") + dark()


@contextmanager
def connected(hub: Hub, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", hub.port), timeout=20))
            for _ in range(count)
        ]


def said(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    text = b""
    with suppress(ConnectionError):
        while more := connection.recv(65536):
            text += more
    return text


def others_are_served(hub: Hub) -> None:
    started = time.monotonic()
    answer = hub.call("POST", INFER, content=dark())
    assert answer.status_code == 200, answer.text
    assert time.monotonic() - started < QUICK_S


@contextmanager
def dripping(slow: list[socket.socket], drop: bytes) -> Iterator[None]:
    """A few bytes on each connection, again and again."""
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.3):
            for connection in slow:
                with suppress(OSError):  # it was let go
                    connection.sendall(drop)

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


def test_heads_that_drip_are_let_go(hub: Hub) -> None:
    with connected(hub, 50) as slow:
        started = time.monotonic()
        for connection in slow:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n")
        with dripping(slow, b"X-A: b\r\n"):
            others_are_served(hub)
            answers = [said(connection) for connection in slow]
        assert HEAD_S - 2 < time.monotonic() - started < HEAD_S + QUICK_S
    assert all(not answer or answer.startswith(b"HTTP/1.1 408") for answer in answers), answers


def test_bodies_that_drip_are_answered_by_the_deadline(hub: Hub, key: str) -> None:
    more = (f"{HEADER}: 3", "Content-Type: image/png", "Content-Length: 100000")
    with connected(hub, 20) as slow:
        started = time.monotonic()
        for connection in slow:
            connection.sendall(head(key, *more))
        with dripping(slow, b"\x89"):
            others_are_served(hub)
            for connection in slow:
                answer = HTTPResponse(connection)
                answer.begin()
                assert (answer.status, json.loads(answer.read())["code"]) == (504, "deadline")
        assert time.monotonic() - started < 3 + QUICK_S


def test_who_closes_its_sending_side_is_taken_to_have_left(hub: Hub, key: str) -> None:
    """On the wire a goodbye looks the same, and work for those who have left is dropped: they are told at once or not at all."""
    whole = picture(key)
    before = _open(hub)
    for request in (whole, whole[:-20], whole[:60], head(key, method="GET", path="/v1/algorithms"), b""):
        with connected(hub, 10) as closing:
            started = time.monotonic()
            for connection in closing:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            answers = [said(connection) for connection in closing]
        assert time.monotonic() - started < QUICK_S
        assert all(not answer or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 200")) for answer in answers)
    others_are_served(hub)
    until(lambda: _open(hub) <= before + 3, 10, "the sockets of clients that have gone are closed")


def test_ten_thousand_silent_connections(hub: Hub) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(IDLE, connections() - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        others_are_served(hub)
        before = _memory(hub)
        with connected(hub, count) as idle:
            others_are_served(hub)
            assert _memory(hub) - before < 8 * 1024 * count, "a silent connection takes a kilobyte"
            _wait_for_the_end(idle, HEAD_S + QUICK_S)
        others_are_served(hub)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if count < IDLE:
        pytest.skip(f"held with {count:,} connections: the hard limit of {hard:,} open files permits no more")


def test_wrong_keys_at_speed_are_braked_whatever_they_say_of_themselves(hub: Hub, key: str) -> None:
    # An address of this machine that no other test uses: the brake counts by address.
    transport = httpx2.HTTPTransport(local_address="127.0.0.77")
    with httpx2.Client(base_url=hub.url, transport=transport, timeout=20) as guesser:

        def guess(number: int) -> httpx2.Response:
            forged = {"X-API-Key": new_key()[0], "X-Forwarded-For": f"10.0.{number // 250}.{number % 250}"}
            return guesser.get("/v1/algorithms", headers=forged)

        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(guess, range(400)))
        passed = [answer for answer in answers if answer.status_code == 401]
        braked = [answer for answer in answers if answer.status_code == 429]
        assert len(passed) + len(braked) == len(answers)
        assert len(passed) <= FAILURES_PER_MINUTE * (1 + (time.monotonic() - started) / 60) + 1
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in braked)
        right = guesser.get("/v1/algorithms", headers={"X-API-Key": key})
        assert right.status_code == 200, "who knows a key is not braked by those who guess"
    others_are_served(hub)


def _ingress(hub: Hub) -> list[psutil.Process]:
    """HAProxy, as often as it runs, and the gateway."""
    assert hub.process is not None
    below = psutil.Process(hub.process.pid).children(recursive=True)
    found = [process for process in below if process.name() == "haproxy"]
    gateways = [psutil.Process(pid) for pid in hub.pids("gateway")]
    assert found
    assert gateways
    return found + gateways


def _open(hub: Hub) -> int:
    """Files and sockets that the ingress and the gateway hold."""
    return sum(process.num_fds() for process in _ingress(hub))


def _memory(hub: Hub) -> int:
    return sum(process.memory_info().rss for process in _ingress(hub))


def _wait_for_the_end(idle: list[socket.socket], seconds: float) -> None:
    """Wait until the other side has closed all of them."""
    poller = select.poll()
    left = {connection.fileno(): connection for connection in idle}
    for number in left:
        poller.register(number, select.POLLIN)
    deadline = time.monotonic() + seconds
    while left:
        assert time.monotonic() < deadline, f"{len(left)} connections are still held"
        for number, _ in poller.poll(1000):
            with suppress(ConnectionError):
                if left[number].recv(65536):
                    continue
            poller.unregister(number)
            del left[number]
