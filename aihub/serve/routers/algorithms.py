"""`/v1/algorithms`: what the hub can do."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from aihub.algorithms.algorithm import Algorithm
from aihub.errors import InputError, NotSupportedError, TooLargeError, UnsupportedTypeError
from aihub.serve.access import Administrator, Reader, TheServices
from aihub.serve.audit import TheActor, noting_failure
from aihub.serve.grants import granted, granted_list
from aihub.serve.own_cards import OwnCards
from aihub.serve.problems import documented
from aihub.serve.result_schemas import result_schema
from aihub.serve.schemas import AlgorithmList, BrokenCard
from aihub.serve.services import Services
from aihub.types import Readiness
from aihub.types.answers import AlgorithmDetail, AlgorithmInfo, Evidence
from aihub.types.cards import MAX_CARD_BYTES

router = APIRouter(prefix="/v1", tags=["algorithms"], responses=documented())

CARD_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/plain")


@router.get("/algorithms", operation_id="listAlgorithms", summary="List the algorithms")
def list_algorithms(
    services: TheServices,
    caller: Reader,
    domain: str | None = None,
    readiness: Readiness | None = None,
) -> AlgorithmList:
    """Every algorithm that the caller may use, with its readiness, by domain and id."""
    items = [
        AlgorithmInfo(**_described(algorithm))
        for algorithm in granted_list(services.registry, caller)
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
def get_algorithm(algorithm_id: str, services: TheServices, caller: Reader) -> AlgorithmDetail:
    """What it does, whether it is ready, what parameters it takes, what it gives, what event it raises."""
    algorithm = granted(services.registry, caller, algorithm_id)
    return AlgorithmDetail(**_described(algorithm), result=result_schema(algorithm))


_CARD = {
    "requestBody": {
        "required": True,
        "description": "The card, YAML.",
        "content": {kind: {"schema": {"type": "string"}} for kind in CARD_TYPES},
    }
}


@router.put(
    "/algorithms/{algorithm_id}",
    operation_id="putAlgorithm",
    summary="Give the hub an algorithm of your own",
    responses=documented(400, 409, 413, 415, 501) | {201: {"model": AlgorithmDetail}},
    openapi_extra=_CARD,
)
async def put_algorithm(
    algorithm_id: str,
    request: Request,
    services: TheServices,
    _: Administrator,
    actor: TheActor,
    response: Response,
) -> AlgorithmDetail:
    """Takes a card and uses it at once, without a restart: new, or in the place of one that was given before.

    What is wrong with it is told by line or field, and changes nothing. Streams that it watches are watched by the new one.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind not in CARD_TYPES:
        raise UnsupportedTypeError(
            f"content type {kind!r} is no card", field="Content-Type", hint="application/yaml"
        )
    own, text = _own(services), _text(await request.body())

    def store() -> bool:
        with noting_failure(services.repository, actor, "card.put", algorithm_id):
            return own.put(algorithm_id, text, actor)

    if await asyncio.to_thread(store):
        response.status_code = 201
    algorithm = services.registry.get(algorithm_id)
    return AlgorithmDetail(**await asyncio.to_thread(_described, algorithm), result=result_schema(algorithm))


@router.delete(
    "/algorithms/{algorithm_id}",
    operation_id="deleteAlgorithm",
    summary="Take an algorithm of your own away",
    status_code=204,
    responses=documented(404, 409, 501),
)
def delete_algorithm(algorithm_id: str, services: TheServices, _: Administrator, actor: TheActor) -> Response:
    """Streams that it watches say that it is gone; those that come with the hub stay."""
    with noting_failure(services.repository, actor, "card.delete", algorithm_id):
        _own(services).remove(algorithm_id, actor)
    return Response(status_code=204)


def _own(services: Services) -> OwnCards:
    if services.own_cards is None:
        raise NotSupportedError("this process takes no algorithms")
    return services.own_cards


def _text(body: bytes) -> str:
    if len(body) > MAX_CARD_BYTES:
        raise TooLargeError(f"a card may have {MAX_CARD_BYTES:,} bytes at most", field="body")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InputError("a card is UTF-8 text", field="body") from error


def _described(algorithm: Algorithm) -> dict[str, Any]:
    """The public face of an algorithm."""
    card = algorithm.card
    readiness, reason = algorithm.readiness()
    return {
        **card.model_dump(include={"id", "version", "title", "summary", "domain", "input", "event"}),
        "readiness": readiness,
        "reason": reason,
        "params": algorithm.params_schema(),
        "models": list(algorithm.models()),
        "evidence": [Evidence(media=one.shown, evidence=one.evidence) for one in card.examples],
        "intended_use": card.intended_use,
        "limits": card.limits,
    }
