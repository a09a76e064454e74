"""`/v1/streams`: cameras under analysis."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Body, Header, Query
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from aihub.errors import (
    AihubError,
    ForbiddenError,
    GalleryNotFoundError,
    ParamsError,
    StreamError,
    StreamNotFoundError,
)
from aihub.serve.access import Parts, TheParts, TheServices, Watcher
from aihub.serve.audit import TheActor, noted
from aihub.serve.intake import Intake
from aihub.serve.jpeg import A_JPEG
from aihub.serve.problems import body_of, documented, invalid_model, status_of
from aihub.serve.schemas import StreamBulkIn, StreamBulkOut, StreamPage, StreamPatch
from aihub.serve.security import Caller
from aihub.serve.services import Services
from aihub.storage.base import TenantNotFoundError, to_cursor
from aihub.storage.repository import Repository
from aihub.types import StreamSpec, StreamState, StreamStatus, StreamTask
from aihub.types.answers import Problem, Stream, StreamResult

router = APIRouter(prefix="/v1/streams", tags=["streams"], responses=documented())

SNAPSHOT_TIMEOUT_S = 5.0
SNAPSHOT_POLL_S = 0.1
MAX_SCAN = 5000
"""Streams looked at for one page when states are filtered: statuses are not indexed."""

_EXAMPLE = {
    "name": "gate 3",
    "url": "rtsp://user:secret@10.1.2.3:554/Streaming/Channels/101",
    "tasks": [{"algorithm": "intrusion", "params": {"zone": [[0.1, 0.5], [0.9, 0.5], [0.9, 1], [0.1, 1]]}}],
}
_CREATE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        {"$ref": "#/components/schemas/StreamIn"},
                        {"$ref": "#/components/schemas/StreamBulkIn"},
                    ]
                },
                "examples": {"one": {"value": _EXAMPLE}, "many": {"value": {"streams": [_EXAMPLE]}}},
            }
        },
    }
}
IfMatch = Annotated[str | None, Header(description="Revision that is to be changed; another one gives 409.")]


class NoPictureError(StreamError):
    """The stream has no picture to show now."""

    retryable: ClassVar[bool] = True


@router.post(
    "",
    operation_id="createStreams",
    summary="Submit one stream or many",
    status_code=201,
    response_model=Stream,
    responses=documented(400, 404, 409)
    | {
        207: {
            "model": StreamBulkOut,
            "description": "Some of many were refused; also 201 with this body when none was.",
        }
    },
    openapi_extra=_CREATE_BODY,
)
async def create_streams(
    body: Annotated[dict[str, Any], Body()], parts: TheParts, caller: Watcher
) -> Response:
    """Store streams; a host takes them up within seconds.

    With `streams` in the body each is judged by itself: the answer has a result for each, in order.
    """
    intake = Intake(parts.services.registry, parts.cameras, caller)
    if "streams" in body:
        return await _create_many(body, parts.services, intake, caller)
    spec = await asyncio.to_thread(_add, parts.services.repository, await intake.new(body), caller)
    made = Stream.of(spec, _first_status(spec))
    headers = {"Location": f"/v1/streams/{spec.id}", "ETag": _etag(spec)}
    return JSONResponse(made.model_dump(mode="json"), 201, headers)


async def _create_many(
    body: Mapping[str, Any], services: Services, intake: Intake, caller: Caller
) -> Response:
    try:
        asked = StreamBulkIn.model_validate(body).streams
    except ValidationError as error:
        raise invalid_model(error) from error
    checked = await intake.many(asked)
    results = await asyncio.to_thread(
        lambda: [_store(services, index, found, caller) for index, found in enumerate(checked)]
    )
    failed = sum(result.problem is not None for result in results)
    answer = StreamBulkOut(created=len(results) - failed, failed=failed, results=results)
    return JSONResponse(answer.model_dump(mode="json", exclude_none=True), 207 if failed else 201)


def _store(services: Services, index: int, found: StreamSpec | AihubError, caller: Caller) -> StreamResult:
    try:
        if isinstance(found, AihubError):
            raise found
        spec = _add(services.repository, found, caller)
    except AihubError as error:
        name = None if isinstance(found, AihubError) else found.id
        problem = Problem.model_validate(body_of(error))
        return StreamResult(index=index, status=status_of(error), id=name, problem=problem)
    return StreamResult(index=index, status=201, id=spec.id, stream=Stream.of(spec, _first_status(spec)))


def _add(repository: Repository, spec: StreamSpec, caller: Caller) -> StreamSpec:
    _check_account(repository, caller, spec.tenant, spec.tasks)
    return repository.add_stream(spec)


def _check_account(repository: Repository, caller: Caller, tenant: str, tasks: Sequence[StreamTask]) -> None:
    """Grants do not bind administrators, but the tenants whose streams they add: without one, the task would not run.

    Raises:
        TenantNotFoundError: there is no such tenant.
        ForbiddenError: it has no grant for an algorithm; names the task.
        GalleryNotFoundError: it has no gallery that a task names.
    """
    _check_galleries(repository, tenant, tasks)
    if not caller.admin:
        return  # its own tenant's grants have been looked at already, and tell less
    try:
        account = repository.get_tenant(tenant)
    except TenantNotFoundError as error:
        error.field, error.hint = "tenant", f"aihub tenants create {tenant}"
        raise
    for index, task in enumerate(tasks):
        if not account.may_use(task.algorithm):
            raise ForbiddenError(
                f"tenant {tenant!r} has no grant for {task.algorithm}",
                field=f"tasks[{index}].algorithm",
                hint=f"aihub tenants update {tenant} -a ...",
            )


def _check_galleries(repository: Repository, tenant: str, tasks: Sequence[StreamTask]) -> None:
    """The galleries that tasks name are there; they are those of the stream's tenant, whoever adds it."""
    for index, task in enumerate(tasks):
        if gallery := task.params.get("gallery"):
            try:
                repository.get_gallery(tenant, str(gallery))
            except GalleryNotFoundError as error:
                error.field = f"tasks[{index}].params.gallery"
                raise


