"""`/v1/jobs`: films and pictures that are analysed once, from beginning to end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

from aihub.errors import (
    ConflictError,
    InputError,
    ParamsError,
    QueueFullError,
    StorageError,
    UnsupportedTypeError,
)
from aihub.jobs.folders import JobFolder, JobFolders, OutputNotFoundError
from aihub.serve.access import Inferrer, Parts, TheParts, TheServices
from aihub.serve.audit import TheActor, noting
from aihub.serve.job_intake import JobIntake
from aihub.serve.payloads import read_json
from aihub.serve.problems import documented
from aihub.serve.security import Caller
from aihub.serve.services import Services
from aihub.storage.jobs import JobNotFoundError
from aihub.storage.records import Actor
from aihub.types.jobs import Job, JobInfo, JobOutput, JobState, JobStep

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=documented())

HEARTBEAT_S = 15
SEND_TIMEOUT_S = 30.0
POLL_S = 0.5
MAX_LISTENERS = 200

Span = Annotated[str | None, Header(alias="Range", description="One range of bytes, such as `bytes=0-1023`.")]
_SPAN = re.compile(r"bytes=(?P<first>[0-9]{0,15})-(?P<last>[0-9]{0,15})")

_ALGORITHMS = [
    {"algorithm": "intrusion", "params": {"zone": [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]}},
    "motion-detection",
]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_CREATE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": (
            "A film or a ZIP of pictures as `file` of a form; put the other fields before it, so that a mistake is "
            "told before the file is sent. Or, as JSON, a folder on the hub's machine."
        ),
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["algorithms", "file"],
                    "properties": {
                        "algorithms": {
                            "type": "string",
                            "description": "JSON list of ids, or of objects with `algorithm`, `params`, `id`; or ids separated by commas.",
                        },
                        "fps": {"type": "string", "description": "Analysed frames per second, at most; 5."},
                        "outputs": {
                            "type": "string",
                            "description": "Of `jsonl`, `mp4`, `coco`: a JSON list, or separated by commas.",
                        },
                        "codec": {
                            "type": "string",
                            "enum": ["vp9", "mpeg4"],
                            "description": "Of `mp4`: `vp9` (browsers show it) or `mpeg4` (made some 70 times quicker).",
                        },
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            },
            "application/json": {
                "schema": {"$ref": "#/components/schemas/JobFolderIn"},
                "example": {
                    "folder": "/data/pictures/monday",
                    "algorithms": _ALGORITHMS,
                    "outputs": ["coco"],
                },
            },
        },
    }
}


class JobPage(BaseModel):
    """Part of the list of jobs, newest first."""

    items: list[JobInfo]
    next_cursor: str | None = Field(None, description="Send it as `cursor` for what follows.")


@router.post(
    "",
    operation_id="createJob",
    summary="Submit a film, a ZIP of pictures or a folder",
    status_code=201,
    response_model=JobInfo,
    responses=documented(400, 404, 413, 415, 503, 507),
    openapi_extra=_CREATE_BODY,
)
async def create_job(request: Request, parts: TheParts, caller: Inferrer) -> Response:
    """Store the file; a host takes the job up within seconds, beside the streams and after them.

    Nothing of a job goes to sinks: its events are lines of its results.
    """
    intake = JobIntake(parts, caller)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        job = await intake.from_form(request)
    elif content_type == "application/json":
        job = await asyncio.to_thread(intake.from_folder, await _json(request))
    else:
        raise UnsupportedTypeError(
            f"content type {content_type!r} is not read here",
            hint="send a form with a part 'file', or JSON that names a folder",
        )
    headers = {"Location": f"/v1/jobs/{job.id}"}
    return JSONResponse(JobInfo.of(job).model_dump(mode="json"), 201, headers)


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = read_json(await request.body())
    except ValueError as error:
        raise ParamsError("the body is not JSON", field="body") from error
    if not isinstance(body, dict):
        raise ParamsError("the body must be an object", field="body")
    return body


@router.get("", operation_id="listJobs", summary="List the jobs")
def list_jobs(
    services: TheServices,
    caller: Inferrer,
    state: JobState | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> JobPage:
    """Jobs of the tenant, newest first."""
    page = services.repository.list_jobs(tenant=caller.sees, state=state, after=cursor, limit=limit)
    return JobPage(items=[JobInfo.of(job) for job in page.items], next_cursor=page.cursor)


@router.get("/{job_id}", operation_id="getJob", summary="One job", responses=documented(404))
def get_job(job_id: str, services: TheServices, caller: Inferrer) -> JobInfo:
    """What was asked for and how far it is."""
    return JobInfo.of(services.repository.get_job(job_id, tenant=caller.sees))


@router.get(
    "/{job_id}/progress",
    operation_id="followJob",
    summary="How far a job is, as it goes on",
    response_class=EventSourceResponse,
    responses=documented(404, 429, 503)
    | {
        200: {
            "description": "Server-sent events: `data` is a JobStep. Ends after the one whose state is an end.",
            "content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/JobStep"}}},
        }
    },
)
async def follow_job(job_id: str, parts: TheParts, caller: Inferrer) -> Response:
    """A step whenever something changed, twice a second at most."""
    get = parts.services.repository.get_job
    job = await asyncio.to_thread(get, job_id, tenant=caller.sees)
    if _Listening.count >= MAX_LISTENERS:
        raise QueueFullError("too many listeners", hint="ask GET /v1/jobs/ID now and then instead")
    return EventSourceResponse(
        _steps(job, lambda: get(job_id, tenant=caller.sees)),
        ping=HEARTBEAT_S,
        sep="\n",
        send_timeout=SEND_TIMEOUT_S,
        headers={"Cache-Control": "no-store"},
    )


class _Listening:
    count = 0


async def _steps(job: Job, get: Callable[[], Job]) -> AsyncIterator[ServerSentEvent]:
    _Listening.count += 1
    told = ""
    try:
        while True:
            text = JobStep.of(job).model_dump_json()
            if text != told:
                told = text
                yield ServerSentEvent(data=text, sep="\n")
            if job.state.ended:
                return
            await asyncio.sleep(POLL_S)
            try:
                job = await asyncio.to_thread(get)
            except JobNotFoundError:
                return
            except StorageError:
                continue  # the listener waits as the job does
    finally:
        _Listening.count -= 1


@router.post(
    "/{job_id}/cancel", operation_id="cancelJob", summary="End a job early", responses=documented(404, 409)
)
def cancel_job(job_id: str, services: TheServices, caller: Inferrer) -> JobInfo:
    """It stops at the next frame; the lines it has written stay. Asking again changes nothing."""
    return JobInfo.of(services.repository.cancel_job(job_id, tenant=caller.sees))


@router.delete(
    "/{job_id}",
    operation_id="deleteJob",
    summary="Forget a job and its files",
    status_code=204,
    responses=documented(404, 409),
)
def delete_job(job_id: str, services: TheServices, caller: Inferrer, actor: TheActor) -> Response:
    """Only one that has ended: cancel it first. Noted in the audit."""
    with noting(services.repository, actor, "job.delete", job_id):
        services.repository.delete_job(job_id, tenant=caller.sees)
    _folder(services, job_id).remove()
    return Response(status_code=204)


def _file(media_type: str, text: str) -> dict[int | str, dict[str, Any]]:
    whole = {"description": text, "content": {media_type: _BINARY}}
    part = {"description": "The part that the header Range asked for.", "content": {media_type: _BINARY}}
    return {**documented(400, 404, 409, 416), 200: whole, 206: part}


@router.get(
    "/{job_id}/results.jsonl",
    operation_id="getJobResults",
    summary="Results as JSON lines",
    response_class=FileResponse,
    responses=_file("application/jsonl", "One JSON object a line."),
)
def get_results(
    job_id: str, parts: TheParts, caller: Inferrer, actor: TheActor, span: Span = None
) -> Response:
    """All lines of a job that has ended; of one that failed or was cancelled, those it had written."""
    return _answer(parts, caller, actor, job_id, JobOutput.JSONL, span)


@router.get(
    "/{job_id}/annotated.mp4",
    operation_id="getJobFilm",
    summary="The film with the results drawn on it",
    response_class=FileResponse,
    responses=_file(
        "video/mp4",
        "VP9 in MP4 (browsers, VLC, mpv, ffmpeg) or MPEG-4 part 2 (VLC, mpv, ffmpeg, no browser), as asked for.",
    ),
)
def get_film(job_id: str, parts: TheParts, caller: Inferrer, actor: TheActor, span: Span = None) -> Response:
    """Every analysed frame. Each try to get it is noted in the audit."""
    return _answer(parts, caller, actor, job_id, JobOutput.MP4, span)


@router.get(
    "/{job_id}/coco.json",
    operation_id="getJobCoco",
    summary="Detections as COCO",
    response_class=FileResponse,
    responses=_file("application/json", "COCO's detection format, with scores."),
)
def get_coco(job_id: str, parts: TheParts, caller: Inferrer, actor: TheActor, span: Span = None) -> Response:
    """Images, categories by label, and annotations with `score`, `algorithm` and, once tracked, `track_id`."""
    return _answer(parts, caller, actor, job_id, JobOutput.COCO, span)


_FILES: dict[JobOutput, tuple[Callable[[JobFolder], Path], str, str]] = {
    JobOutput.JSONL: (lambda folder: folder.lines, "application/jsonl", "results.jsonl"),
    JobOutput.MP4: (lambda folder: folder.film, "video/mp4", "annotated.mp4"),
    JobOutput.COCO: (lambda folder: folder.coco, "application/json", "coco.json"),
}


def _answer(
    parts: Parts, caller: Caller, actor: Actor, job_id: str, output: JobOutput, span: str | None
) -> Response:
    services = parts.services
    with noting(services.repository, actor, f"job.{output.value}", job_id):
        job = services.repository.get_job(job_id, tenant=caller.sees)
        if not job.state.ended:
            raise ConflictError(
                f"the job is {job.state.value}", hint=f"follow it at /v1/jobs/{job.id}/progress"
            )
        place, media_type, name = _FILES[output]
        path = place(_folder(services, job.id))
        if not path.is_file():
            raise OutputNotFoundError(f"{job.id}/{name}")
        _check_span(span, path.stat().st_size)
    return FileResponse(
        path,
        media_type=media_type,
        filename=f"{job.id}-{name}",
        content_disposition_type="inline",
        headers={"Cache-Control": "private, max-age=3600"},
    )


def _check_span(span: str | None, size: int) -> None:
    """Refuse what cannot be given in our own form of errors; all else is the web framework's.

    Raises:
        InputError: not a range of bytes.
        HTTPException: 416, it begins behind the end.
    """
    if span is None:
        return
    found = _SPAN.fullmatch(span)
    if found is None or found["first"] == found["last"] == "":
        raise InputError("Range must be one range of bytes, such as bytes=0-1023", field="Range")
    first, last = found["first"], found["last"]
    if first and last and int(last) < int(first):
        raise InputError("the range ends before it begins", field="Range")
    if (int(first) >= size) if first else int(last) == 0:
        raise HTTPException(416, f"the file has {size:,} bytes", {"Content-Range": f"bytes */{size}"})


def _folder(services: Services, job_id: str) -> JobFolder:
    return JobFolders(services.settings.home).of(job_id)
