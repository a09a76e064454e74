"""Writing events: a step, the row it changes and what the sinks must get, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Insert, Row, insert, select, text

from aihub.errors import EventNotFoundError
from aihub.storage.audit import note
from aihub.storage.base import Store
from aihub.storage.merging import Current, advance, digest, merge
from aihub.storage.records import Actor, RejectedError, SinkSpec
from aihub.storage.sinks import sink_of
from aihub.storage.tables import events, outbox, sinks, transitions
from aihub.types import Event, EventState

_SEQUENCE_LOCK = 0x61_69_68_75_62_02
_ROW_FIELDS = ("stream_id", "tenant", "algorithm", "started_at", "updated_at", "ended_at")


class EventWrites(Store):
    """Methods that change events."""

    def save_transitions(self, steps: Sequence[Event], now: float | None = None) -> list[Event]:
        """Store steps in the lives of events, in their order, all or none.

        For each: the step itself with the next revision of its event, the event's row, and an outbox row for every
        enabled sink that wants it. A step that is stored already is passed over, so that a caller who does not know
        whether an earlier call came through simply calls again.

        Args:
            steps: transitions as the lifecycle made them.
            now: epoch seconds, the clock's when None.

        Returns:
            The steps that were new, with their stored revisions.

        Raises:
            StorageError: the database did not answer in time; nothing was stored.
            RejectedError: one of them can never be stored; nothing was stored.
        """
        if not steps:
            return []
        at = time.time() if now is None else now
        try:
            digests = [digest(step) for step in steps]
        except ValueError as error:  # pydantic's: a value that JSON cannot hold
            raise RejectedError(f"an event cannot be written as JSON: {error}") from error
        with self._database.write() as connection:
            self._in_order_of_commits(connection)
            rows = _rows(connection, {step.id for step in steps})
            known = _digests(connection, list(rows))
            accepted: list[tuple[Event, str]] = []
            for step, mark in zip(steps, digests, strict=True):
                if (step.id, mark) in known:
                    continue
                known.add((step.id, mark))
                stored, rows[step.id] = merge(rows.get(step.id), step)
                accepted.append((stored, mark))
            if accepted:
                changed = {stored.id for stored, _ in accepted}
                self._store(connection, accepted, [rows[name] for name in sorted(changed)], at)
        return [stored for stored, _ in accepted]

    def set_event_state(
        self,
        event_id: str,
        state: EventState,
        *,
        actor: str,
        tenant: str | None = None,
        by: Actor | None = None,
        now: float | None = None,
    ) -> Event:
        """A person's step: acknowledged, dispatched or resolved. Goes to the sinks and into the audit.

        Doing it again changes nothing. The event carries `actor`; the audit has `by`, where that is known.

        Raises:
            EventNotFoundError: no such event, or not of that tenant.
            ConflictError: it would be a step back.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            self._in_order_of_commits(connection)
            current = _rows(connection, {event_id}).get(event_id)
            if current is None or tenant not in (None, current.event.tenant):
                raise EventNotFoundError(event_id)
            new = advance(current, state, actor, at)
            if new is None:
                return current.event
            self._store(connection, [(new.event, digest(new.event))], [new], at)
            action = f"event.{state.value}"
            note(connection, by or Actor(actor), action, event_id, at=at)
        return new.event

    def _in_order_of_commits(self, connection: Connection) -> None:
        # A reader that follows `seq` must never see a higher one before a lower one. SQLite has one writer anyway;
        # on PostgreSQL writers of events queue here, and stay in line until they have committed.
        if self._database.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SEQUENCE_LOCK})

    @cached_property
    def _upsert(self) -> Insert:
        statement = self._insert(events)
        kept = {
            name: statement.excluded[name]
            for name in ("revision", "source_revision", "source_time", "state", "severity", "updated_at", "ended_at", "body")
        }  # fmt: skip
        return statement.on_conflict_do_update(index_elements=["id"], set_=kept)

    def _store(
        self, connection: Connection, steps: list[tuple[Event, str]], rows: list[Current], at: float
    ) -> None:
        made = insert(transitions).returning(transitions.c.seq, sort_by_parameter_order=True)
        seqs = connection.execute(made, [_step_row(step, mark, at) for step, mark in steps]).scalars().all()
        connection.execute(self._upsert, [_event_row(row) for row in rows])
        wanting = _enabled_sinks(connection)
        mail = [
            _outbox_row(sink, step, seq, at)
            for (step, _), seq in zip(steps, seqs, strict=True)
            for sink in wanting
            if sink.wants(step)
        ]
        if mail:
            connection.execute(insert(outbox), mail)


def _rows(connection: Connection, ids: set[str]) -> dict[str, Current]:
    query = select(events.c.body, events.c.source_revision, events.c.source_time)
    found = connection.execute(query.where(events.c.id.in_(sorted(ids))).with_for_update())
    rows = (
        Current(Event.model_validate_json(row.body), row.source_revision, row.source_time) for row in found
    )
    return {row.event.id: row for row in rows}


def _digests(connection: Connection, ids: list[str]) -> set[tuple[str, str]]:
    if not ids:
        return set()
    query = select(transitions.c.event_id, transitions.c.digest).where(transitions.c.event_id.in_(ids))
    return {(row.event_id, row.digest) for row in connection.execute(query)}


def _enabled_sinks(connection: Connection) -> list[SinkSpec]:
    rows: Iterable[Row[Any]] = connection.execute(select(sinks).where(sinks.c.enabled.is_(True)))
    return [sink_of(row) for row in rows]


def _step_row(step: Event, mark: str, at: float) -> dict[str, Any]:
    return {
        "event_id": step.id,
        "revision": step.revision,
        "digest": mark,
        "stream_id": step.stream_id,
        "tenant": step.tenant,
        "body": step.model_dump_json(),
        "created_at": at,
    }


def _event_row(row: Current) -> dict[str, Any]:
    fields = {name: getattr(row.event, name) for name in _ROW_FIELDS}
    return fields | {
        "id": row.event.id,
        "revision": row.event.revision,
        "source_revision": row.source_revision,
        "source_time": row.source_time,
        "state": row.event.state.value,
        "severity": row.event.severity.value,
        "body": row.event.model_dump_json(),
    }


def _outbox_row(sink: SinkSpec, step: Event, seq: int, at: float) -> dict[str, Any]:
    return {
        "seq": seq,
        "sink_id": sink.id,
        "event_id": step.id,
        "revision": step.revision,
        "state": "pending",
        "attempts": 0,
        "next_at": at,
        "lease_until": 0.0,
        "last_error": "",
        "created_at": at,
    }
