"""Whether the hub lives and is ready, its metrics, and what its errors mean."""

from __future__ import annotations

import time

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from aihub.serve.access import AnyCaller, Scraper, TheParts, TheServices
from aihub.serve.metrics import CONTENT_TYPE, collect
from aihub.serve.problems import catalogue, documented
from aihub.serve.schemas import ErrorList
from aihub.types.answers import ErrorCode, Health, Ready

router = APIRouter(tags=["hub"])


@router.get("/healthz", operation_id="health", summary="The process answers")
async def healthz(services: TheServices) -> Health:
    """Needs no key. Looks at nothing else; that is `/readyz`."""
    return Health(version=services.version, uptime_s=round(time.time() - services.started_at, 1))


@router.get(
    "/readyz",
    operation_id="ready",
    summary="The hub can be used",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "Not yet, or not now; `checks` says what is missing."}},
)
def readyz(parts: TheParts) -> Response:
    """Needs no key, so it says what is missing but no more; the log has the rest."""
    answer = parts.probe.check()
    return JSONResponse(answer.model_dump(), 200 if answer.ready else 503)


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Metrics of all processes for Prometheus",
    response_class=Response,
    responses=documented()
    | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Metrics."}},
)
def metrics(services: TheServices, _: Scraper) -> Response:
    """Needs the scope `metrics`. Samples carry the process they come from; those of the outbox speak for the hub."""
    return Response(collect(services.repository), media_type=CONTENT_TYPE)


@router.get(
    "/docs/errors", operation_id="listErrors", summary="What errors there are", responses=documented()
)
async def errors(_: AnyCaller) -> ErrorList:
    """Every `code` of a problem with its HTTP status and meaning."""
    return ErrorList(items=[ErrorCode(**row) for row in catalogue()])
