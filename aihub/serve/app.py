"""The HTTP application: routes, errors, description; no Ray in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from aihub.algorithms import galleries as face_galleries
from aihub.serve.access import AnyCaller, Parts
from aihub.serve.admission import Admission
from aihub.serve.audio.asking import FORM_BYTES as SOUND_FORM_BYTES
from aihub.serve.audio.desk import SoundDesk
from aihub.serve.cors import let_pages_in
from aihub.serve.edge import OPEN, Edge
from aihub.serve.fetching import Fetcher
from aihub.serve.galleries import HubGalleries
from aihub.serve.grants import scopes_of
from aihub.serve.job_intake import JobFolderIn
from aihub.serve.job_uploads import FORM_BYTES
from aihub.serve.live import LiveFeed
from aihub.serve.live_pictures import LivePictures
from aihub.serve.oip.schemas import OipInferBody, OipUnloadBody
from aihub.serve.oip.service import OipService
from aihub.serve.probe import Probe
from aihub.serve.problems import documented, install
from aihub.serve.routers import (
    algorithms,
    audio,
    audit,
    events,
    feedback,
    galleries,
    health,
    infer,
    jobs,
    keys,
    oip,
    plan,
    scenarios,
    sinks,
    streams,
    tenants,
    usage,
)
from aihub.serve.schemas import InferBody, InferManyBody, StreamBulkIn, StreamIn
from aihub.serve.security import SCOPES, Door
from aihub.serve.services import Services
from aihub.serve.short_way import ShortWay, short_routes
from aihub.serve.usage import UsageBook
from aihub.serve.workers import Workers
from aihub.settings import Settings
from aihub.types.addresses import AddressGuard
from aihub.types.answers import Problem
from aihub.types.jobs import JobStep

ARTIFACTS = "artifacts"
"""Folder below the hub's home that holds evidence and the newest pictures of streams."""
SMALL_BODY = 4 * 1024 * 1024
"""Most bytes of a request that carries no pictures: a thousand streams fit."""

_TAGS = [
    {"name": "inference", "description": "Pictures in, results out."},
    {"name": "audio", "description": "Sound in, what was said and heard out; OpenAI's clients work."},
    {"name": "algorithms", "description": "What the hub can do."},
    {"name": "oip", "description": 'The Open Inference Protocol (v2); errors are `{"error": ...}`.'},
    {"name": "streams", "description": "Cameras under analysis."},
    {"name": "events", "description": "Alarms, past and as they happen."},
    {"name": "feedback", "description": "What people say about alarms, for the next training."},
    {"name": "sinks", "description": "Where alarms are delivered to."},
    {"name": "jobs", "description": "Films and pictures, analysed once from beginning to end."},
    {"name": "galleries", "description": "Faces of people who agreed to be known, for a purpose and a time."},
    {"name": "usage", "description": "What was used."},
    {"name": "admin", "description": "Keys, tenants and the audit."},
    {"name": "hub", "description": "Health and metrics."},
]
_DESCRIPTION = """Video streams and pictures in, results and alarms out.

Every route but `/healthz`, `/readyz` and `/v2/health/...` needs an API key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
Errors are `application/problem+json` (RFC 9457); `code` is what programs should look at.
"""
ROUTERS = (
    infer,
    oip,
    audio,
    algorithms,
    scenarios,
    health,
    streams,
    plan,
    events,
    feedback,
    sinks,
    keys,
    tenants,
    usage,
    audit,
    jobs,
    galleries,
)
"""Routes are tried in this order, and inference is what is called most."""

# Models that appear in hand-written request bodies or in every answer, so FastAPI does not see them by itself.
_UNSEEN: tuple[type[BaseModel], ...] = (
    Problem,
    InferBody,
    InferManyBody,
    OipInferBody,
    OipUnloadBody,
    StreamIn,
    StreamBulkIn,
    JobFolderIn,
    JobStep,
)


