"""Calls about alarms, and about where they are delivered to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from aihub.client.calls import Call, Feed, Pages, call, content, feed, given, many, nothing, one, pages
from aihub.client.inputs import plain
from aihub.client.models import LiveEvent
from aihub.types import Event, EventState, Severity
from aihub.types.answers import Sink

MAX_PAGE = 500


class EventCalls:
    """Alarms, past and as they happen."""

    @pages("/v1/events")
    def events(
        self,
        *,
        stream: str | None = None,
        algorithm: str | None = None,
        state: EventState | None = None,
        severity: Severity | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int | None = None,
    ) -> Pages[Event]:
        """Events as they are now, newest start first, fetched page by page.

        Args:
            stream: only of this one.
            algorithm: only of this one.
            state: only in this one.
            severity: only of this one.
            since: started at or after, epoch seconds.
            until: started before, epoch seconds.
            limit: at most so many.
        """
        query = given(
            stream=stream, algorithm=algorithm, state=state, severity=severity, since=since, until=until,
            limit=MAX_PAGE if limit is None else max(1, min(limit, MAX_PAGE)),
        )  # fmt: skip
        return Pages(_event, query=query, limit=limit)

    @call("GET", "/v1/events/{event_id}")
    def event(self, event_id: str) -> Call[Event]:
        """One event as it is now.

        Raises:
            EventNotFoundError: no such event, or not yours.
        """
        return Call(_event_of, ids=(event_id,))

    @call("GET", "/v1/events/{event_id}/snapshot")
    def event_snapshot(self, event_id: str) -> Call[bytes]:
        """The evidence of an event, JPEG. Every look at it is noted in the hub's audit.

        Raises:
            EventNotFoundError: there is none, or no longer.
        """
        return Call(content, ids=(event_id,))

    @call("POST", "/v1/events/{event_id}/state")
    def set_event_state(self, event_id: str, state: EventState | str) -> Call[Event]:
        """Acknowledge, dispatch or resolve an event. Doing it again changes nothing.

        Raises:
            ConflictError: it would be a step back.
        """
        return Call(_event_of, ids=(event_id,), json={"state": str(state)}, again=True)

    @feed("GET", "/v1/events/live")
    def live(
        self,
        *,
        after: int | None = None,
        stream: str | None = None,
        algorithm: str | None = None,
        state: EventState | None = None,
        severity: Severity | None = None,
        reconnect: bool = True,
    ) -> Feed[LiveEvent]:
        """Steps in the lives of events as they happen, or all after `after`. Comes back after a break and misses nothing
        that happened since the last step it gave.

        Raises:
            AccessError: the key is not valid, or lacks the scope `events`.
            HubUnreachableError: the hub does not answer, and `reconnect` is off.
        """
        return Feed(
            _step,
            query=given(stream=stream, algorithm=algorithm, state=state, severity=severity),
            reconnect=reconnect,
            place=lambda step: str(step.seq),
            after="" if after is None else str(after),
        )


class SinkCalls:
    """Where alarms are delivered to."""

    @call("POST", "/v1/sinks")
    def add_sink(self, /, kind: str, params: Mapping[str, Any], **fields: Any) -> Call[Sink]:
        """Add a place that events are delivered to.

        Args:
            kind: such as `webhook`.
            params: of the kind; for a webhook `url` and `secret`.
            fields: `id`, `name`, `algorithms`, `severities`, `streams`, `enabled`, `tenant`.
        """
        return Call(one(Sink), json={"kind": kind, "params": dict(params), **plain(fields)})

    @call("GET", "/v1/sinks")
    def sinks(self) -> Call[list[Sink]]:
        """All sinks, oldest first."""
        return Call(many(Sink))

    @call("GET", "/v1/sinks/{sink_id}")
    def sink(self, sink_id: str) -> Call[Sink]:
        """One sink."""
        return Call(one(Sink), ids=(sink_id,))

    @call("DELETE", "/v1/sinks/{sink_id}")
    def delete_sink(self, sink_id: str) -> Call[None]:
        """Remove a sink and what waits for it."""
        return Call(nothing, ids=(sink_id,))

    @call("POST", "/v1/sinks/{sink_id}/replay")
    def replay_sink(self, sink_id: str) -> Call[int]:
        """Try its dead letters again; how many there were."""
        return Call(lambda response: int(response.json()["replayed"]), ids=(sink_id,))


def _event(row: Any) -> Event:
    return Event.model_validate(row, extra="ignore")


def _event_of(response: httpx2.Response) -> Event:
    return _event(response.json())


def _step(message: httpx2.ServerSentEvent) -> LiveEvent:
    return LiveEvent(int(message.id), _event(message.json()))
