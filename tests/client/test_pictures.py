"""Pictures in every form and with every option, with both clients."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from aihub import errors
from aihub.client import AihubClient
from aihub.client.pictures import LONGEST_QUERY
from aihub.storage.repository import Repository
from aihub.types import Detections, Frame
from tests.client.faces import Make
from tests.serve.hub import TestHub, encoded, picture, serving

JPEG = b"\xff\xd8\xff"
FULL = [[0, 0], [1, 0], [1, 1]]


def test_several_algorithms_and_one_that_fails(client: AihubClient) -> None:
    many = client.infer_many(["thing-detection", "clip-only", "nothing"], [encoded(), picture()])
    things, clips, unknown = many.answers
    assert [type(found) for found in things.results] == [Detections, Detections]
    assert isinstance(clips.error, errors.InputError)
    assert isinstance(unknown.error, errors.AlgorithmNotFoundError)
    assert (clips.results, unknown.version) == ([], None)
    assert many["thing-detection"] is things
    with pytest.raises(KeyError):
        many["other"]
    with pytest.raises(errors.AlgorithmNotFoundError):
        client.infer_many(["nothing"], encoded())


def test_parameters_of_several_algorithms(client: AihubClient) -> None:
    strict = client.infer_many({"thing-detection": {"confidence": 0.9}}, encoded())
    assert len(strict["thing-detection"].results[0]) == 0
    wrong = client.infer_many({"thing-detection": {}, "absent-detection": {}}, encoded(), annotate=True)
    assert wrong["thing-detection"].drawn[0].startswith(JPEG)


def test_drawn_results(client: AihubClient) -> None:
    assert client.annotated("thing-detection", encoded()).startswith(JPEG)
    answer = client.infer("thing-detection", [encoded(), encoded()], annotate=True)
    assert [data[:3] for data in answer.drawn] == [JPEG, JPEG]
    assert client.infer("thing-detection", encoded()).drawn == []


def test_columns_alone(client: AihubClient) -> None:
    rows = client.infer_columns("thing-detection", encoded(), ["labels", "boxes"], {"confidence": 0.5})
    assert rows == [{"task": "object-detection", "labels": ["thing"], "boxes": [[0, 0, 32, 24]]}]
    with pytest.raises(errors.InputError) as caught:
        client.infer_columns("thing-detection", encoded(), ["colours"])
    assert caught.value.field == "fields"


def test_parameters_too_long_for_an_address(client: AihubClient) -> None:
    many = {"names": ["n" * 200] * (LONGEST_QUERY // 200 + 1)}
    assert len(client.infer("thing-detection", encoded(), many).results) == 1


def test_a_deadline_is_told_and_kept(hub: TestHub, client: AihubClient) -> None:
    release = threading.Event()

    def held(_: Frame) -> None:
        release.wait(20)

    hub.predictor.before = held
    with pytest.raises(errors.DeadlineError):
        client.infer("thing-detection", encoded(), timeout_s=0.3)
    release.set()
    with pytest.raises(errors.InputError) as caught:
        client.infer("thing-detection", encoded(), timeout_s=-1)
    assert caught.value.field == "X-Request-Timeout-Seconds"


def test_no_picture_is_told_here(client: AihubClient) -> None:
    with pytest.raises(errors.InputError, match="no picture"):
        client.infer("thing-detection", [])


@pytest.fixture
def shelf() -> Iterator[str]:
    """A server with one picture."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.end_headers()
            self.wfile.write(encoded())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/a.jpg"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_the_hub_fetches_pictures_at_addresses(
    repository: Repository, tmp_path: Path, make: Make, shelf: str
) -> None:
    hub = TestHub(repository, tmp_path, picture_networks=("127.0.0.0/8",))
    with serving(hub.app) as url:
        client = make(url, hub.key("infer"))
        assert len(client.infer("thing-detection", shelf, {"confidence": 0.5}).results) == 1
        mixed = client.infer_many({"thing-detection": {"confidence": 0.5}}, [shelf, encoded(), picture()])
        assert [len(found) for found in mixed["thing-detection"].results] == [1, 1, 1]
        assert client.annotated("thing-detection", shelf).startswith(JPEG)
        client.close()


def test_addresses_that_the_hub_must_not_fetch(client: AihubClient, shelf: str) -> None:
    with pytest.raises(errors.AddressError):
        client.infer("thing-detection", shelf)


def test_what_travels(make: Make) -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"algorithm": "a", "version": 1, "results": [], "took_ms": 1})

    client = make("http://hub", "k", transport=httpx2.MockTransport(answer))
    client.infer("a", b"x", {"zone": FULL}, timeout_s=2.5)
    client.infer("a", [b"x", b"y"], {"zone": FULL})
    client.infer("a", "https://example.org/a.jpg", {"zone": FULL}, annotate=True)
    one, form, address = seen
    assert json.loads(one.url.params["params"]) == {"zone": FULL}
    assert (one.content, one.headers["x-request-timeout-seconds"]) == (b"x", "2.5")
    assert form.headers["content-type"].startswith("multipart/form-data")
    assert not form.url.query
    assert json.loads(address.content) == {
        "images": [{"url": "https://example.org/a.jpg"}],
        "params": {"zone": FULL},
        "annotate": True,
    }
