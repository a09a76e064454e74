"""What the hub refuses for want of room after it let a request in is no call; and each algorithm is booked by its own outcome."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.errors import QueueFullError, SessionError
from aihub.serve.fetching import Fetcher
from aihub.types import Frame
from tests.serve.books import TENANT, Books, Row, full
from tests.serve.hub import TestHub, bearer, encoded, failing

ONE, MANY = "/v1/algorithms/thing-detection/infer", "/v1/infer"
JPEG = {"Content-Type": "image/jpeg"}
PICTURE = base64.b64encode(encoded()).decode()
OTHER = "other-detection"

Send = Callable[[TestClient], Any]


@pytest.fixture
def hub(hub: TestHub) -> TestHub:
    """With another algorithm, which uses a model of its own."""
    text = (hub.cards / "thing-detection.yaml").read_text(encoding="utf-8")
    text = text.replace("id: thing-detection", f"id: {OTHER}").replace("model: coco", "model: other")
    (hub.cards / f"{OTHER}.yaml").write_text(text, encoding="utf-8")
    hub.services.registry.reload()
    return hub


@pytest.fixture
def books(hub: TestHub, client: TestClient) -> Books:
    """Of the tenant that `client` speaks for; it may make two calls a day."""
    books = Books(hub.app.state.parts, hub.repository, calls=2)
    client.headers.update(bearer(hub.key("infer", tenant=TENANT)))
    return books


WAYS: dict[str, tuple[Send, int]] = {
    "a picture": (lambda client: client.post(ONE, content=encoded(), headers=JPEG), 1),
    "json": (lambda client: client.post(ONE, json={"images": [PICTURE] * 2}), 1),
    "a form": (lambda client: client.post(ONE, files=[("image", ("a", encoded(), "image/jpeg"))]), 1),
    "several": (
        lambda client: client.post(MANY, json={"images": [PICTURE], "algorithms": ["thing-detection"] * 2}),
        2,
    ),
    "several with a picture": (
        lambda client: client.post(
            f"{MANY}?algorithms=thing-detection,thing-detection", content=encoded(), headers=JPEG
        ),
        2,
    ),
    "oip": (
        lambda client: client.post(
            "/v2/models/thing-detection/infer",
            json={"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [PICTURE]
                , "parameters": {"content_type": "base64"}}]},
        ),
        1,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("send", "calls"), WAYS.values(), ids=WAYS)
def test_a_full_engine_costs_no_quota(
    hub: TestHub, client: TestClient, books: Books, send: Send, calls: int
) -> None:
    hub.predictor.before = failing(QueueFullError("full"))
    for _ in range(5):  # more than the quota
        assert send(client).status_code == 429
    assert (books.calls(), books.refused) == (0, 5 * calls)
    assert set(books.rows().values()) == {Row(0, 0, 0)}
    assert books.spent() > 0, "the pictures were decoded"
    hub.predictor.before = lambda _: None
    assert send(client).status_code == 200
    (row,) = books.rows().values()
    assert (row.calls, row.errors) == (calls, 0)


@pytest.mark.parametrize("way", ["a picture", "a form", "several with a picture", "oip"])
def test_a_full_line_for_threads_costs_no_quota(
    hub: TestHub, client: TestClient, books: Books, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, calls = WAYS[way]
    with monkeypatch.context() as patched:
        patched.setattr(hub.app.state.parts.workers, "run", full)
        for _ in range(3):
            assert send(client).status_code == 429
    assert (books.calls(), books.rows(), books.refused) == (0, {}, 3 * calls)
    assert send(client).status_code == 200


def test_too_many_pictures_being_fetched_cost_no_quota(
    client: TestClient, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fetcher, "fetch", full)
    assert client.post(ONE, json={"images": [{"url": "http://example.org/a.jpg"}]}).status_code == 429
    assert (books.calls(), books.rows(), books.refused) == (0, {}, 1)


def test_what_fails_otherwise_is_a_call(hub: TestHub, client: TestClient, books: Books) -> None:
    hub.predictor.before = failing(SessionError("broken"))
    assert client.post(ONE, content=encoded(), headers=JPEG).status_code == 500
    assert client.post(ONE, content=b"nonsense", headers=JPEG).status_code == 400
    assert books.rows() == {"thing-detection": Row(2, 2, 0)}
    assert (books.calls(), books.refused) == (2, 0)


@pytest.mark.parametrize(
    ("error", "row", "refused"),
    [(SessionError("broken"), Row(1, 1, 0), 0), (QueueFullError("full"), None, 1)],
    ids=["fails", "is refused"],
)
@pytest.mark.parametrize("first", ["thing-detection", OTHER])
def test_each_of_several_is_booked_by_its_own_outcome(
    hub: TestHub, client: TestClient, books: Books, monkeypatch: pytest.MonkeyPatch,
    error: Exception, row: Row | None, refused: int, first: str,
) -> None:  # fmt: skip
    fail_one_model(hub, monkeypatch, "other", error)
    wanted = sorted(["thing-detection", OTHER], key=lambda name: name != first)
    answer = client.post(MANY, json={"images": [PICTURE] * 3, "algorithms": wanted})
    assert answer.status_code == 200, answer.text
    assert ["error" in one for one in answer.json()["answers"]] == [name == OTHER for name in wanted]
    booked = books.rows()
    assert booked["thing-detection"] == Row(1, 0, 3)
    assert booked.get(OTHER, Row(0, 0, 0)) == (row or Row(0, 0, 0))
    assert books.refused == refused


def test_a_wrong_parameter_fails_one_call_of_the_two(client: TestClient, books: Books) -> None:
    wrong = {"id": "thing-detection", "params": {"confidence": 7}}
    answer = client.post(MANY, json={"images": [PICTURE], "algorithms": [wrong, "thing-detection"]})
    assert answer.status_code == 200, answer.text
    assert books.rows() == {"thing-detection": Row(2, 1, 1)}


def test_when_the_answer_cannot_be_made_all_have_failed(client: TestClient, books: Books) -> None:
    asked = {"images": [PICTURE], "algorithms": ["thing-detection", OTHER], "fields": ["texts"]}
    assert client.post(MANY, json=asked).status_code == 400
    assert books.rows() == {"thing-detection": Row(1, 1, 0), OTHER: Row(1, 1, 0)}


def fail_one_model(hub: TestHub, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    detect = hub.predictor.detect

    def one_fails(model: str, frame: Frame, **more: Any) -> Any:
        monkeypatch.setattr(hub.predictor, "before", failing(error) if model == name else lambda _: None)
        return detect(model, frame, **more)

    monkeypatch.setattr(hub.predictor, "detect", one_fails)