def create_app(services: Services) -> FastAPI:
    """The application on these services. It owns nothing of them: whoever made them closes them."""
    parts = _parts(services)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts.admission.usage.start()
        face_galleries.place(parts.galleries)
        yield
        face_galleries.remove(parts.galleries)
        parts.live.close()
        parts.workers.close()
        parts.sound.close()
        parts.fetcher.close()
        await asyncio.to_thread(parts.admission.usage.close)

    app = FastAPI(
        title="aihub",
        version=services.version,
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        openapi_url=None,
        docs_url=None,  # its page fetches scripts from the internet, and a browser sends no key
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        # Our own metrics are kept; Ray installs a global meter, to which FastAPI would report every request again.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.parts = parts
    install(app)
    app.add_middleware(
        ShortWay, routes=short_routes((infer.router, oip.router)), refuse=parts.workers.refuse_if_full
    )
    app.add_middleware(
        Edge,
        door=parts.door,
        limit=_body_limit(services.settings),
        small=SMALL_BODY,
        names_requests=services.names_requests,
    )
    let_pages_in(app, services.settings.cors_origins)
    for module in ROUTERS:
        app.include_router(module.router)
    _describe(app)
    return app


def _parts(services: Services) -> Parts:
    repository = services.repository
    admission = Admission(
        services.usage or UsageBook(repository, services.settings.home / "usage"),
        replicas=services.settings.gateway_replicas,
        needs=lambda name: scopes_of(services, name),
    )
    workers, probe, sound = Workers(), Probe(services), SoundDesk(services, admission)
    return Parts(
        services=services,
        door=Door(repository),
        admission=admission,
        workers=workers,
        fetcher=Fetcher(
            AddressGuard(services.settings.picture_networks), enabled=services.settings.fetch_pictures
        ),
        live=LiveFeed(lambda seq, limit: repository.transitions_after(seq, limit=limit), repository.last_seq),
        pictures=LivePictures(services.settings.home / ARTIFACTS),
        cameras=AddressGuard(services.settings.camera_networks),
        webhooks=AddressGuard(services.settings.webhook_networks),
        probe=probe,
        oip=OipService(services, admission, workers, sound, lambda: probe.check().ready),
        sound=sound,
        galleries=HubGalleries(repository, services.settings),
    )


def _body_limit(settings: Settings) -> Callable[[str, str], int]:
    def limit(path: str, content_type: str) -> int:
        if path.startswith("/v1/algorithms/") or path in ("/v1/infer", "/v1/echo"):
            many = content_type in ("application/json", "multipart/form-data")
            return settings.max_body_bytes if many else settings.max_image_bytes
        if path.startswith("/v2/models/") and path.endswith("/infer"):
            return settings.max_body_bytes
        if path.startswith("/v1/galleries/"):
            return settings.max_body_bytes
        if path == "/v1/jobs" and content_type == "multipart/form-data":
            return settings.max_job_bytes + FORM_BYTES
        if path.startswith("/v1/audio/"):
            return settings.max_sound_bytes + SOUND_FORM_BYTES
        return SMALL_BODY

    return limit


def _describe(app: FastAPI) -> None:
    described: dict[str, Any] = {}

    @app.get(
        "/openapi.json",
        operation_id="openapi",
        summary="This description",
        tags=["hub"],
        responses=documented(),
    )
    async def openapi(_: AnyCaller) -> dict[str, Any]:
        """OpenAPI 3.1. Any key will do."""
        return app.openapi()

    def build() -> dict[str, Any]:
        if not described:
            described.update(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=app.description,
                    tags=app.openapi_tags,
                    routes=app.routes,
                )
            )
            _complete(described)
        return described

    app.openapi = build  # type: ignore[method-assign]  # the documented way to replace it


def _complete(description: dict[str, Any]) -> None:
    components = description.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _, defined = models_json_schema(
        [(model, "validation") for model in _UNSEEN], ref_template="#/components/schemas/{model}"
    )
    for name, schema in defined["$defs"].items():
        schemas.setdefault(name, schema)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    scopes = ", ".join(f"`{name}` ({meaning})" for name, meaning in SCOPES.items())
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": f"An API key. Scopes: {scopes}."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in description["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in OPEN else [{"bearer": []}, {"apiKey": []}]