def _first_status(spec: StreamSpec) -> StreamStatus:
    return StreamStatus(state=StreamState.PENDING if spec.enabled else StreamState.PAUSED)


@router.get("", operation_id="listStreams", summary="List the streams")
def list_streams(
    services: TheServices,
    caller: Watcher,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    state: StreamState | None = None,
) -> StreamPage:
    """Streams by id, with how they are doing. With `state` a page may hold fewer than `limit` and still have a next."""
    repository = services.repository
    groups = _groups(repository, caller)
    items: list[Stream] = []
    scanned = 0
    while True:
        page = repository.list_streams(tenant=caller.sees, after=cursor, limit=limit, groups=groups)
        statuses = repository.statuses([spec.id for spec in page.items])
        found = (Stream.of(spec, statuses.get(spec.id, StreamStatus())) for spec in page.items)
        items += (stream for stream in found if state in (None, stream.status.state))
        scanned += len(page.items)
        cursor = page.cursor
        if len(items) > limit:
            items = items[:limit]
            cursor = to_cursor([items[-1].id])
        if cursor is None or len(items) == limit or scanned >= MAX_SCAN:
            return StreamPage(items=items, next_cursor=cursor)


@router.get("/{stream_id}", operation_id="getStream", summary="One stream", responses=documented(404))
def get_stream(stream_id: str, services: TheServices, caller: Watcher, response: Response) -> Stream:
    """What was asked for and how it is doing."""
    spec = _seen(services.repository, stream_id, caller)
    response.headers["ETag"] = _etag(spec)
    return _merged(services, spec)


