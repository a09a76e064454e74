"""The protocol's service on gRPC: who may call, what is held, how long anything takes, and how errors are said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import grpc
from prometheus_client import Counter, Gauge

from aihub.errors import DeadlineError, InputError, QueueFullError
from aihub.serve.access import Parts
from aihub.serve.grpc.calls import OPEN, STREAM, Calls
from aihub.serve.grpc.door import caller_of, timeout_of
from aihub.serve.grpc.refusals import Code, Refusal, refusal
from aihub.serve.grpc.room import Room
from aihub.serve.grpc.schema import ANSWERS, REQUESTS, SERVICE
from aihub.serve.grpc.streaming import exchange
from aihub.serve.grpc.wire import stream_response
from aihub.telemetry import REGISTRY

CALLS = Counter(
    "aihub_grpc_requests_total",
    "Requests over gRPC by how they ended; each request in a stream is one.",
    ["method", "code"],
    registry=REGISTRY,
)
STREAMS = Gauge("aihub_grpc_streams", "Open inference streams.", registry=REGISTRY)

MAX_CALLS = 512
"""Unary calls in one process; more are refused before their request is read."""
MAX_STREAMS = 128
"""Inference streams in one process, of all callers."""
HELD = 8
"""Requests of the largest size that one process holds, in bytes together."""
IDLE_S = 600.0
"""A stream without a request for so long is ended."""


class InferenceService:
    """Handlers of all calls, for one `grpc.aio` server.

    Keys are checked before a byte of a request is read: every call is served as a stream of requests, which on the wire it is,
    because gRPC reads the one request of a unary call before it asks anybody.

    Args:
        parts: of the hub.
    """

    def __init__(self, parts: Parts) -> None:
        settings = parts.services.settings
        self._door, self._most_s = parts.door, settings.infer_timeout_s
        self._calls = Calls(parts.oip, settings.max_body_bytes)
        self._room = Room(MAX_CALLS, HELD * settings.max_body_bytes)
        self._streams = 0

    def handlers(self) -> grpc.GenericRpcHandler:
        """For `add_generic_rpc_handlers`."""
        made = {}
        for method in REQUESTS:
            if method == STREAM:
                made[method] = grpc.stream_stream_rpc_method_handler(self._stream)
            else:
                serve = self._open if method in OPEN else self._unary
                made[method] = grpc.stream_unary_rpc_method_handler(
                    partial(_counted, method, partial(serve, method))
                )
        return grpc.method_handlers_generic_handler(SERVICE, made)

    async def _open(self, method: str, _: Any) -> bytes:
        async with asyncio.timeout(self._most_s):
            return await self._calls.open(method)

    async def _unary(self, method: str, context: Any) -> bytes:
        timeout_s = timeout_of(context, self._most_s)
        ends = asyncio.get_running_loop().time() + timeout_s
        caller = await caller_of(self._door, context)
        with self._room.one():
            data = await _read(context, timeout_s)
            if data is None:
                raise InputError("the call carries no request")
            left_s = ends - asyncio.get_running_loop().time()
            with self._room.holding(len(data)):
                return await self._calls.answer(method, caller, data, max(left_s, 0.001))

    async def _stream(self, _: Any, context: Any) -> None:
        try:
            await caller_of(self._door, context)
            with self._one_stream():
                await exchange(_Ends(context), partial(self._answer_in_stream, context))
        except Exception as error:  # noqa: BLE001 - the edge of the process: whatever it was, the caller gets a status
            said = refusal(error, STREAM)
            CALLS.labels(STREAM, said.code.name).inc()
            await _abort(context, said)

    @contextmanager
    def _one_stream(self) -> Iterator[None]:
        if self._streams >= MAX_STREAMS:
            raise QueueFullError(
                "as many inference streams are open as the hub holds", hint="try again later"
            )
        self._streams += 1
        STREAMS.inc()
        try:
            yield
        finally:
            self._streams -= 1
            STREAMS.dec()

    async def _answer_in_stream(self, context: Any, data: bytes) -> bytes:
        """The answer to one request of a stream; what is wrong with it is its answer, and the stream goes on.

        Raises:
            UnauthorizedError: the key is no longer valid; that ends the stream.
        """
        caller = await caller_of(self._door, context)
        said = None
        mark = ""
        try:
            with self._room.one(), self._room.holding(len(data)):
                caller.require("infer")
                request, final = await self._calls.read_in_stream(data)
                mark = request.id
                answer = await self._calls.infer(
                    caller, request, timeout_of(context, self._most_s), final=final
                )
        except Exception as error:  # noqa: BLE001 - see above
            said = refusal(error, STREAM)
        CALLS.labels(STREAM, said.code.name if said else Code.OK.name).inc()
        return stream_response(answer) if said is None else _failed(mark, said)


def _failed(mark: str, said: Refusal) -> bytes:
    answer = ANSWERS[STREAM](error_message=said.sentence)
    answer.infer_response.id = mark
    return bytes(answer.SerializeToString())


class _Ends:
    """A stream as gRPC has it, with time-outs."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def read(self) -> bytes | None:
        return await _read(self._context, IDLE_S)

    async def write(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(IDLE_S):
                await self._context.write(message)
        except TimeoutError as error:
            raise DeadlineError(f"no answer was taken for {IDLE_S:g} s") from error


async def _read(context: Any, timeout_s: float) -> bytes | None:
    try:
        async with asyncio.timeout(timeout_s):
            message = await context.read()
    except TimeoutError as error:
        raise DeadlineError(f"no whole request came within {timeout_s:g} s") from error
    return None if message is grpc.aio.EOF else message


async def _counted(method: str, serve: Callable[[Any], Awaitable[bytes]], _: Any, context: Any) -> bytes:
    """Serve a unary call: count how it ends, and say what goes wrong."""
    try:
        answer = await serve(context)
    except asyncio.CancelledError:
        CALLS.labels(method, Code.CANCELLED.name).inc()
        raise
    except Exception as error:  # noqa: BLE001 - the edge of the process: whatever it was, the caller gets a status
        said = refusal(error, method)
        CALLS.labels(method, said.code.name).inc()
        await _abort(context, said)
    CALLS.labels(method, Code.OK.name).inc()
    return answer


async def _abort(context: Any, said: Refusal) -> NoReturn:
    await context.abort(said.code, said.sentence, said.trailing)
    raise AssertionError  # pragma: no cover - abort raises
