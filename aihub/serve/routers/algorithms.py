"""`/v1/algorithms`: what the hub can do, and doing it to pictures."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from aihub.algorithms.algorithm import Algorithm
from aihub.errors import InputError, UnsupportedTypeError
from aihub.serve.access import Inferrer, Parts, Reader, TheServices, parts_of
from aihub.serve.inference import (
    Payload,
    Upload,
    open_pictures,
    params_from_query,
    params_from_text,
    payload_from_json,
    takes_pictures,
    timed,
)
from aihub.serve.pictures import CONTENT_TYPES, READS, UNDECLARED
from aihub.serve.problems import documented
from aihub.serve.schemas import AlgorithmList, AlgorithmOut, BrokenCard, EchoOut, EvidenceOut, InferAnswer
from aihub.serve.security import Caller
from aihub.types import AnyResult, Readiness

router = APIRouter(prefix="/v1", tags=["algorithms"], responses=documented())

MAX_FORM_FIELDS = 8
MAX_FORM_FIELD_BYTES = 256 * 1024

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_INFER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": (
            "One picture as it is, or several as `image` parts of a form or as base64 in JSON. With a raw picture, "
            "parameters go into the query: `?confidence=0.4` or `?params={...}`."
        ),
        "content": {
            "image/jpeg": _BINARY,
            "image/png": _BINARY,
            "image/webp": _BINARY,
            "image/bmp": _BINARY,
            "application/octet-stream": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "params": {"type": "string", "description": "JSON object."},
                    },
                }
            },
            "application/json": {
                "schema": {"$ref": "#/components/schemas/InferBody"},
                "example": {"images": ["/9j/4AAQSkZJRg..."], "params": {"confidence": 0.4}},
            },
        },
    }
}


@router.post(
    "/algorithms/{algorithm_id}/infer",
    operation_id="infer",
    summary="Run an algorithm on pictures",
    tags=["inference"],
    response_model=InferAnswer,
    responses=documented(400, 404, 413, 415, 429, 503, 504),
    openapi_extra=_INFER_BODY,
)
async def infer(algorithm_id: str, request: Request, caller: Inferrer) -> Response:
    """Results for every picture, in the order they were sent. Boxes are in pixels of the picture."""
    # Everything that computes happens in one visit to a worker thread: each hop costs as much as a small model's box.
    parts = parts_of(request)
    algorithm = parts.services.registry.get(algorithm_id)
    takes_pictures(algorithm.card)
    query = params_from_query(algorithm.card, request.query_params.multi_items()) if request.url.query else {}
    content_type = _content_type(request)
    if content_type == "multipart/form-data":
        payload = await _from_form(request)
        work = partial(_infer, parts, algorithm, caller, query, lambda: payload)
    elif content_type == "application/json":
        body = await request.body()
        work = partial(_infer, parts, algorithm, caller, query, partial(payload_from_json, body))
    elif content_type in CONTENT_TYPES or content_type in UNDECLARED:
        picture = Upload(await request.body(), content_type)
        work = partial(_infer, parts, algorithm, caller, query, lambda: Payload([picture]))
    else:
        raise UnsupportedTypeError(
            f"content type {content_type!r} is not read here",
            hint=f"{READS} with its own content type, a form with `image` parts, or JSON with base64",
        )
    answer = await parts.workers.run(work, parts.services.settings.infer_timeout_s)
    return Response(answer, media_type="application/json")


@router.get("/algorithms", operation_id="listAlgorithms", summary="List the algorithms")
def list_algorithms(
    services: TheServices,
    caller: Reader,
    domain: str | None = None,
    readiness: Readiness | None = None,
) -> AlgorithmList:
    """Every algorithm with its readiness, by domain and id."""
    items = [
        describe(algorithm)
        for algorithm in services.registry.list()
        if domain in (None, algorithm.card.domain)
    ]
    broken = [BrokenCard(where=error.where, detail=error.message) for error in services.registry.failures]
    return AlgorithmList(
        items=[item for item in items if readiness in (None, item.readiness)],
        broken=broken if caller.admin else [],
    )


@router.get(
    "/algorithms/{algorithm_id}",
    operation_id="getAlgorithm",
    summary="One algorithm",
    responses=documented(404),
)
def get_algorithm(algorithm_id: str, services: TheServices, _: Reader) -> AlgorithmOut:
    """What it does, whether it is ready, what parameters it takes, what event it raises."""
    return describe(services.registry.get(algorithm_id))


def describe(algorithm: Algorithm) -> AlgorithmOut:
    """The public face of an algorithm."""
    card = algorithm.card
    readiness, reason = algorithm.readiness()
    return AlgorithmOut(
        **card.model_dump(include={"id", "version", "title", "summary", "domain", "input", "event"}),
        readiness=readiness,
        reason=reason,
        params=algorithm.params_schema(),
        models=list(algorithm.models()),
        evidence=[EvidenceOut(media=example.media, evidence=example.evidence) for example in card.examples],
        intended_use=card.intended_use,
        limits=card.limits,
    )


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _from_form(request: Request) -> Payload:
    settings = parts_of(request).services.settings
    uploads: list[Upload] = []
    params: dict[str, Any] = {}
    # One more than allowed is let in, so that the refusal can name the limit.
    async with request.form(
        max_files=settings.max_images + 1, max_fields=MAX_FORM_FIELDS, max_part_size=MAX_FORM_FIELD_BYTES
    ) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name not in ("image", "images", "image[]"):
                    raise InputError(f"a picture must be a part named 'image', not {name!r}", field=name)
                kind = (value.content_type or "").partition(";")[0].strip().lower()
                uploads.append(Upload(await value.read(), kind, f"image[{len(uploads)}]"))
            elif name == "params":
                params = params_from_text(value)
            else:
                raise InputError(
                    f"unknown form field {name!r}", field=name, hint="fields are image and params"
                )
    return Payload(uploads, params)


def _infer(parts: Parts, algorithm: Algorithm, caller: Caller, query: dict[str, Any], read: Any) -> bytes:
    services = parts.services
    settings = services.settings

    def work() -> list[AnyResult]:
        payload: Payload = read()
        frames = open_pictures(
            payload,
            max_images=settings.max_images,
            max_bytes=settings.max_image_bytes,
            max_pixels=settings.max_image_pixels,
            source=caller.key_id,
        )
        params = {**query, **payload.params}
        return services.infer(
            algorithm, frames, params, services.predictor, timeout_s=settings.infer_timeout_s
        )

    return timed(algorithm.card, work)


@router.post(
    "/echo",
    operation_id="echo",
    summary="Length of the body",
    tags=["inference"],
    response_model=EchoOut,
    responses=documented(413),
    openapi_extra={"requestBody": {"content": {"application/octet-stream": _BINARY}}},
)
async def echo(request: Request, _: Inferrer) -> Response:
    """Reads the body and answers with its length: what the way here costs without any work at its end."""
    body = await request.body()
    return Response(b'{"bytes":%d}' % len(body), media_type="application/json")
