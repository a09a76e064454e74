"""`/v1/events`: alarms, past and as they happen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from aihub.errors import EventNotFoundError, NotFoundError, ParamsError, QueueFullError
from aihub.serve.access import Responder, TheParts, TheServices
from aihub.serve.audit import TheActor, noting
from aihub.serve.jpeg import A_JPEG, evidence
from aihub.serve.live import LiveFeed, Message
from aihub.serve.problems import documented
from aihub.serve.schemas import EventPage, EventStateIn
from aihub.serve.security import Caller
from aihub.serve.services import Services
from aihub.types import Event, EventState, Severity

router = APIRouter(prefix="/v1/events", tags=["events"], responses=documented())

HEARTBEAT_S = 15
SEND_TIMEOUT_S = 30.0

Stream = Annotated[str | None, Query(max_length=64, description="Id of a stream.")]
Algorithm = Annotated[str | None, Query(max_length=64, description="Id of an algorithm.")]


@router.get("", operation_id="listEvents", summary="List events")
def list_events(
    services: TheServices,
    caller: Responder,
    stream: Stream = None,
    algorithm: Algorithm = None,
    state: EventState | None = None,
    severity: Severity | None = None,
    since: Annotated[float | None, Query(description="Started at or after, epoch seconds.")] = None,
    until: Annotated[float | None, Query(description="Started before, epoch seconds.")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> EventPage:
    """Events as they are now, newest start first."""
    page = services.repository.list_events(
        stream_id=stream,
        algorithm=algorithm,
        state=state,
        severity=severity,
        tenant=caller.sees,
        since=since,
        until=until,
        cursor=cursor,
        limit=limit,
    )
    return EventPage(items=page.items, next_cursor=page.cursor)


def wants(
    tenant: str | None,
    stream: str | None,
    algorithm: str | None,
    state: EventState | None,
    severity: Severity | None,
) -> Callable[[Event], bool]:
    """A predicate from filters; None lets everything through."""

    def matches(event: Event) -> bool:
        return (
            tenant in (None, event.tenant)
            and stream in (None, event.stream_id)
            and algorithm in (None, event.algorithm)
            and state in (None, event.state)
            and severity in (None, event.severity)
        )

    return matches


_LIVE: dict[str, Any] = {
    "type": "object",
    "description": "One event of the stream.",
    "required": ["data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Event"},
        },
    },
}


@router.get(
    "/live",
    operation_id="liveEvents",
    summary="Events as they happen",
    response_class=EventSourceResponse,
    responses=documented(429, 503)
    | {
        200: {
            "description": (
                "Server-sent events: `data` is an Event, `id` a number to resume after. Comments keep it alive."
            ),
            "content": {"text/event-stream": {"schema": _LIVE}},
        }
    },
)
async def live_events(
    parts: TheParts,
    caller: Responder,
    stream: Stream = None,
    algorithm: Algorithm = None,
    state: EventState | None = None,
    severity: Severity | None = None,
    after: Annotated[
        int | None, Query(ge=0, description="As Last-Event-ID, for the first connection.")
    ] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Every step in the life of events from now on, or after the id of the last that was received.

    A client that reads too slowly is cut off; it comes back with Last-Event-ID and misses nothing.
    """
    if parts.live.full:
        raise QueueFullError("too many listeners", hint="listen once and pass on, or add replicas")
    matches = wants(caller.sees, stream, algorithm, state, severity)
    messages = _messages(parts.live, matches, _resume_after(last_event_id, after))
    return EventSourceResponse(
        messages,
        ping=HEARTBEAT_S,
        sep="\n",
        send_timeout=SEND_TIMEOUT_S,
        headers={"Cache-Control": "no-store"},
    )


def _resume_after(last_event_id: str | None, after: int | None) -> int | None:
    if not last_event_id:
        return after
    if not last_event_id.isdecimal() or len(last_event_id) > 18:
        raise ParamsError("Last-Event-ID is not one that this hub gave", field="Last-Event-ID")
    return int(last_event_id)


async def _messages(
    feed: LiveFeed, matches: Callable[[Event], bool], after: int | None
) -> AsyncIterator[ServerSentEvent]:
    async with feed.listen(matches) as (listener, since):
        yield ServerSentEvent(comment="listening", retry=2000)
        if after is not None:
            async for message in feed.replay(matches, after, since):
                yield _event(message)
        while (message_or_end := await listener.get()) is not None:
            # A client that comes over from another replica may know more than this one's reader does yet.
            if message_or_end.seq > (after or 0):
                yield _event(message_or_end)


def _event(message: Message) -> ServerSentEvent:
    return ServerSentEvent(data=message.data, id=str(message.seq), sep="\n")


@router.get("/{event_id}", operation_id="getEvent", summary="One event", responses=documented(404))
def get_event(event_id: str, services: TheServices, caller: Responder) -> Event:
    """The event as it is now."""
    return services.repository.get_event(event_id, tenant=caller.sees)


@router.get(
    "/{event_id}/snapshot",
    operation_id="getEventSnapshot",
    summary="The evidence of an event",
    response_class=Response,
    responses=documented(404) | A_JPEG,
)
def get_event_snapshot(event_id: str, services: TheServices, caller: Responder, actor: TheActor) -> Response:
    """The picture on which the event was seen. Every try to look at it is noted in the audit."""
    with noting(services.repository, actor, "event.snapshot", event_id):
        picture = _evidence(services, event_id, caller)
    return evidence(picture)


@router.post(
    "/{event_id}/state",
    operation_id="setEventState",
    summary="Acknowledge, dispatch or resolve an event",
    responses=documented(404, 409),
)
def set_event_state(
    event_id: str, body: EventStateIn, services: TheServices, caller: Responder, actor: TheActor
) -> Event:
    """A person's step in the life of the event; it goes to the sinks like every other."""
    return services.repository.set_event_state(
        event_id, EventState(body.state), actor=caller.name, tenant=caller.sees, by=actor
    )


def _evidence(services: Services, event_id: str, caller: Caller) -> bytes:
    event = services.repository.get_event(event_id, tenant=caller.sees)
    if event.snapshot is None:
        raise SnapshotNotFoundError(event_id)
    try:
        return services.artifacts.read(event.snapshot)
    except NotFoundError as error:
        raise SnapshotNotFoundError(event_id) from error


class SnapshotNotFoundError(EventNotFoundError):
    """The event has no picture, or it was removed after its time."""

    kind = "snapshot of event"
