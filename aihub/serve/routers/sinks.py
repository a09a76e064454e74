"""`/v1/sinks`: where events are delivered to."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.responses import Response

from aihub.errors import AddressError, ForbiddenError, NotFoundError, ParamsError
from aihub.events.delivery import Surroundings, make_sink
from aihub.serve.access import Parts, Responder, TheParts, TheServices
from aihub.serve.problems import documented
from aihub.serve.schemas import ReplayOut, SinkIn, SinkList
from aihub.serve.security import Caller
from aihub.storage.base import MAX_PAGE
from aihub.storage.records import ANY_TENANT, SinkSpec
from aihub.types import uuid7
from aihub.types.addresses import AddressGuard, UnresolvedError
from aihub.types.answers import Sink

router = APIRouter(prefix="/v1/sinks", tags=["sinks"], responses=documented())


SHARED_FOLDER_KINDS = frozenset({"jsonl"})
"""Kinds that write to a folder which all tenants share: only an administrator may choose file names there."""


@router.post(
    "", operation_id="createSink", summary="Add a sink", status_code=201, responses=documented(400, 404, 409)
)
def create_sink(body: SinkIn, parts: TheParts, caller: Responder) -> Sink:
    """It gets what happens from now on. Its parameters are never shown again."""
    _check(body, parts)
    if body.kind in SHARED_FOLDER_KINDS:
        caller.require("admin")
    sink = SinkSpec(
        id=body.id or uuid7(),
        name=body.name,
        kind=body.kind,
        tenant=_tenant(body.tenant, caller),
        params=body.params,
        algorithms=tuple(body.algorithms),
        severities=tuple(severity.value for severity in body.severities),
        streams=tuple(body.streams),
        enabled=body.enabled,
    )
    return _public(parts.services.repository.add_sink(sink))


@router.get("", operation_id="listSinks", summary="List the sinks")
def list_sinks(services: TheServices, caller: Responder) -> SinkList:
    """All sinks of the tenant, oldest first."""
    return SinkList(items=[_public(sink) for sink in services.repository.list_sinks(caller.sees)])


@router.get("/{sink_id}", operation_id="getSink", summary="One sink", responses=documented(404))
def get_sink(sink_id: str, services: TheServices, caller: Responder) -> Sink:
    """What it wants and where it delivers to."""
    return _public(services.repository.get_sink(sink_id, tenant=caller.sees))


@router.delete(
    "/{sink_id}",
    operation_id="deleteSink",
    summary="Remove a sink",
    status_code=204,
    responses=documented(404),
)
def delete_sink(sink_id: str, services: TheServices, caller: Responder) -> Response:
    """Remove it with all that waits for it."""
    services.repository.delete_sink(sink_id, tenant=caller.sees)
    return Response(status_code=204)


@router.post(
    "/{sink_id}/replay",
    operation_id="replaySink",
    summary="Try dead letters again",
    responses=documented(404),
)
def replay_sink(sink_id: str, services: TheServices, caller: Responder) -> ReplayOut:
    """Put the deliveries that were given up back into the outbox, at most a thousand at a time, newest first."""
    repository = services.repository
    repository.get_sink(sink_id, tenant=caller.sees)
    letters = repository.dead_letters(MAX_PAGE, sink_id=sink_id)
    return ReplayOut(replayed=repository.replay([letter.id for letter in letters]) if letters else 0)


def _check(body: SinkIn, parts: Parts) -> None:
    """Make the sink once, without connecting, so that a wrong parameter or address shows now and not at 3 a.m."""
    surroundings = Surroundings(parts.services.settings.home / "out", parts.webhooks)
    try:
        make_sink(body.kind, body.params, surroundings).close()
        _check_address(body, parts.webhooks)
    except NotFoundError as error:
        error.field = "kind"
        raise
    except ParamsError as error:
        error.field = f"params.{error.field}" if error.field else "params"
        raise


def _check_address(body: SinkIn, guard: AddressGuard) -> None:
    parts = urlsplit(str(body.params.get("url", "")))
    if parts.hostname is None:
        return
    try:
        guard.check(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    except UnresolvedError:
        return  # it may have an address when there is something to deliver
    except AddressError as error:
        error.field = "params.url"
        error.hint = "the operator allows networks with AIHUB_WEBHOOK_NETWORKS"
        raise


def _tenant(asked: str | None, caller: Caller) -> str:
    if asked is not None and asked != caller.tenant and not caller.admin:
        who = "all tenants" if asked == ANY_TENANT else "another tenant"
        raise ForbiddenError(f"only an administrator may send on the events of {who}", field="tenant")
    return asked or caller.tenant


def _public(sink: SinkSpec) -> Sink:
    return Sink(
        id=sink.id,
        name=sink.name,
        kind=sink.kind,
        tenant=sink.tenant,
        algorithms=list(sink.algorithms),
        severities=list(sink.severities),
        streams=list(sink.streams),
        enabled=sink.enabled,
        created_at=sink.created_at,
        target=_target(sink),
    )


def _target(sink: SinkSpec) -> str:
    # Paths of webhooks are often secrets themselves, so host and port are all that is shown.
    parts = urlsplit(str(sink.params.get("url", "")))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
