"""Pictures by address: where the hub goes, where it does not, and how little a server can do to it."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.errors import AddressError, FetchError, QueueFullError, TooLargeError
from aihub.serve import fetching
from aihub.serve.fetching import Fetcher, check_address
from aihub.serve.payloads import Remote
from aihub.storage.repository import Repository
from aihub.types.addresses import AddressGuard
from tests.serve.hub import TestHub, bearer, encoded
from tests.serve.test_infer import INFER, problem
from tests.serve.test_live import wait_for

HERE = ("127.0.0.0/8",)
BOUNDS = {"max_bytes": 100_000, "max_total": 1_000_000, "timeout_s": 5.0}


class Handler(BaseHTTPRequestHandler):
    """Answers by path; what was asked for is kept."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, dict(self.headers)))
        answer = server.answers.get(self.path.partition("?")[0])
        if answer is None:
            self.send_error(404)
        else:
            answer(self)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, Callable[[Handler], None]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are meant to."""


def send(data: bytes, status: int = 200, **headers: str) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def moved(to: str, status: int = 302) -> Callable[[Handler], None]:
    return send(b"", status, Location=to)


def endless(first: bytes, pause_s: float, piece: bytes = b"x" * 1000) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(first)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            time.sleep(pause_s)
            handler.wfile.write(piece)

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.answers["/a.jpg"] = send(encoded())
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    made = Fetcher(AddressGuard(HERE))
    yield made
    made.close()


async def get(fetcher: Fetcher, *urls: str, **changes: Any) -> list[bytes]:
    wanted = [Remote(url, f"images[{index}].url") for index, url in enumerate(urls)]
    got = await fetcher.fetch(wanted, tenant="t", **(BOUNDS | changes))
    return [one.data for one in got]


@pytest.fixture
def open_hub(repository: Repository, tmp_path: Path) -> TestHub:
    return TestHub(repository, tmp_path, picture_networks=HERE)


@pytest.fixture
def calling(open_hub: TestHub) -> Iterator[TestClient]:
    with TestClient(open_hub.app, headers=bearer(open_hub.key("infer"))) as client:
        yield client


def test_by_query_and_by_json_among_others(calling: TestClient, server: Server) -> None:
    server.answers["/small.png"] = send(encoded("png", 10, 10), Content_Type="text/plain")
    one = calling.post(INFER, params={"url": f"{server.url}/a.jpg?x=1&y=%20", "confidence": "0.5"})
    assert len(one.json()["results"]) == 1, one.text
    assert server.asked[-1][0] == "/a.jpg?x=1&y=%20"
    two = calling.post(INFER, params={"url": [f"{server.url}/a.jpg", f"{server.url}/small.png"]})
    boxes = [result["detections"][0]["box"] for result in two.json()["results"]]
    assert boxes == [[0, 0, 32, 24], [0, 0, 5, 5]]
    images = [
        base64.b64encode(encoded("png", 20, 20)).decode(),
        {"url": f"{server.url}/small.png"},
        {"url": f"{server.url}/a.jpg"},
        base64.b64encode(encoded("bmp", 200, 200)).decode(),
    ]
    mixed = calling.post("/v1/infer", json={"algorithms": ["thing-detection"], "images": images})
    found = mixed.json()["answers"][0]["results"]
    assert [row["detections"][0]["box"][2] for row in found] == [10, 5, 32, 100]
    params = calling.post(f"{INFER}?url={server.url}/a.jpg", json={"params": {"confidence": 0.9}})
    assert params.json()["results"][0]["detections"] == []


def test_nothing_of_ours_is_sent(calling: TestClient, server: Server) -> None:
    calling.post(INFER, params={"url": f"{server.url}/a.jpg"})
    ((_, headers),) = server.asked
    assert {name.lower() for name in headers} == {
        "host",
        "accept",
        "accept-encoding",
        "user-agent",
    }


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1/a", "this machine"),
        ("http://localhost:8000/a", "this machine by name"),
        ("http://127.1/a", "the old way to write it"),
        ("http://2130706433/a", "as one number"),
        ("http://0x7f.0.0.1/a", "in hexadecimal"),
        ("http://0.0.0.0/a", "any address"),
        ("http://[::1]/a", "this machine, IPv6"),
        ("http://[::ffff:127.0.0.1]/a", "IPv4 inside IPv6"),
        ("http://[64:ff9b::7f00:1]/a", "through NAT64"),
        ("http://169.254.169.254/latest/meta-data", "metadata of a cloud"),
        ("http://10.0.0.1/a", "a private network"),
        ("http://[fe80::1]/a", "link-local"),
        ("https://192.168.1.1/a", "a private network over TLS"),
        ("ftp://example.org/a", "no http"),
        ("file:///etc/passwd", "a file"),
        ("gopher://127.0.0.1/a", "no http"),
        ("//example.org/a", "no scheme"),
        ("a.jpg", "no address"),
        ("", "nothing"),
        ("http://", "no host"),
        ("http:///a", "no host"),
        ("http://user:secret@example.org/a", "credentials"),
        ("http://example.org/a b", "a blank"),
        ("http://example.org/a\r\nX: y", "a line break"),
        ("http://example.org:99999/a", "no such port"),
        ("http://[::1/a", "a broken bracket"),
        ("http://\ud800/a", "half a character"),
    ],
)
def test_addresses_that_are_refused(client: TestClient, url: str, reason: str) -> None:
    # Not `json=`: it cannot write half a character.
    body = json.dumps({"images": [{"url": url}]})
    response = client.post(INFER, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400, (reason, response.text)
    body = response.json()
    assert body["code"] in ("address", "unresolved"), reason

    assert body["field"] == "images[0].url"
    if reason == "a private network":
        assert "AIHUB_PICTURE_NETWORKS" in body["hint"]
    assert "secret" not in response.text


def test_the_setting_turns_it_off(repository: Repository, tmp_path: Path, server: Server) -> None:
    hub = TestHub(repository, tmp_path, picture_networks=HERE, fetch_pictures=False)
    with TestClient(hub.app, headers=bearer(hub.key("infer"))) as client:
        body = problem(client.post(INFER, params={"url": f"{server.url}/a.jpg"}), 400, "address")
    assert "AIHUB_FETCH_PICTURES" in body["hint"]
    assert not server.asked


async def test_redirects_are_followed_three_times_and_checked(fetcher: Fetcher, server: Server) -> None:
    for step in range(5):
        server.answers[f"/{step}"] = moved(f"/{step - 1}" if step else "/a.jpg", 301 + step % 3)
    assert await get(fetcher, f"{server.url}/2") == [encoded()]
    with pytest.raises(FetchError, match="more than 3 times"):
        await get(fetcher, f"{server.url}/3")
    for to, error in (
        ("http://10.0.0.1/a", AddressError),
        ("http://169.254.169.254/a", AddressError),
        ("file:///etc/passwd", AddressError),
        ("http://u:p@127.0.0.1/a", AddressError),
        ("http://a:x/", FetchError),
        ("", FetchError),
    ):
        server.answers["/off"] = moved(to)
        with pytest.raises(error) as caught:
            await get(fetcher, f"{server.url}/off")
        assert caught.value.field == "images[0].url", to


@pytest.mark.parametrize(
    ("answer", "error", "says", "reason"),
    [
        (send(b"", 404), FetchError, "404", "not there"),
        (send(encoded(), 206), FetchError, "206", "a part of it"),
        (send(b"", 304), FetchError, "304", "not asked for"),
        (send(b""), "image-decode", "empty", "nothing in it"),
        (send(b"<html>" + b" " * 1000), "image-decode", "not a picture", "a page"),
        (send(b"GIF89a" + b" " * 1000), "unsupported-type", "GIF", "a kind that is not read"),
        (send(encoded(), Content_Encoding="gzip"), FetchError, "packed", "could be a bomb"),
        (send(b"\xff\xd8\xff" + b"x" * 200_000), TooLargeError, "100,000", "declared too large"),
        (endless(b"\xff\xd8\xff", 0.0), TooLargeError, "100,000", "without end"),
        (send(encoded(), Content_Length="50"), FetchError, "broke off", "the length lies: less"),
        (send(encoded(), Content_Length="50000"), FetchError, "broke off", "the length lies: more"),
        (lambda handler: handler.wfile.write(b"nothing\r\n\r\n"), FetchError, "server", "no HTTP"),
        (lambda handler: handler.connection.close(), FetchError, "server", "hangs up"),
    ],
)
async def test_servers_that_give_no_picture(
    calling: TestClient, fetcher: Fetcher, server: Server, answer: Any, error: Any, says: str, reason: str
) -> None:
    server.answers["/x"] = answer
    if isinstance(error, str):  # seen when it is decoded, or as soon as it begins
        body = calling.post(INFER, params={"url": f"{server.url}/x"}).json()
        assert (body["code"], body["field"]) == (error, "url"), reason
        assert says in body["detail"]
    else:
        with pytest.raises(error, match=says) as caught:
            await get(fetcher, f"{server.url}/x")
        assert caught.value.field == "images[0].url", reason


@pytest.mark.parametrize(
    "answer",
    [endless(b"\xff\xd8\xff", 0.1, b"x"), lambda _handler: time.sleep(8)],
    ids=["drips", "says nothing"],
)
async def test_a_slow_server_is_given_up(fetcher: Fetcher, server: Server, answer: Any) -> None:
    server.answers["/slow"] = answer
    started = time.monotonic()
    with pytest.raises(FetchError, match="in time"):
        await get(fetcher, f"{server.url}/slow", timeout_s=0.5)
    assert time.monotonic() - started < 4


async def test_what_is_no_picture_is_not_read_to_its_end(fetcher: Fetcher, server: Server) -> None:
    server.answers["/page"] = endless(b"<html> this is no picture at all", 0.0)
    with pytest.raises(Exception, match="not a picture"):
        await get(fetcher, f"{server.url}/page", max_bytes=10**9, max_total=10**9)


async def test_all_together_have_a_bound(fetcher: Fetcher, server: Server) -> None:
    size = len(encoded())
    with pytest.raises(TooLargeError, match="together"):
        await get(fetcher, *[f"{server.url}/a.jpg"] * 3, max_total=2 * size)
    assert len(await get(fetcher, *[f"{server.url}/a.jpg"] * 3, max_total=3 * size)) == 3


async def test_one_tenant_has_a_bound_and_leaves_room_for_others(
    fetcher: Fetcher, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def slow(handler: Handler) -> None:
        release.wait(10)
        send(encoded())(handler)

    server.answers["/slow"] = slow
    monkeypatch.setattr(fetching, "PENDING", 20)
    first = asyncio.ensure_future(get(fetcher, *[f"{server.url}/slow"] * 20))
    await asyncio.to_thread(wait_for, lambda: len(server.asked) == fetching.AT_ONCE)
    with pytest.raises(QueueFullError):
        await get(fetcher, f"{server.url}/a.jpg")
    other = await fetcher.fetch([Remote(f"{server.url}/a.jpg")], tenant="other", **BOUNDS)  # type: ignore[arg-type]
    assert other[0].data == encoded()
    assert len(server.asked) == fetching.AT_ONCE + 1
    release.set()
    assert len(await first) == 20
    assert await get(fetcher, f"{server.url}/a.jpg") == [encoded()]


async def test_a_name_is_checked_where_it_leads_when_connecting(server: Server) -> None:
    seen: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        seen.append(host)
        return ["192.0.2.1"] if len(seen) > 9 else ["10.0.0.1"]

    fetcher = Fetcher(AddressGuard(resolver=rebinding))
    with pytest.raises(AddressError):
        await get(fetcher, "http://pictures.example/a.jpg")
    assert seen == ["pictures.example"]
    fetcher.close()


def test_while_pictures_are_fetched_no_thread_that_infers_is_held(
    open_hub: TestHub, calling: TestClient, server: Server
) -> None:
    release = threading.Event()

    def slow(handler: Handler) -> None:
        release.wait(10)
        send(encoded())(handler)

    server.answers["/slow"] = slow
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(calling.post(INFER, params={"url": f"{server.url}/slow"}))
    )
    asking.start()
    wait_for(lambda: bool(server.asked))
    assert open_hub.app.state.parts.workers._busy == 0
    release.set()
    asking.join(10)
    assert answers[0].status_code == 200


def test_a_deadline_bounds_the_fetch(calling: TestClient, server: Server) -> None:
    server.answers["/slow"] = lambda _handler: time.sleep(5)
    started = time.monotonic()
    response = calling.post(
        INFER, params={"url": f"{server.url}/slow"}, headers={"X-Request-Timeout-Seconds": "0.3"}
    )
    problem(response, 400, "fetch")
    assert time.monotonic() - started < 4


def test_fine_addresses() -> None:
    for url in ("http://example.org", "HTTPS://example.org:8443/a%20b?c=d#e", "http://[2001:db8::1]/a"):
        assert check_address(url).host
