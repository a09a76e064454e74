"""Reading events."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, tuple_

from aihub.errors import EventNotFoundError
from aihub.storage.base import Store, from_cursor, page_size, to_cursor
from aihub.storage.records import Page, Transition
from aihub.storage.tables import events, outbox, transitions
from aihub.types import Event, EventState, Severity

_STEPS = 100
"""Steps of an event that are read at a time."""


class EventQueries(Store):
    """Methods that read events."""

    def open_events(
        self, stream_ids: Sequence[str] | None = None, *, closed_since: float | None = None
    ) -> list[Event]:
        """Events whose condition holds, oldest first: what a host that takes streams over goes on with.

        An event that a person acknowledged or resolved is among them while its condition holds.

        Args:
            stream_ids: only of these streams.
            closed_since: also what ended at or after this time, so that it can be reopened.
        """
        holds: ColumnElement[bool] = events.c.ended_at.is_(None)
        if closed_since is not None:
            holds = or_(holds, events.c.ended_at >= closed_since)
        query = select(events.c.body).where(holds).order_by(events.c.started_at, events.c.id)
        if stream_ids is not None:
            query = query.where(events.c.stream_id.in_(stream_ids))
        with self._database.read() as connection:
            bodies = connection.execute(query).scalars().all()
        return [Event.model_validate_json(body) for body in bodies]

    def get_event(self, event_id: str, *, tenant: str | None = None) -> Event:
        """One event as it is now.

        Raises:
            EventNotFoundError: no such event, or not of that tenant.
        """
        query = select(events.c.body).where(events.c.id == event_id)
        if tenant is not None:
            query = query.where(events.c.tenant == tenant)
        with self._database.read() as connection:
            body = connection.execute(query).scalar()
        if body is None:
            raise EventNotFoundError(event_id)
        return Event.model_validate_json(body)

    def list_events(
        self,
        *,
        stream_id: str | None = None,
        algorithm: str | None = None,
        state: EventState | None = None,
        severity: Severity | None = None,
        tenant: str | None = None,
        since: float | None = None,
        until: float | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Event]:
        """Events, newest start first, at most `limit` (1..1000) at once.

        Args:
            stream_id: only of this stream.
            algorithm: only of this algorithm.
            state: only those in this state now.
            severity: only of this severity.
            tenant: only of this tenant.
            since: started at or after, epoch seconds.
            until: started before, epoch seconds.
            cursor: where the page before ended.
            limit: events in one page.

        Raises:
            ParamsError: a wrong cursor or limit.
        """
        order = (events.c.started_at, events.c.id)
        query = select(*order, events.c.body).limit(page_size(limit) + 1)
        query = query.order_by(*(column.desc() for column in order))
        equal = {
            "stream_id": stream_id,
            "state": None if state is None else state.value,
            "severity": None if severity is None else severity.value,
            "algorithm": algorithm,
            "tenant": tenant,
        }  # those that leave least first
        given = [(events.c[name], value) for name, value in equal.items() if value is not None]
        for place, (column, value) in enumerate(given):
            # SQLite keeps no figures of how common a value is, and would take any index, the tenant's for one. An
            # expression hides all but the first column from it; PostgreSQL knows better by itself.
            plain = place == 0 or self._database.dialect != "sqlite"
            query = query.where((column if plain else column.concat("")) == value)
        if since is not None:
            query = query.where(events.c.started_at >= since)
        if until is not None:
            query = query.where(events.c.started_at < until)
        if cursor is not None:
            query = query.where(tuple_(*order) < tuple(from_cursor(cursor, (float, str))))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = [Event.model_validate_json(row.body) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(found, to_cursor([rows[limit - 1].started_at, rows[limit - 1].id]) if more else None)

    def history(self, event_id: str) -> list[Event]:
        """All steps of an event's life, first to last; empty when there is none of that id."""
        query = (
            select(transitions.c.body)
            .where(transitions.c.event_id == event_id)
            .order_by(transitions.c.revision)
        )
        with self._database.read() as connection:
            return [Event.model_validate_json(body) for body in connection.execute(query).scalars()]

    def sighting(self, event: Event) -> Event:
        """The step on whose frame the event's picture was taken: its box fits the picture.

        The row itself may know better by now: a step whose picture could not be kept shows the one before.
        """
        found, before = event, None
        while event.snapshot is not None:
            query = select(transitions.c.revision, transitions.c.body)
            query = query.where(transitions.c.event_id == event.id)
            if before is not None:
                query = query.where(transitions.c.revision < before)
            with self._database.read() as connection:
                rows = connection.execute(query.order_by(transitions.c.revision.desc()).limit(_STEPS)).all()
            steps = [Event.model_validate_json(row.body) for row in rows]
            same = [step for step in steps if step.snapshot == event.snapshot]
            if not same:  # none among so many: those before are of other pictures
                break
            found, before = same[-1], rows[-1].revision
        return found

    def transitions_after(
        self,
        seq: int,
        *,
        limit: int = 100,
        tenant: str | None = None,
        stream_id: str | None = None,
    ) -> list[Transition]:
        """Steps stored after the one of that number, in the order of commits: what a live listener follows.

        Raises:
            ParamsError: a wrong limit.
        """
        query = (
            select(transitions.c.seq, transitions.c.body, transitions.c.created_at)
            .where(transitions.c.seq > seq)
            .order_by(transitions.c.seq)
            .limit(page_size(limit))
        )
        if tenant is not None:
            query = query.where(transitions.c.tenant == tenant)
        if stream_id is not None:
            query = query.where(transitions.c.stream_id == stream_id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [Transition(row.seq, Event.model_validate_json(row.body), row.created_at) for row in rows]

    def last_seq(self) -> int:
        """Number of the newest stored step, 0 when there is none."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.max(transitions.c.seq))).scalar() or 0)

    def prune(self, *, older_than_s: float, limit: int = 1000, now: float | None = None) -> int:
        """Forget events that ended long ago, with their steps and outbox rows; call again until it returns 0.

        What still waits for a sink stays.

        Args:
            older_than_s: seconds since the event's last step.
            limit: events in one transaction, so that others need not wait long.
            now: epoch seconds, the clock's when None.

        Returns:
            How many events were removed.
        """
        at = time.time() if now is None else now
        waiting = exists().where(outbox.c.event_id == events.c.id, outbox.c.state == "pending")
        old = and_(events.c.ended_at.is_not(None), events.c.updated_at < at - older_than_s, ~waiting)
        with self._database.write() as connection:
            ids = connection.execute(select(events.c.id).where(old).limit(limit)).scalars().all()
            if ids:
                for table, column in (
                    (outbox, outbox.c.event_id),
                    (transitions, transitions.c.event_id),
                    (events, events.c.id),
                ):
                    connection.execute(delete(table).where(column.in_(ids)))
        return len(ids)
