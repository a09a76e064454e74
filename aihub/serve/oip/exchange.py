"""One inference over HTTP: the body read and unpacked, the answer put together. Whatever takes long is done in a thread."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from functools import partial

from fastapi import Request
from starlette.responses import Response

from aihub.errors import DeadlineError
from aihub.serve.access import Parts, parts_of
from aihub.serve.asking import client_gone
from aihub.serve.deadlines import timeout_of
from aihub.serve.oip.body import binary_outputs, decode_request, encode_response, header_length
from aihub.serve.oip.compression import pack, request_coding, response_coding, unpack
from aihub.serve.oip.messages import BYTES, InferRequest, InferResponse
from aihub.serve.security import Caller

HEADER = "Inference-Header-Content-Length"

INLINE_BYTES = 64 * 1024
"""JSON, or a body to pack, up to this size is dealt with on the event loop: about a millisecond at worst."""
INLINE_NUMBERS = 8192
"""Elements of outputs that are written as JSON on the event loop."""


async def exchange(request: Request, caller: Caller, name: str, version: str) -> Response:
    """Read, run, answer.

    Raises:
        AihubError: see `OipService.infer` and `decode_request`.
        HTTPException: the body is packed in a way that is not read here.
    """
    parts = parts_of(request)
    settings = parts.services.settings
    timeout_s = timeout_of(request, settings)
    parts.oip.known(caller, name, version)  # who names nothing need not send it all
    asked = await _read(request, caller, parts, name, version, timeout_s)
    every, said = binary_outputs(asked)
    if _json_only(request):
        every = False
    coding = response_coding(request.headers.get("accept-encoding"))
    gone = partial(client_gone, request)
    async with parts.oip.infer(caller, asked, timeout_s, gone=gone) as response:
        work = partial(_written, response, every, said, coding)
        if _weight(response, every, said, packed=coding is not None) <= 1:
            return work()
        return await parts.workers.run(work, timeout_s, tenant=caller.tenant)


async def _read(
    request: Request, caller: Caller, parts: Parts, name: str, version: str, timeout_s: float
) -> InferRequest:
    coding = request_coding(request.headers.get("content-encoding"))
    try:
        async with asyncio.timeout(timeout_s):
            body = await request.body()
    except TimeoutError as error:
        raise DeadlineError(f"the body did not arrive within {timeout_s:g} s") from error
    said = request.headers.get(HEADER)
    limit = parts.services.settings.max_body_bytes
    work = partial(_decoded, body, coding, said, limit, name, version)
    json_bytes = len(body) if said is None else header_length(said, len(body)) if coding is None else 0
    if coding is None and (json_bytes or 0) <= INLINE_BYTES:
        return work()
    return await parts.workers.run(work, timeout_s, tenant=caller.tenant, gone=partial(client_gone, request))


def _decoded(
    body: bytes, coding: str | None, said: str | None, limit: int, name: str, version: str
) -> InferRequest:
    if coding is not None:
        body = unpack(coding, body, limit)
    return decode_request(name, version, body, header_length(said, len(body)))


def _json_only(request: Request) -> bool:
    """A body without JSON has no place to say how outputs should come, so `Accept` does."""
    return request.headers.get(HEADER) == "0" and "application/json" in request.headers.get("accept", "")


def _weight(response: InferResponse, every: bool, said: Mapping[str, bool], *, packed: bool) -> float:
    """How long the answer takes to write, in units of what may be done on the event loop."""
    numbers = size = 0
    for tensor in response.outputs:
        count = math.prod(tensor.shape)
        if tensor.datatype == BYTES:
            size += sum(map(len, tensor.data.ravel().tolist()))
        else:
            size += tensor.data.nbytes
            numbers += 0 if said.get(tensor.name, every) else count
    return max(numbers / INLINE_NUMBERS, size / INLINE_BYTES if packed else 0)


def _written(response: InferResponse, every: bool, said: Mapping[str, bool], coding: str | None) -> Response:
    body, json_bytes = encode_response(response, every, said)
    headers = {}
    if json_bytes is not None:
        headers[HEADER] = str(json_bytes)
    if coding is not None:
        body = pack(coding, body)
        headers["Content-Encoding"] = coding
    kind = "application/json" if json_bytes is None else "application/octet-stream"
    return Response(body, media_type=kind, headers=headers)
