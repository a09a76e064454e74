"""The outbox: what must still reach a sink. A row is taken under a lease, so that a dead courier's rows come back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, exists, func, select, update

from aihub.storage.base import Store, page_size
from aihub.storage.records import DeadLetter, Delivery, OutboxStats, SinkSpec
from aihub.storage.sinks import sink_of
from aihub.storage.tables import outbox, sinks, transitions
from aihub.types import Event

_ERROR_LENGTH = 500
_PENDING = outbox.c.state == "pending"


class OutboxStore(Store):
    """Methods on deliveries."""

    def claim_deliveries(
        self,
        worker: str,
        *,
        limit: int,
        lease_s: float,
        per_sink: int = 4,
        rooms: Mapping[str, int] | None = None,
        now: float | None = None,
    ) -> list[Delivery]:
        """Take deliveries that are due; no two workers get the same one while the lease lasts.

        A step of an event is not due while an earlier step of it waits for the same sink, so that a sink sees each
        event's life in order. Every due sink gets its part of `limit`: a long queue for one holds up no other.

        Args:
            worker: who takes them.
            limit: at most so many.
            lease_s: how long the claim lasts, seconds; longer than a delivery may take.
            per_sink: at most so many for one sink.
            rooms: sink id -> at most so many for this one; 0 leaves it alone.
            now: epoch seconds, the clock's when None.

        Returns:
            Oldest first for each sink.
        """
        at = time.time() if now is None else now
        due = (_PENDING, outbox.c.next_at <= at, outbox.c.lease_until <= at)
        with self._database.read() as connection:
            waiting = exists().where(outbox.c.sink_id == sinks.c.id, *due)
            query = select(sinks).where(sinks.c.enabled.is_(True), waiting)
            ready = [sink_of(row) for row in connection.execute(query.order_by(sinks.c.id))]
        most = rooms or {}
        ready = [sink for sink in ready if most.get(sink.id, per_sink) > 0]
        if not ready or limit < 1:
            return []  # an idle courier never takes the write lock
        share = max(1, limit // len(ready))
        first = int(at * 10) % len(ready)  # whose turn it is when there are more sinks than `limit`
        claimed: list[Delivery] = []
        with self._database.write() as connection:
            for sink in ready[first:] + ready[:first]:
                room = min(share, most.get(sink.id, per_sink), limit - len(claimed))
                if room < 1:
                    break
                claimed += _claim(connection, sink, worker, room, at, at + lease_s)
        return claimed

    def complete(self, delivery_id: int, now: float | None = None) -> None:
        """It arrived."""
        at = time.time() if now is None else now
        with self._database.write() as connection:
            connection.execute(
                update(outbox)
                .where(outbox.c.id == delivery_id)
                .values(state="delivered", delivered_at=at, lease_until=0.0, last_error="")
            )

    def retry(self, delivery_id: int, next_at: float, error: str) -> None:
        """It failed; try again at `next_at`. Does nothing when it arrived by another hand meanwhile."""
        self._settle(delivery_id, error, next_at=next_at)

    def bury(self, delivery_id: int, error: str) -> None:
        """It failed for good: to the dead letters. Does nothing when it arrived by another hand meanwhile."""
        self._settle(delivery_id, error, state="dead")

    def hasten(self, sink_id: str, now: float | None = None) -> None:
        """The sink answers again: what waited for a later try is due now."""
        at = time.time() if now is None else now
        with self._database.write() as connection:
            connection.execute(
                update(outbox)
                .where(outbox.c.sink_id == sink_id, _PENDING, outbox.c.next_at > at)
                .values(next_at=at)
            )

    def dead_letters(self, limit: int = 100, *, sink_id: str | None = None) -> list[DeadLetter]:
        """Deliveries that were given up, newest first.

        Raises:
            ParamsError: a wrong limit.
        """
        columns = [outbox.c[name] for name in DeadLetter.__dataclass_fields__]
        query = select(*columns).where(outbox.c.state == "dead")
        query = query.order_by(outbox.c.id.desc()).limit(page_size(limit))
        if sink_id is not None:
            query = query.where(outbox.c.sink_id == sink_id)
        with self._database.read() as connection:
            return [DeadLetter(*row) for row in connection.execute(query)]

    def replay(self, ids: Sequence[int] | None = None, now: float | None = None) -> int:
        """Give dead letters, those named or all, a new life; under the same delivery ids.

        A replayed step may reach its sink after later steps of its event did: `revision` tells.

        Returns:
            How many.
        """
        at = time.time() if now is None else now
        chosen = [outbox.c.state == "dead"]
        if ids is not None:
            chosen.append(outbox.c.id.in_(ids))
        fresh = {"state": "pending", "attempts": 0, "next_at": at, "lease_until": 0.0, "created_at": at}
        with self._database.write() as connection:
            result = connection.execute(update(outbox).where(*chosen).values(**fresh))
            return result.rowcount

    def outbox_stats(self, now: float | None = None) -> OutboxStats:
        """How many rows are in which state."""
        at = time.time() if now is None else now
        query = select(outbox.c.state, func.count(), func.min(outbox.c.created_at)).group_by(outbox.c.state)
        with self._database.read() as connection:
            rows = {row[0]: (int(row[1]), float(row[2])) for row in connection.execute(query)}
        counts = {state: rows[state][0] if state in rows else 0 for state in ("pending", "delivered", "dead")}
        oldest = at - rows["pending"][1] if "pending" in rows else 0.0
        return OutboxStats(**counts, oldest_pending_s=max(0.0, oldest))

    def _settle(self, delivery_id: int, error: str, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(outbox)
                .where(outbox.c.id == delivery_id, _PENDING)
                .values(lease_until=0.0, last_error=error[:_ERROR_LENGTH], **values)
            )


def _claim(
    connection: Connection, sink: SinkSpec, worker: str, room: int, at: float, until: float
) -> list[Delivery]:
    earlier = outbox.alias("earlier")
    blocked = exists().where(
        earlier.c.sink_id == outbox.c.sink_id,
        earlier.c.event_id == outbox.c.event_id,
        earlier.c.revision < outbox.c.revision,
        earlier.c.state == "pending",
    )
    step = and_(transitions.c.event_id == outbox.c.event_id, transitions.c.revision == outbox.c.revision)
    query = (
        select(outbox.c.id, outbox.c.attempts, outbox.c.created_at, transitions.c.body)
        .join(transitions, step)
        .where(
            outbox.c.sink_id == sink.id,
            _PENDING,
            outbox.c.next_at <= at,
            outbox.c.lease_until <= at,
            ~blocked,
        )
        .order_by(outbox.c.seq)
        .limit(room)
        .with_for_update(skip_locked=True, of=outbox)
    )
    rows = connection.execute(query).all()
    if rows:
        connection.execute(
            update(outbox)
            .where(outbox.c.id.in_([row.id for row in rows]))
            .values(lease_until=until, lease_worker=worker, attempts=outbox.c.attempts + 1)
        )
    return [
        Delivery(row.id, sink, Event.model_validate_json(row.body), row.attempts + 1, row.created_at)
        for row in rows
    ]
