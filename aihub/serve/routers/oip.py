"""`/v2`: the Open Inference Protocol, where its stock clients look for it."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from aihub.errors import NotSupportedError, WeightsMissingError
from aihub.serve.access import Administrator, AnyCaller, Inferrer, TheParts
from aihub.serve.oip.exchange import HEADER, exchange
from aihub.serve.oip.schemas import (
    OipError,
    OipIndexBody,
    OipIndexRow,
    OipInferAnswer,
    OipLive,
    OipLoadBody,
    OipModel,
    OipModelReady,
    OipNames,
    OipReady,
    OipServer,
    OipStats,
    OipUnloadBody,
)
from aihub.serve.problems import invalid_model

_MEANING = {
    400: "The request is wrong; the text names the input, output or field.",
    401: "No API key, or not a valid one.",
    403: "The key lacks the scope.",
    404: "No model or algorithm of that name and version, or not yours.",
    409: "In use.",
    413: "Too large.",
    415: "Packed in a way that is not read.",
    422: "Not used here.",
    429: "Not now; Retry-After says when.",
    501: "A part of the protocol that this hub does not do.",
    503: "Weights, or something else that is needed, are not there.",
    504: "Not done in time.",
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": OipError, "description": _MEANING[status]}
        for status in sorted({401, 403, 422, 429, *statuses})
    }


router = APIRouter(prefix="/v2", tags=["oip"], responses=_errors())

_ONE = "/models/{model}"
_VERSION = "/models/{model}/versions/{version}"


def _answers(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model}, **_errors(*statuses)}


def _takes(model: type[BaseModel], **more: Any) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}, **more}}}


# First, because it is called most and routes are tried in turn.
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_INFER: dict[str, Any] = {
    "responses": {
        **_errors(400, 404, 413, 415, 501, 503, 504),
        200: {"model": OipInferAnswer, "content": _BINARY, "description": "Outputs, as JSON or with binary tensors behind it."},
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "description": "JSON; or JSON followed by tensors, or one tensor alone (a picture file), as the header says.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OipInferBody"}}, **_BINARY},
        },
        "parameters": [
            {
                "name": HEADER,
                "in": "header",
                "schema": {"type": "integer", "minimum": 0},
                "description": "Bytes of JSON before the tensors; 0 for none, then the body is the only input.",
            }
        ],
    },
}  # fmt: skip


@router.post(f"{_ONE}/infer", operation_id="oipInfer", summary="Run a model or an algorithm", **_INFER)
async def infer(model: str, request: Request, caller: Inferrer) -> Response:
    """Models take the tensors of their graph; algorithms take `image`: BYTES (files) or UINT8 (pixels)."""
    return await exchange(request, caller, model, "")


@router.post(
    f"{_VERSION}/infer", operation_id="oipInferVersion", summary="Run a model or an algorithm", **_INFER
)
async def infer_version(model: str, version: str, request: Request, caller: Inferrer) -> Response:
    """The same of the version that its card has."""
    return await exchange(request, caller, model, version)


@router.get(
    "", operation_id="oipServer", summary="Name, version and extensions", responses=_answers(OipServer)
)
async def server(parts: TheParts, _: AnyCaller) -> Response:
    """Any key will do."""
    return JSONResponse(parts.oip.server_metadata())


@router.get(
    "/health/live", operation_id="oipLive", summary="The process answers", responses=_answers(OipLive)
)
async def live(parts: TheParts) -> Response:
    """Needs no key."""
    return JSONResponse({"live": parts.oip.live()})


@router.get(
    "/health/ready", operation_id="oipReady", summary="The hub can be used", responses={
        **_answers(OipReady), 503: {"model": OipReady, "description": "Not yet, or not now; see `/readyz`."},
    },
)  # fmt: skip
async def ready(parts: TheParts) -> Response:
    """Needs no key."""
    good = await parts.oip.ready()
    return JSONResponse({"ready": good}, 200 if good else 503)


@router.get("/models", operation_id="oipModels", summary="Names", responses=_answers(OipNames))
async def models(parts: TheParts, caller: Inferrer) -> Response:
    """Every model and algorithm that the key may use, ready or not."""
    return JSONResponse({"models": parts.oip.names(caller)})


@router.get(
    "/models/stats", operation_id="oipStats", summary="Counts and times", responses=_answers(OipStats)
)
async def stats(parts: TheParts, caller: Inferrer) -> Response:
    """Of everything that the key may use, in the process that answers."""
    return JSONResponse(parts.oip.statistics(caller))


@router.get(
    _ONE, operation_id="oipModel", summary="Inputs and outputs", responses=_answers(OipModel, 404, 503)
)
async def model_metadata(model: str, parts: TheParts, caller: Inferrer) -> Response:
    """What a model or algorithm takes and gives. Read from its graph, without loading it."""
    return JSONResponse(await parts.oip.model_metadata(caller, model))


@router.get(
    _VERSION,
    operation_id="oipModelVersion",
    summary="Inputs and outputs",
    responses=_answers(OipModel, 404, 503),
)
async def version_metadata(model: str, version: str, parts: TheParts, caller: Inferrer) -> Response:
    """The same of the version that its card has."""
    return JSONResponse(await parts.oip.model_metadata(caller, model, version))


@router.get(
    f"{_ONE}/ready", operation_id="oipModelReady", summary="Whether it would answer",
    responses=_answers(OipModelReady, 404, 503),
)  # fmt: skip
async def model_ready(model: str, parts: TheParts, caller: Inferrer) -> Response:
    """Ready when its weights are here, in memory or not: the first request loads it."""
    return _readiness(model, parts.oip.why_not_ready(caller, model))


@router.get(
    f"{_VERSION}/ready", operation_id="oipModelVersionReady", summary="Whether it would answer",
    responses=_answers(OipModelReady, 404, 503),
)  # fmt: skip
async def version_ready(model: str, version: str, parts: TheParts, caller: Inferrer) -> Response:
    """The same of the version that its card has."""
    return _readiness(model, parts.oip.why_not_ready(caller, model, version))


def _readiness(model: str, reason: str) -> Response:
    if reason:
        raise WeightsMissingError(f"{model} is not ready: {reason}")
    return JSONResponse({"name": model, "ready": True})


@router.get(
    f"{_ONE}/config",
    operation_id="oipConfig",
    summary="Configuration as Triton says it",
    responses=_errors(404, 503),
)
async def model_config(model: str, parts: TheParts, caller: Inferrer) -> Response:
    """As far as it has a meaning here."""
    return JSONResponse(await parts.oip.model_config(caller, model))


@router.get(
    f"{_VERSION}/config", operation_id="oipConfigVersion", summary="Configuration as Triton says it",
    responses=_errors(404, 503),
)  # fmt: skip
async def version_config(model: str, version: str, parts: TheParts, caller: Inferrer) -> Response:
    """The same of the version that its card has."""
    return JSONResponse(await parts.oip.model_config(caller, model, version))


@router.get(
    f"{_ONE}/stats",
    operation_id="oipModelStats",
    summary="Counts and times of one",
    responses=_answers(OipStats, 404),
)
async def model_stats(model: str, parts: TheParts, caller: Inferrer) -> Response:
    """In the process that answers, since it started."""
    return JSONResponse(parts.oip.statistics(caller, model))


@router.get(
    f"{_VERSION}/stats", operation_id="oipModelVersionStats", summary="Counts and times of one",
    responses=_answers(OipStats, 404),
)  # fmt: skip
async def version_stats(model: str, version: str, parts: TheParts, caller: Inferrer) -> Response:
    """The same of the version that its card has."""
    return JSONResponse(parts.oip.statistics(caller, model, version))


@router.post(
    "/repository/index", operation_id="oipIndex", summary="Names with their state",
    responses={**_errors(400), 200: {"model": list[OipIndexRow]}}, openapi_extra=_takes(OipIndexBody),
)  # fmt: skip
async def index(request: Request, parts: TheParts, caller: Inferrer) -> Response:
    """What is not ready says why, and the command that helps."""
    asked = await _body(request, OipIndexBody)
    return JSONResponse(parts.oip.repository_index(caller, ready=asked.ready))


@router.post(
    "/repository/models/{model}/load", operation_id="oipLoad", summary="Bring into memory",
    responses=_errors(400, 404, 501, 503, 504), openapi_extra=_takes(OipLoadBody),
)  # fmt: skip
async def load(model: str, request: Request, parts: TheParts, caller: Administrator) -> Response:
    """In the process that answers. Models come from their cards: none can be sent along."""
    if (await _body(request, OipLoadBody)).parameters:
        raise NotSupportedError(
            "a model cannot be sent or configured with the request to load it", hint="add a card to models/"
        )
    await parts.oip.load(caller, model)
    return JSONResponse({"name": model, "load": True})


@router.post(
    "/repository/models/{model}/unload", operation_id="oipUnload", summary="Give memory back",
    responses=_errors(400, 404, 409), openapi_extra=_takes(OipUnloadBody),
)  # fmt: skip
async def unload(model: str, request: Request, parts: TheParts, caller: Administrator) -> Response:
    """It stays ready: the next request loads it again."""
    asked = await _body(request, OipUnloadBody)
    await parts.oip.unload(caller, model, dependents=asked.parameters.unload_dependents)
    return JSONResponse({"name": model, "unload": True})


Body = TypeVar("Body", bound=BaseModel)


async def _body(request: Request, kind: type[Body]) -> Body:
    """The body as this model; clients send none where they have nothing to say."""
    try:
        return kind.model_validate_json(await request.body() or b"{}")
    except ValidationError as error:
        raise invalid_model(error) from error


_REFUSED: tuple[tuple[str, str, str], ...] = (
    *(
        (
            method,
            f"/{kind}sharedmemory{path}",
            "memory shared with the caller is not read here: send tensors in binary form",
        )
        for kind in ("system", "cuda")
        for method, path in (
            ("GET", "/status"),
            ("GET", "/region/{region}/status"),
            ("POST", "/region/{region}/register"),
            ("POST", "/region/{region}/unregister"),
            ("POST", "/unregister"),
        )
    ),
    *(
        (method, path, why)
        for path, why in (
            ("/trace/setting", "traces are not set through this protocol"),
            ("/models/{model}/trace/setting", "traces are not set through this protocol"),
            ("/logging", "the log is set with AIHUB_LOG_LEVEL when the hub starts"),
        )
        for method in ("GET", "POST")
    ),
)
"""Parts of the protocol that are not done here, and why."""


def _refuse(method: str, path: str, why: str) -> None:
    async def refused(_: Inferrer) -> Response:
        raise NotSupportedError(why)

    name = "".join(part.strip("{}").capitalize() for part in path.split("/"))
    router.add_api_route(
        path,
        refused,
        methods=[method],
        operation_id=f"oip{method.capitalize()}{name}",
        summary="Not done here",
        description=f"Answers 501: {why}.",
        responses=_errors(501),
        openapi_extra={
            "parameters": [
                {"name": part.strip("{}"), "in": "path", "required": True, "schema": {"type": "string"}}
                for part in path.split("/")
                if part.startswith("{")
            ]
        },
    )


for _row in _REFUSED:
    _refuse(*_row)
