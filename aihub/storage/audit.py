"""The audit: who did what, when, from where, with what outcome.

Rows are added and never changed. Old ones go by `prune_audit` alone, which notes that they went; the database refuses all else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from aihub.errors import ParamsError
from aihub.storage.base import Store, from_cursor, page_size, to_cursor
from aihub.storage.records import HUB, Actor, AuditEntry, Page
from aihub.storage.tables import audit, audit_pruning

_MOST = 2**63 - 1
_SUBJECT = 200
"""Characters kept of a subject: it may be an id that somebody made up."""
_DAY_S = 86_400


class AuditStore(Store):
    """Methods on the audit."""

    def add_audit(
        self,
        actor: Actor | str,
        action: str,
        subject: str,
        detail: Mapping[str, Any] | None = None,
        now: float | None = None,
        *,
        outcome: str = "ok",
    ) -> None:
        """Note who did what to what. Put no secrets into `detail`.

        What changes keys and tenants notes itself, in the transaction of the change.
        """
        at = time.time() if now is None else now
        who = Actor(actor) if isinstance(actor, str) else actor
        with self._database.write() as connection:
            note(connection, who, action, subject, detail, at=at, outcome=outcome)

    def list_audit(
        self,
        limit: int = 100,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        tenant: str | None = None,
        since: float | None = None,
        until: float | None = None,
        cursor: str | None = None,
    ) -> Page[AuditEntry]:
        """The newest notes first, at most `limit` (1..1000) at once.

        Args:
            limit: notes in one page.
            actor: only by whom that is called so.
            action: only this action; with a `.` at its end all that begin so, such as `key.`.
            subject: only about this.
            tenant: only by keys of this tenant.
            since: at or after, epoch seconds.
            until: before, epoch seconds.
            cursor: where the page before ended.

        Raises:
            ParamsError: a wrong cursor or limit.
        """
        query = select(audit).order_by(audit.c.id.desc()).limit(page_size(limit) + 1)
        for column, value in ((audit.c.actor, actor), (audit.c.subject, subject), (audit.c.tenant, tenant)):
            if value is not None:
                query = query.where(column == value)
        if action is not None:
            begins = action.endswith(".")
            column = audit.c.action
            query = query.where(column.startswith(action, autoescape=True) if begins else column == action)
        if since is not None:
            query = query.where(audit.c.at >= since)
        if until is not None:
            query = query.where(audit.c.at < until)
        if cursor is not None:
            before = from_cursor(cursor, (int,))[0]
            if not 0 <= before <= _MOST:
                raise ParamsError("this is not a cursor of that list", field="cursor")
            query = query.where(audit.c.id < before)
        with self._database.read() as connection:
            found = [AuditEntry(**row) for row in connection.execute(query).mappings()]
        more = len(found) > limit
        return Page(found[:limit], to_cursor([found[limit - 1].id]) if more else None)

    def prune_audit(self, *, days: float, limit: int = 10_000, now: float | None = None) -> int:
        """Remove the oldest notes, and note in the same transaction how many went and up to which time.

        Whole days (UTC) go at once, so that what was noted in a day costs one note and not one an hour.

        Args:
            days: notes younger than this stay.
            limit: notes in one transaction, so that others need not wait long; call again for the rest.
            now: epoch seconds, the clock's when None.

        Returns:
            How many went.
        """
        at = time.time() if now is None else now
        before = (at - days * _DAY_S) // _DAY_S * _DAY_S
        old = (
            select(audit.c.id, audit.c.at)
            .where(audit.c.at < before)
            .order_by(audit.c.at, audit.c.id)
            .limit(limit)
            .subquery()
        )
        with self._database.write() as connection:
            # The triggers look for this row. It also lets one process prune at a time: another waits here for its end.
            connection.execute(insert(audit_pruning).values(id=1, older_than=before))
            first, last = connection.execute(select(func.min(old.c.at), func.max(old.c.at))).one()
            rows = connection.execute(delete(audit).where(audit.c.id.in_(select(old.c.id)))).rowcount
            connection.execute(delete(audit_pruning))
            if rows:
                subject = f"{rows} notes up to {_said(last)}"
                detail = {"rows": rows, "from": first, "until": last, "days": days}
                note(connection, HUB, "audit.prune", subject, detail, at=at)
        return rows


def _said(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def note(
    connection: Connection,
    actor: Actor,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
    *,
    at: float,
    outcome: str = "ok",
) -> None:
    """Add a note within a transaction, so that what it tells of and the note are stored together or not at all."""
    connection.execute(
        insert(audit).values(
            at=at,
            actor=actor.name,
            action=action,
            subject=subject.replace("\0", "")[:_SUBJECT],
            detail=dict(detail or {}),
            tenant=actor.tenant,
            key_id=actor.key_id,
            address=actor.address,
            outcome=outcome,
        )
    )
