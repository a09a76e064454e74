"""Raw models and answers that are large: what the hub refuses for want of room after it let a request in is no call."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from aihub.engine import Engine
from aihub.errors import QueueFullError
from aihub.types import Bill
from tests.serve.books import TENANT, Books, Row, full
from tests.serve.hub import TestHub, bearer
from tests.serve.oip.bodies import asking, numbers

DOUBLE = "/v2/models/double/infer"
CLASSES = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}],
    "outputs": [{"name": "y", "parameters": {"classification": 2}}],
}
LARGE = asking(numbers("x", np.ones((4000, 3), np.float32)))


@pytest.fixture
def books(hub: TestHub, client: TestClient) -> Books:
    """Of the tenant that `client` speaks for; the graph was read before."""
    for name in ("double", "mean"):
        assert client.get(f"/v2/models/{name}").status_code == 200
    books = Books(hub.app.state.parts, hub.repository, calls=2)
    client.headers.update(bearer(hub.key("infer", tenant=TENANT)))
    return books


def test_a_full_engine_costs_no_quota(
    engine: Engine, client: TestClient, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def second_refused(*_: object, bill: Bill, **__: object) -> Future[Any]:
        nonlocal asked
        asked += 1
        answer: Future[Any] = Future()
        if asked % 2:
            bill.add("mean", 0.5)
            answer.set_result({})
        else:
            answer.set_exception(QueueFullError("full"))
        return answer

    two = asking(numbers("image", np.zeros((2, 8, 12, 3), np.uint8)))
    with monkeypatch.context() as patched:
        patched.setattr(engine, "run", second_refused)
        for _ in range(3):
            assert client.post("/v2/models/mean/infer", **two).status_code == 429
    assert (asked, books.calls(), books.refused) == (6, 0, 3)
    assert books.spent() == pytest.approx(1.5), "the items that were run stay on the bill"
    assert client.post("/v2/models/mean/infer", **two).status_code == 200
    assert books.rows() == {"mean": Row(1, 0, 2)}


@pytest.mark.parametrize("asked", [{"json": CLASSES}, LARGE], ids=["classes", "much to write"])
def test_an_answer_for_which_there_is_no_thread_costs_no_quota(
    hub: TestHub, client: TestClient, books: Books, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(hub.app.state.parts.workers, "run", full)
        for _ in range(3):
            response = client.post(DOUBLE, **asked)
            assert response.status_code == 429, response.text
    assert (books.calls(), books.refused) == (0, 3)
    assert books.spent() > 0, "the model was run"
    assert client.post(DOUBLE, **asked).status_code == 200
    assert (books.calls(), books.refused) == (1, 3)


def test_an_answer_that_cannot_be_made_is_a_failed_call(client: TestClient, books: Books) -> None:
    huge = asking(numbers("x", np.full((1, 3), 3e38, np.float32)))
    assert client.post(DOUBLE, **huge).status_code == 400, "twice as much is no number in JSON"
    assert books.rows() == {"double": Row(1, 1, 0)}
