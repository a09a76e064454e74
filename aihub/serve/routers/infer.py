"""`POST /v1/infer` and `POST /v1/algorithms/{id}/infer`: pictures in, results out."""

from __future__ import annotations

import dataclasses
import time
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from aihub.algorithms.algorithm import Algorithm
from aihub.serve.access import Inferrer, Parts, parts_of
from aihub.serve.asking import client_gone, order_of, read_payload, remote_pictures
from aihub.serve.columns import FIELDS
from aihub.serve.deadlines import HEADER, timeout_of
from aihub.serve.grants import granted, require_scopes
from aihub.serve.inference import Encoded, Order, compute, takes_something
from aihub.serve.payloads import NOTHING, Payload, Remote, payload_from_json, payload_from_query
from aihub.serve.problems import documented
from aihub.serve.result_schemas import InferAnswer, ManyAnswer
from aihub.serve.schemas import EchoOut
from aihub.serve.security import Caller
from aihub.serve.tickets import Ticket

router = APIRouter(prefix="/v1", tags=["inference"], responses=documented())

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": _BINARY}, "description": "Results, or with `annotate` the drawn picture."}
}


def _body(schema: str, example: dict[str, Any], form: dict[str, Any], text: str) -> dict[str, Any]:
    """Description of the body and of what stands beside it, by hand: FastAPI shall not read it a second time."""
    pictures = {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}}
    options = {
        "annotate": {"type": "string", "enum": ["true", "false"]},
        "fields": {"type": "string", "description": "Columns, separated by commas."},
    }
    return {
        "requestBody": {
            "required": False,
            "description": text,
            "content": {
                "image/jpeg": _BINARY,
                "image/png": _BINARY,
                "image/webp": _BINARY,
                "image/bmp": _BINARY,
                "application/octet-stream": _BINARY,
                "text/plain": {"schema": {"type": "string"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["image"],
                        "properties": pictures | form | options,
                    }
                },
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{schema}"},
                    "example": example,
                },
            },
        }
    }


def _parameters(*more: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        *more,
        {
            "name": "url",
            "in": "query",
            "schema": {
                "type": "array",
                "items": {"type": "string", "pattern": "^https?://", "maxLength": 4096},
            },
            "description": "Address of a picture that the hub fetches, instead of a body; may be repeated.",
        },
        {
            "name": "annotate",
            "in": "query",
            "schema": {"type": "boolean"},
            "description": (
                "Whether to draw the results: as `annotated` (base64 JPEG) in each result, or, with "
                "`Accept: image/jpeg` and one picture, as the whole answer. Nothing is blurred."
            ),
        },
        {
            "name": "fields",
            "in": "query",
            "style": "form",
            "explode": False,
            "schema": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(FIELDS)}},
            "description": "Give only these columns of each result.",
        },
        {
            "name": HEADER,
            "in": "header",
            "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": 600},
            "description": "Seconds that the caller will wait; what is not done by then is dropped (504).",
        },
    ]


_PICTURES = "One picture as it is, or several as `image` parts of a form or in JSON as base64 or addresses."
_ALGORITHMS = {
    "name": "algorithms",
    "in": "query",
    "style": "form",
    "explode": False,
    "schema": {"type": "array", "items": {"type": "string", "pattern": "^[a-z0-9.-]{1,64}$"}},
    "description": "Ids, separated by commas; or a JSON list as in the body.",
}
_PARAMS = {
    "name": "params",
    "in": "query",
    "content": {"application/json": {"schema": {"type": "object"}}},
    "description": "Parameters; each may also stand by itself, `?confidence=0.4`.",
}


@router.post(
    "/algorithms/{algorithm_id}/infer",
    operation_id="infer",
    summary="Run an algorithm on pictures",
    response_model=InferAnswer,
    responses=documented(400, 404, 413, 415, 429, 503, 504) | _JPEG,
    openapi_extra=_body(
        "InferBody",
        {"images": ["/9j/4AAQSkZJRg..."], "params": {"confidence": 0.4}},
        {"params": {"type": "string", "description": "JSON object."}},
        f"{_PICTURES} With a raw picture, parameters go into the query: `?confidence=0.4` or `?params={{...}}`.",
    )
    | {"parameters": _parameters(_PARAMS)},
)
async def infer(algorithm_id: str, request: Request, caller: Inferrer) -> Response:
    """Results for every picture, in the order they were sent. Boxes are in pixels of the picture."""
    algorithm = granted(parts_of(request).services.registry, caller, algorithm_id)
    require_scopes(caller, algorithm)
    takes_something(algorithm.card)
    return await _respond(request, caller, algorithm)


