"""Over gRPC, too, what the hub refuses for want of room after it let a request in is no call."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from aihub.errors import QueueFullError
from aihub.serve.grpc.schema import ANSWERS, REQUESTS, SERVICE
from tests.serve.books import TENANT, Books, Row, full
from tests.serve.grpc.served import TIMEOUT_S, Served, call, refused
from tests.serve.hub import encoded, failing

Code = grpc.StatusCode


@pytest.fixture
def books(served: Served) -> Books:
    """Of the tenant that calls; a day has room for as many calls as one stream below has at work at the same time."""
    books = Books(served.parts, served.hub.repository, calls=3)
    served.key = served.hub.key("infer", tenant=TENANT)
    return books


def request() -> Any:
    asked = REQUESTS["ModelInfer"](model_name="thing-detection")
    asked.inputs.add(name="image", datatype="BYTES", shape=[1]).contents.bytes_contents.append(encoded())
    return asked


def streamed(served: Served, times: int) -> list[Any]:
    with grpc.insecure_channel(served.address) as channel:
        ask = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")
        bodies = [request().SerializeToString()] * times
        answers = list(ask(iter(bodies), timeout=TIMEOUT_S, metadata=[*served.headers.items()]))
    return [ANSWERS["ModelStreamInfer"].FromString(answer) for answer in answers]


def test_a_full_engine_costs_no_quota(served: Served, books: Books) -> None:
    served.hub.predictor.before = failing(QueueFullError("full"))
    for _ in range(3):
        assert refused(served, "ModelInfer", request()).code() is Code.RESOURCE_EXHAUSTED
    assert all("full" in answer.error_message for answer in streamed(served, 3))
    assert (books.calls(), books.refused) == (0, 6)
    served.hub.predictor.before = lambda _: None
    call(served, "ModelInfer", request())
    assert [answer.error_message for answer in streamed(served, 1)] == [""]
    assert books.rows() == {"thing-detection": Row(2, 0, 2)}
    assert (books.calls(), books.refused) == (2, 6)


def test_a_full_line_for_threads_costs_no_quota(
    served: Served, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(served.parts.workers, "run", full)
        assert refused(served, "ModelInfer", request()).code() is Code.RESOURCE_EXHAUSTED
    assert (books.calls(), books.rows(), books.refused) == (0, {}, 1)
