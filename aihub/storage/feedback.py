"""What people said about events. Pictures are files; here is only whether there is one."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from aihub.storage.audit import note
from aihub.storage.base import FeedbackNotFoundError, Store, from_cursor, page_size, to_cursor
from aihub.storage.records import Actor, Page
from aihub.storage.tables import feedback
from aihub.types.feedback import Feedback, KeptPicture, Verdict

_COLUMNS = [column for column in feedback.c if column.name != "key_id"]
_FIXED = {"event_id", "key_id"}
"""What a row is found by when the same key speaks of the same event again."""


class FeedbackStore(Store):
    """Methods on feedback. Each change is noted in the audit, in the same transaction."""

    def give_feedback(self, said: Feedback, *, by: Actor) -> str | None:
        """Store what a key says about an event, in the place of what it said before.

        Returns:
            Id of what it replaced, whose picture is to go; None when there was nothing.
        """
        row = said.model_dump(mode="json") | {"key_id": by.key_id}
        statement = self._insert(feedback).values(**row)
        changed = {name: statement.excluded[name] for name in row if name not in _FIXED}
        mine = (feedback.c.event_id == said.event_id, feedback.c.key_id == by.key_id)
        with self._database.write() as connection:
            old = connection.execute(select(feedback.c.id).where(*mine).with_for_update()).scalar()
            connection.execute(statement.on_conflict_do_update(index_elements=sorted(_FIXED), set_=changed))
            note(connection, by, "feedback.give", said.event_id, _told(said), at=said.at)
        return old

    def feedback_of_event(self, event_id: str) -> list[Feedback]:
        """All that was said about an event, newest first. Whose event it is, the caller has looked up."""
        query = select(*_COLUMNS).where(feedback.c.event_id == event_id).order_by(feedback.c.id.desc())
        with self._database.read() as connection:
            return [_feedback(row) for row in connection.execute(query)]

    def get_feedback(self, feedback_id: str, *, tenant: str | None = None) -> Feedback:
        """One piece of feedback.

        Raises:
            FeedbackNotFoundError: there is none of that id, or it is not of that tenant.
        """
        with self._database.read() as connection:
            return _get(connection, feedback_id, tenant)

    def list_feedback(
        self,
        *,
        tenant: str | None = None,
        algorithm: str | None = None,
        verdict: Verdict | None = None,
        since: float | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Feedback]:
        """Feedback, newest first, at most `limit` (1..1000) at once.

        Args:
            tenant: only about events of this tenant.
            algorithm: only about events of this algorithm.
            verdict: only this verdict.
            since: said at or after, epoch seconds.
            cursor: where the page before ended.
            limit: rows in one page.

        Raises:
            ParamsError: a wrong cursor or limit.
        """
        query = select(*_COLUMNS).order_by(feedback.c.id.desc()).limit(page_size(limit) + 1)
        equal = {
            "tenant": tenant,
            "algorithm": algorithm,
            "verdict": None if verdict is None else verdict.value,
        }
        for name, value in equal.items():
            if value is not None:
                query = query.where(feedback.c[name] == value)
        if since is not None:
            query = query.where(feedback.c.at >= since)
        if cursor is not None:
            query = query.where(feedback.c.id < from_cursor(cursor, (str,))[0])
        with self._database.read() as connection:
            found = [_feedback(row) for row in connection.execute(query)]
        more = len(found) > limit
        return Page(found[:limit], to_cursor([found[limit - 1].id]) if more else None)

    def delete_feedback(
        self, feedback_id: str, *, by: Actor, tenant: str | None = None, now: float | None = None
    ) -> None:
        """Forget what was said; its picture is the caller's to remove.

        Raises:
            FeedbackNotFoundError: there is none of that id, or it is not of that tenant.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            old = _get(connection, feedback_id, tenant)
            connection.execute(delete(feedback).where(feedback.c.id == feedback_id))
            note(connection, by, "feedback.delete", feedback_id, _told(old), at=at)

    def prune_feedback(
        self, *, older_than_s: float, limit: int = 1000, now: float | None = None
    ) -> list[str]:
        """Forget what was said longer ago; call again until nothing goes.

        Args:
            older_than_s: seconds since it was said.
            limit: rows in one transaction, so that others need not wait long.
            now: epoch seconds, the clock's when None.

        Returns:
            Ids of what went, whose pictures are to go.
        """
        at = time.time() if now is None else now
        old = select(feedback.c.id).where(feedback.c.at < at - older_than_s).order_by(feedback.c.at)
        with self._database.write() as connection:
            ids = list(connection.execute(old.limit(limit)).scalars())
            if ids:
                connection.execute(delete(feedback).where(feedback.c.id.in_(ids)))
        return ids

    def feedback_with_picture(self) -> set[str]:
        """Ids of all feedback whose picture is kept, so that pictures without one can be removed."""
        query = select(feedback.c.id).where(feedback.c.picture == KeptPicture.STORED.value)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())


def _get(connection: Connection, feedback_id: str, tenant: str | None) -> Feedback:
    query = select(*_COLUMNS).where(feedback.c.id == feedback_id)
    if tenant is not None:
        query = query.where(feedback.c.tenant == tenant)
    row = connection.execute(query).first()
    if row is None:
        raise FeedbackNotFoundError(feedback_id)
    return _feedback(row)


def _feedback(row: Row[Any]) -> Feedback:
    return Feedback.model_validate(dict(row._mapping))  # noqa: SLF001 - the library's public name for a row as a mapping


def _told(said: Feedback) -> dict[str, Any]:
    """What the audit says of it. The note is people's own words and stays out."""
    return {
        "feedback": said.id,
        "event": said.event_id,
        "verdict": said.verdict.value,
        "boxes": len(said.boxes),
        "picture": said.picture.value,
    }