@router.post(
    "/infer",
    operation_id="inferMany",
    summary="Run several algorithms on pictures",
    response_model=ManyAnswer,
    responses=documented(400, 404, 413, 415, 429, 503, 504) | _JPEG,
    openapi_extra=_body(
        "InferManyBody",
        {
            "images": [{"url": "https://example.org/gate.jpg"}],
            "algorithms": ["person-detection", {"id": "vehicle-detection", "params": {"confidence": 0.4}}],
        },
        {"algorithms": {"type": "string", "description": "Ids separated by commas, or a JSON list."}},
        f"{_PICTURES} With a raw picture, the algorithms go into the query: `?algorithms=a,b`.",
    )
    | {"parameters": _parameters(_ALGORITHMS)},
)
async def infer_many(request: Request, caller: Inferrer) -> Response:
    """For every algorithm, in the order they were named, results for every picture; what they share is computed once.

    One that fails has an `error` in its place and the others answer. When none can, the first one's error is the answer.
    """
    return await _respond(request, caller, None)


async def _respond(request: Request, caller: Caller, algorithm: Algorithm | None) -> Response:
    # Everything that computes happens in one visit to a worker thread: each hop costs as much as a small model's box.
    parts = parts_of(request)
    settings = parts.services.settings
    timeout_s = timeout_of(request, settings)
    deadline = time.monotonic() + timeout_s
    query, many = NOTHING, algorithm is None
    if request.scope["query_string"]:
        query = payload_from_query(request.query_params.multi_items(), algorithm.card if algorithm else None)
    card = algorithm.card if algorithm else None
    read = await read_payload(request, query, settings, many=many, timeout_s=timeout_s, card=card)
    settle = partial(
        order_of,
        services=parts.services,
        caller=caller,
        algorithm=algorithm,
        accept=request.headers.get("accept", ""),
        deadline=deadline,
    )

    run = partial(parts.workers.run, tenant=caller.tenant, gone=partial(client_gone, request))

    def read_and_compute(body: bytes) -> Encoded | Payload:
        payload = payload_from_json(body, many=many).over(query)
        order = settle(payload)
        if remote_pictures(payload):
            return payload
        return _compute(parts, order, _admit(parts, caller, order, payload.items))

    if isinstance(read, bytes):
        done = await run(partial(read_and_compute, read), deadline - time.monotonic())
        if isinstance(done, Encoded):
            return Response(done.data, media_type=done.media_type)
        read = done
    order = settle(read)
    ticket = _admit(parts, caller, order, read.items)
    with ticket.held():
        order = await _fetched(parts, caller, read, order)
        encoded = await run(partial(_compute, parts, order, ticket), deadline - time.monotonic())
    return Response(encoded.data, media_type=encoded.media_type)


def _admit(parts: Parts, caller: Caller, order: Order, pictures: int) -> Ticket:
    ids = [one.algorithm.card.id for one in order.wanted if one.algorithm is not None]
    return Ticket(parts.admission.enter(caller, ids, frames=pictures))


def _compute(parts: Parts, order: Order, ticket: Ticket) -> Encoded:
    with ticket.held() as bill:
        return compute(parts.services, order, bill)


async def _fetched(parts: Parts, caller: Caller, payload: Payload, order: Order) -> Order:
    """The order with the pictures that had to be fetched, in their places."""
    wanted = remote_pictures(payload)
    if not wanted:
        return order
    settings = parts.services.settings
    got = iter(
        await parts.fetcher.fetch(
            wanted,
            tenant=caller.tenant,
            max_bytes=settings.max_image_bytes,
            max_total=settings.max_body_bytes,
            timeout_s=order.deadline - time.monotonic(),
        )
    )
    here = iter(order.uploads)
    uploads = [next(got) if isinstance(one, Remote) else next(here) for one in payload.pictures]
    return dataclasses.replace(order, uploads=uploads)


@router.post(
    "/echo",
    operation_id="echo",
    summary="Length of the body",
    response_model=EchoOut,
    responses=documented(413),
    openapi_extra={"requestBody": {"content": {"application/octet-stream": _BINARY}}},
)
async def echo(request: Request, caller: Inferrer) -> Response:  # noqa: ARG001 - it has to be one who may infer
    """Reads the body and answers with its length: what the way here costs without any work at its end."""
    body = await request.body()
    return Response(b'{"bytes":%d}' % len(body), media_type="application/json")