@router.patch(
    "/{stream_id}",
    operation_id="updateStream",
    summary="Change a stream",
    responses=documented(400, 404, 409),
)
async def update_stream(
    stream_id: str,
    patch: StreamPatch,
    parts: TheParts,
    caller: Watcher,
    response: Response,
    if_match: IfMatch = None,
) -> Stream:
    """Change what is given; `enabled: false` pauses, `true` resumes. Moving to another host drops stored credentials."""
    expected = _revision(if_match)
    repository = parts.services.repository
    old = await asyncio.to_thread(_seen, repository, stream_id, caller)
    changes = await Intake(parts.services.registry, parts.cameras, caller).changes(old, patch)
    if "tasks" in changes:
        await asyncio.to_thread(_check_account, repository, caller, old.tenant, changes["tasks"])
    # What was decided from the old state holds for that state only, so a move is bound to it.
    expected = old.revision if expected is None and "url" in changes else expected
    spec = await asyncio.to_thread(
        repository.update_stream, stream_id, changes, expected_revision=expected, tenant=caller.sees
    )
    response.headers["ETag"] = _etag(spec)
    return await asyncio.to_thread(_merged, parts.services, spec)


@router.delete(
    "/{stream_id}",
    operation_id="deleteStream",
    summary="Remove a stream",
    status_code=204,
    responses=documented(404),
)
def delete_stream(stream_id: str, parts: TheParts, caller: Watcher) -> Response:
    """Stop and forget it; its events stay."""
    _seen(parts.services.repository, stream_id, caller)
    parts.services.repository.delete_stream(stream_id, tenant=caller.sees)
    parts.pictures.remove(stream_id)
    return Response(status_code=204)


@router.get(
    "/{stream_id}/snapshot",
    operation_id="getStreamSnapshot",
    summary="A picture of now",
    response_class=Response,
    responses=documented(404, 503) | A_JPEG,
)
async def get_snapshot(stream_id: str, parts: TheParts, caller: Watcher, actor: TheActor) -> Response:
    """Asks the stream's host and waits up to five seconds; 503 says in what state the stream is when none comes.

    Every try is noted in the audit.
    """
    async with noted(parts.services.repository, actor, "stream.snapshot", stream_id):
        picture = await _snapshot(parts, stream_id, caller)
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


async def _snapshot(parts: Parts, stream_id: str, caller: Caller) -> bytes:
    repository = parts.services.repository
    spec = await asyncio.to_thread(_seen, repository, stream_id, caller)
    asked_at = time.time()
    until = time.monotonic() + SNAPSHOT_TIMEOUT_S
    if spec.enabled:
        await asyncio.to_thread(repository.request_snapshot, spec.id, asked_at)
        while time.monotonic() < until:
            picture = await asyncio.to_thread(parts.pictures.newer, spec.id, asked_at)
            if picture is not None:
                return picture
            await asyncio.sleep(SNAPSHOT_POLL_S)
    status = (await asyncio.to_thread(repository.statuses, [spec.id])).get(spec.id, StreamStatus())
    because = f": {status.error}" if status.error else ""
    raise NoPictureError(f"the stream is {status.state}{because}", hint=status.error_code or None)


def _seen(repository: Repository, stream_id: str, caller: Caller) -> StreamSpec:
    """The stream, if this caller may see it; else it is as good as absent."""
    spec = repository.get_stream(stream_id, tenant=caller.sees)
    if not caller.may_see_group(spec.group):
        raise StreamNotFoundError(stream_id)
    return spec


def _groups(repository: Repository, caller: Caller) -> list[str] | None:
    """The groups that a caller may see; None for all."""
    if caller.admin or "*" in caller.account.stream_groups:
        return None
    return [group for group in repository.stream_groups(caller.sees) if caller.may_see_group(group)]


def _merged(services: Services, spec: StreamSpec) -> Stream:
    return Stream.of(spec, services.repository.statuses([spec.id]).get(spec.id, StreamStatus()))


def _etag(spec: StreamSpec) -> str:
    return f'"{spec.revision}"'


def _revision(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = re.fullmatch(r'(?:W/)?"?(\d{1,18})"?', if_match.strip())
    if found is None:
        raise ParamsError('If-Match must be a revision, such as "3"', field="If-Match")
    return int(found[1])
