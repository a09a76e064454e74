"""Sizes, deadlines, cancellation and how much is held at once."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import Counter

from aihub.errors import QueueFullError
from aihub.serve.grpc import service
from aihub.serve.grpc.calls import STREAM
from aihub.serve.grpc.room import Room
from aihub.serve.grpc.schema import ANSWERS, REQUESTS, SERVICE
from aihub.storage.repository import Repository
from tests.serve.grpc.served import TIMEOUT_S, Served, call, refused
from tests.serve.hub import TestHub, encoded

Code = grpc.StatusCode


def numbers(rows: int = 1) -> Any:
    request = REQUESTS["ModelInfer"](model_name="double")
    request.inputs.add(name="x", datatype="FP32", shape=[rows, 3])
    request.raw_input_contents.append(bytes(rows * 12))
    return request


def photo() -> Any:
    request = REQUESTS["ModelInfer"](model_name="thing-detection")
    request.inputs.add(name="image", datatype="BYTES", shape=[1]).contents.bytes_contents.append(encoded())
    return request


class Gate:
    """Holds up the predictor until it is opened; knows how many came."""

    def __init__(self, served: Served) -> None:
        self.came = threading.Semaphore(0)
        self.open = threading.Event()
        served.hub.predictor.before = self.wait

    def wait(self, _: object) -> None:
        self.came.release()
        assert self.open.wait(TIMEOUT_S)

    def someone(self) -> None:
        assert self.came.acquire(timeout=TIMEOUT_S)


@pytest.fixture
def gate(served: Served) -> Iterator[Gate]:
    made = Gate(served)
    yield made
    made.open.set()


@pytest.fixture
def small(repository: Repository, tmp_path: Path) -> Iterator[Served]:
    """A face that reads 100,000 bytes a request and answers within a second."""
    made = Served(TestHub(repository, tmp_path, max_body_bytes=100_000, infer_timeout_s=1.0), tmp_path)
    made.face.start()
    yield made
    made.close()


def ended(method: str, code: str) -> float:
    counter: Counter = service.CALLS.labels(method, code)
    return float(counter._value.get())


def until(condition: Any) -> None:
    limit = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize("packing", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_request_over_the_limit_is_refused_and_the_next_answered(
    small: Served, packing: grpc.Compression
) -> None:
    error = refused(small, "ModelInfer", numbers(10_000), compression=packing)
    assert error.code() in (Code.RESOURCE_EXHAUSTED, Code.INVALID_ARGUMENT)
    call(small, "ModelInfer", numbers(8_000), compression=packing)


def test_a_bomb_does_not_go_off(small: Served) -> None:
    """100 KB that would be 100 MB. gRPC itself would inflate it."""
    error = refused(small, "ModelInfer", data=gzip.compress(bytes(95_000_000)))
    assert error.code() is Code.INVALID_ARGUMENT
    assert "100,000" in error.details()


def test_without_a_key_nothing_is_read(small: Served) -> None:
    """A refusal comes although the request never does."""
    with grpc.insecure_channel(small.address) as channel:
        never = threading.Event()

        def requests() -> Iterator[bytes]:
            never.wait(TIMEOUT_S)
            yield b""

        ask = channel.stream_unary(f"/{SERVICE}/ModelInfer")
        with pytest.raises(grpc.RpcError) as error:
            ask(requests(), timeout=TIMEOUT_S)
        never.set()
    assert error.value.code() is Code.UNAUTHENTICATED


@pytest.mark.parametrize("body", [iter(()), None])
def test_a_call_whose_request_does_not_come_ends(small: Served, body: Iterator[bytes] | None) -> None:
    done = threading.Event()

    def nothing() -> Iterator[bytes]:
        done.wait(TIMEOUT_S)
        yield b""

    with grpc.insecure_channel(small.address) as channel:
        ask = channel.stream_unary(f"/{SERVICE}/ModelInfer")
        with pytest.raises(grpc.RpcError) as error:
            ask(nothing() if body is None else body, timeout=TIMEOUT_S, metadata=[*small.headers.items()])
        done.set()
    wanted = Code.DEADLINE_EXCEEDED if body is None else Code.INVALID_ARGUMENT
    assert error.value.code() is wanted


def test_the_hub_answers_in_its_own_time_whatever_the_client_allows(small: Served) -> None:
    gate = Gate(small)
    begun = time.monotonic()
    error = refused(small, "ModelInfer", photo(), timeout_s=TIMEOUT_S)
    gate.open.set()
    assert error.code() is Code.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 1.0 + 3.0


def test_the_clients_deadline_is_handed_on(served: Served, gate: Gate) -> None:
    """A second client, at whose time-out the work is dropped although the hub would allow 30 s."""
    before = ended("ModelInfer", "CANCELLED") + ended("ModelInfer", "DEADLINE_EXCEEDED")
    error = refused(served, "ModelInfer", photo(), timeout_s=0.5)
    assert error.code() is Code.DEADLINE_EXCEEDED
    until(lambda: ended("ModelInfer", "CANCELLED") + ended("ModelInfer", "DEADLINE_EXCEEDED") == before + 1)


def test_a_client_that_goes_away_takes_its_queued_work_along(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: Future[Any] = Future()
    came = threading.Event()

    def run(*_: Any, **__: Any) -> Future[Any]:
        came.set()
        return queued

    monkeypatch.setattr(served.engine, "run", run)
    before = ended("ModelInfer", "CANCELLED")
    with grpc.insecure_channel(served.address) as channel:
        ask = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        waiting = ask.future(
            numbers().SerializeToString(), timeout=TIMEOUT_S, metadata=[*served.headers.items()]
        )
        assert came.wait(TIMEOUT_S)
        waiting.cancel()
        until(queued.cancelled)
    until(lambda: ended("ModelInfer", "CANCELLED") == before + 1)


def test_a_stream_that_is_given_up_takes_its_queued_work_along(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[Future[Any]] = []

    def run(*_: Any, **__: Any) -> Future[Any]:
        queued.append(Future())
        return queued[-1]

    monkeypatch.setattr(served.engine, "run", run)
    with grpc.insecure_channel(served.address) as channel:
        requests = iter([numbers().SerializeToString()] * 5)
        ask = channel.stream_stream(f"/{SERVICE}/{STREAM}")
        answers = ask(requests, timeout=TIMEOUT_S, metadata=[*served.headers.items()])
        until(lambda: len(queued) == 5)
        answers.cancel()
        until(lambda: all(future.cancelled() for future in queued))


def test_a_bad_request_in_a_stream_is_answered_with_its_id(served: Served) -> None:
    bad = numbers()
    bad.id, bad.inputs[0].shape[0] = "the bad one", 2
    good = numbers()
    good.id = "the good one"
    requests = [bad.SerializeToString(), b"\xff\xff", good.SerializeToString()]
    with grpc.insecure_channel(served.address) as channel:
        ask = channel.stream_stream(f"/{SERVICE}/{STREAM}")
        answers = [
            ANSWERS[STREAM].FromString(answer)
            for answer in ask(iter(requests), timeout=TIMEOUT_S, metadata=[*served.headers.items()])
        ]
    assert [bool(answer.error_message) for answer in answers] == [True, True, False]
    assert [answer.infer_response.id for answer in answers] == ["", "", "the good one"]
    assert "12 bytes" in answers[0].error_message


def test_streams_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_STREAMS", 1)
    first_ends = threading.Event()

    def requests() -> Iterator[bytes]:
        yield numbers().SerializeToString()
        first_ends.wait(TIMEOUT_S)

    with grpc.insecure_channel(served.address) as channel:
        ask = channel.stream_stream(f"/{SERVICE}/{STREAM}")
        metadata = [*served.headers.items()]
        first = ask(requests(), timeout=TIMEOUT_S, metadata=metadata)
        assert next(first)
        with pytest.raises(grpc.RpcError) as error:
            next(ask(iter(()), timeout=TIMEOUT_S, metadata=metadata))
        assert error.value.code() is Code.RESOURCE_EXHAUSTED
        first_ends.set()
        assert [*first] == []


def test_a_stream_at_rest_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "IDLE_S", 0.1)
    done = threading.Event()

    def nothing() -> Iterator[bytes]:
        done.wait(TIMEOUT_S)
        yield b""

    with grpc.insecure_channel(served.address) as channel:
        ask = channel.stream_stream(f"/{SERVICE}/{STREAM}")
        with pytest.raises(grpc.RpcError) as error:
            next(ask(nothing(), timeout=TIMEOUT_S, metadata=[*served.headers.items()]))
        done.set()
    assert error.value.code() is Code.DEADLINE_EXCEEDED


def test_calls_at_work_end_before_the_server_does(served: Served, gate: Gate) -> None:
    with grpc.insecure_channel(served.address) as channel:
        ask = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        waiting = ask.future(
            photo().SerializeToString(), timeout=TIMEOUT_S, metadata=[*served.headers.items()]
        )
        gate.someone()
        closing = threading.Thread(target=served.face.close)
        closing.start()
        time.sleep(0.5)
        gate.open.set()
        assert ANSWERS["ModelInfer"].FromString(waiting.result(TIMEOUT_S)).model_name == "thing-detection"
        closing.join(TIMEOUT_S)
    assert not closing.is_alive()


def test_the_room_counts_requests_and_bytes() -> None:
    room = Room(2, 100)
    with room.one(), room.holding(90):
        with room.one(), pytest.raises(QueueFullError), room.holding(11):
            raise AssertionError
        with room.one(), room.holding(10), pytest.raises(QueueFullError), room.one():
            raise AssertionError
    with room.one(), room.holding(1000):  # alone, whatever its size
        assert (room.requests, room.bytes) == (1, 1000)
    assert (room.requests, room.bytes) == (0, 0)


def test_a_full_room_is_a_refusal(served: Served, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_CALLS", 1)
    handlers = service.InferenceService(served.parts)

    class Context:
        def invocation_metadata(self) -> list[tuple[str, str]]:
            return [*served.headers.items()]

        def peer(self) -> str:
            return "ipv4:127.0.0.1:1"

        def time_remaining(self) -> None:
            return None

        async def read(self) -> bytes:
            return bytes(photo().SerializeToString())

    async def two() -> Any:
        first = asyncio.create_task(handlers._unary("ModelInfer", Context()))
        await asyncio.to_thread(gate.someone)
        second = asyncio.create_task(handlers._unary("ModelInfer", Context()))
        await asyncio.wait({second}, timeout=TIMEOUT_S)
        gate.open.set()
        return await asyncio.gather(first, second, return_exceptions=True)

    first, second = asyncio.run(two())
    assert isinstance(first, bytes)
    assert isinstance(second, QueueFullError)
