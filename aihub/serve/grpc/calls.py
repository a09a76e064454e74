"""What each call of the protocol does; the meaning of everything is in `aihub.serve.oip`."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.protobuf import json_format

from aihub.errors import NotSupportedError
from aihub.serve.grpc.schema import ANSWERS, REQUESTS
from aihub.serve.grpc.tensors import read_infer_request, write_infer_response
from aihub.serve.grpc.wire import inflate, parse, split_infer_request
from aihub.serve.oip.messages import InferRequest
from aihub.serve.oip.service import OipService
from aihub.serve.security import Caller

INFER = "ModelInfer"
STREAM = "ModelStreamInfer"
OPEN = frozenset({"ServerLive", "ServerReady"})
"""Calls that need no key."""

MARK_LAST = "triton_enable_empty_final_response"
"""Parameter of requests in a stream: mark the last answer. Here every request has one answer, which is the last."""

INLINE_BYTES = 64 * 1024
"""Beside raw tensors, a request has little to say; one that says more is read in a thread, so that others do not wait for it."""

_WHY_NOT = {
    "SystemSharedMemory": "memory shared with the caller is not offered: send tensors in the request",
    "CudaSharedMemory": "memory shared with the caller is not offered: send tensors in the request",
    "TraceSetting": "traces are not set over this protocol",
    "LogSettings": "logs are not set over this protocol: see the hub's setting log_level",
}

Handler = Callable[[Caller, Any], Awaitable[Any]]


class Calls:
    """The unary calls, from bytes to bytes.

    Args:
        oip: knows models and algorithms.
        max_bytes: largest request, inflated.
    """

    def __init__(self, oip: OipService, max_bytes: int) -> None:
        self._oip, self._max_bytes = oip, max_bytes
        self._handlers: Mapping[str, Handler] = {
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config,
            "ModelStatistics": self._model_statistics,
            "RepositoryIndex": self._repository_index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
        }

    async def open(self, method: str) -> bytes:
        """Answer a call of `OPEN`."""
        if method == "ServerLive":
            answer = ANSWERS[method](live=self._oip.live())
        else:
            answer = ANSWERS[method](ready=await self._oip.ready())
        return bytes(answer.SerializeToString())

    async def answer(self, method: str, caller: Caller, data: bytes, timeout_s: float) -> bytes:
        """Answer any other unary call.

        Args:
            method: name in the protocol.
            caller: who asks.
            data: the serialised request, maybe compressed.
            timeout_s: longest an inference may take.

        Raises:
            AihubError: see `OipService`; NotSupportedError for what is not offered.
        """
        if method != "ServerMetadata":
            caller.require("infer")
        if method == INFER:
            return await self.infer(caller, await self.read(data), timeout_s)
        handler = self._handlers.get(method)
        if handler is None:
            reason = next((why for name, why in _WHY_NOT.items() if method.startswith(name)), "not offered")
            raise NotSupportedError(f"{method}: {reason}")
        asked = parse(REQUESTS[method], inflate(data, self._max_bytes))
        return bytes((await handler(caller, asked)).SerializeToString())

    async def read(self, data: bytes) -> InferRequest:
        """An inference request from its serialised form.

        Raises:
            InputError: it is not one, or something in it is wrong.
            NotSupportedError: tensors in shared memory.
        """
        plain = inflate(data, self._max_bytes)
        rest, raw = split_infer_request(plain)
        if len(rest) <= INLINE_BYTES:
            return read_infer_request(rest, raw)
        return await asyncio.to_thread(read_infer_request, rest, raw)

    async def read_in_stream(self, data: bytes) -> tuple[InferRequest, bool]:
        """The same for a request in a stream, and whether its answer is to be marked as its last."""
        request = await self.read(data)
        final = request.parameters.get(MARK_LAST)
        if final is None:
            return request, False
        kept = {name: value for name, value in request.parameters.items() if name != MARK_LAST}
        return dataclasses.replace(request, parameters=kept), final is True

    async def infer(
        self, caller: Caller, request: InferRequest, timeout_s: float, *, final: bool = False
    ) -> bytes:
        """Run it and serialise the answer.

        Args:
            caller: who asks.
            request: what.
            timeout_s: longest it may take.
            final: whether to mark the answer as the last one to its request, as some callers of streams ask for.
        """
        async with self._oip.infer(caller, request, timeout_s) as answer:
            return write_infer_response(answer, final=final)

    async def _server_metadata(self, _: Caller, __: Any) -> Any:
        return ANSWERS["ServerMetadata"](**self._oip.server_metadata())

    async def _model_ready(self, caller: Caller, asked: Any) -> Any:
        return ANSWERS["ModelReady"](ready=self._oip.model_ready(caller, asked.name, asked.version))

    async def _model_metadata(self, caller: Caller, asked: Any) -> Any:
        found = await self._oip.model_metadata(caller, asked.name, asked.version)
        return _filled("ModelMetadata", found)

    async def _model_config(self, caller: Caller, asked: Any) -> Any:
        found = await self._oip.model_config(caller, asked.name, asked.version)
        return _filled("ModelConfig", {"config": found})

    async def _model_statistics(self, caller: Caller, asked: Any) -> Any:
        found = self._oip.statistics(caller, asked.name or None, asked.version)
        return _filled("ModelStatistics", found)

    async def _repository_index(self, caller: Caller, asked: Any) -> Any:
        models = self._oip.repository_index(caller, ready=asked.ready)
        return _filled("RepositoryIndex", {"models": models})

    async def _load(self, caller: Caller, asked: Any) -> Any:
        if asked.parameters:
            raise NotSupportedError(
                "a model is loaded as its card describes it: no parameters are read",
                hint="change the card",
                field="parameters",
            )
        await self._oip.load(caller, asked.model_name)
        return ANSWERS["RepositoryModelLoad"]()

    async def _unload(self, caller: Caller, asked: Any) -> Any:
        dependents = asked.parameters["unload_dependents"].bool_param if asked.parameters else False
        await self._oip.unload(caller, asked.model_name, dependents=dependents)
        return ANSWERS["RepositoryModelUnload"]()


def _filled(method: str, values: Mapping[str, Any]) -> Any:
    """An answer from the protocol's JSON form; what our part of the format has no field for is left out."""
    return json_format.ParseDict(values, ANSWERS[method](), ignore_unknown_fields=True)
