"""Streams as they were asked for, and how their hosts say they do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from aihub.errors import ConflictError, ParamsError, StreamNotFoundError
from aihub.storage.base import Store, from_cursor, page_size, to_cursor
from aihub.storage.records import Page
from aihub.storage.tables import stream_status, streams
from aihub.types import StreamSpec, StreamState, StreamStatus

SPEC_COLUMNS = [streams.c[name] for name in StreamSpec.model_fields]
_FIXED = {"id", "tenant", "revision"}


class StreamStore(Store):
    """Methods on streams. With `tenant` given, a stream of another tenant is as good as absent."""

    def add_stream(self, spec: StreamSpec, now: float | None = None) -> StreamSpec:
        """Store a new stream; its revision becomes 1 and it is free to be claimed at once.

        Raises:
            ConflictError: a stream of that id exists.
        """
        at = time.time() if now is None else now
        made = spec.model_copy(update={"revision": 1})
        try:
            with self._database.write() as connection:
                connection.execute(insert(streams).values(**_row(made), created_at=at, lease_until=at))
        except ConflictError as error:
            raise ConflictError(f"a stream of id {spec.id!r} exists already", field="id") from error
        return made

    def get_stream(self, stream_id: str, *, tenant: str | None = None) -> StreamSpec:
        """One stream.

        Raises:
            StreamNotFoundError: no such stream, or not of that tenant.
        """
        with self._database.read() as connection:
            return _get(connection, stream_id, tenant)

    def list_streams(
        self,
        *,
        tenant: str | None = None,
        after: str | None = None,
        limit: int = 100,
        ids: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
    ) -> Page[StreamSpec]:
        """Streams by id, at most `limit` (1..1000) at once.

        Args:
            tenant: only those of a tenant.
            after: cursor of the page before.
            limit: streams in one page.
            ids: only these.
            groups: only those of these groups.

        Raises:
            ParamsError: a wrong cursor or limit.
        """
        query = select(*SPEC_COLUMNS).order_by(streams.c.id).limit(page_size(limit) + 1)
        if tenant is not None:
            query = query.where(streams.c.tenant == tenant)
        if after is not None:
            query = query.where(streams.c.id > from_cursor(after, (str,))[0])
        if ids is not None:
            query = query.where(streams.c.id.in_(ids))
        if groups is not None:
            query = query.where(streams.c.group.in_(groups))
        with self._database.read() as connection:
            found = [spec_of(row) for row in connection.execute(query)]
        more = len(found) > limit
        return Page(found[:limit], to_cursor([found[limit - 1].id]) if more else None)

    def stream_groups(self, tenant: str | None = None) -> list[str]:
        """The groups that streams are in, all or those of a tenant, by name."""
        query = select(streams.c.group).distinct().order_by(streams.c.group)
        if tenant is not None:
            query = query.where(streams.c.tenant == tenant)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def count_streams(self, tenant: str | None = None) -> int:
        """How many streams there are, or a tenant has."""
        query = select(func.count()).select_from(streams)
        if tenant is not None:
            query = query.where(streams.c.tenant == tenant)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def update_stream(
        self,
        stream_id: str,
        changes: Mapping[str, Any],
        *,
        expected_revision: int | None = None,
        tenant: str | None = None,
    ) -> StreamSpec:
        """Change fields of a stream; its revision grows by one, unless nothing changes.

        Args:
            stream_id: which.
            changes: fields of `StreamSpec` other than id, tenant and revision.
            expected_revision: the revision the caller looked at, when a change in between must not be lost.
            tenant: whose it must be.

        Raises:
            StreamNotFoundError: no such stream, or not of that tenant.
            ParamsError: a field is unknown, fixed or has a wrong value.
            ConflictError: the stream is at another revision.
        """
        with self._database.write() as connection:
            old = _get(connection, stream_id, tenant, lock=True)
            if expected_revision is not None and old.revision != expected_revision:
                raise ConflictError(
                    f"stream {stream_id!r} is at revision {old.revision}, not {expected_revision}",
                    hint="read it again",
                )
            new = _changed(old, changes)
            if new != old:
                new = new.model_copy(update={"revision": old.revision + 1})
                connection.execute(update(streams).where(streams.c.id == stream_id).values(**_row(new)))
        return new

    def delete_stream(self, stream_id: str, *, tenant: str | None = None) -> None:
        """Remove a stream with its status and lease; its events stay.

        Raises:
            StreamNotFoundError: no such stream, or not of that tenant.
        """
        with self._database.write() as connection:
            _get(connection, stream_id, tenant)
            connection.execute(delete(streams).where(streams.c.id == stream_id))

    def save_statuses(
        self, host: str, statuses: Mapping[str, StreamStatus], now: float | None = None
    ) -> None:
        """Store how the streams of a host do, in one transaction.

        Streams that the host does not hold (any more) are left alone: their new host knows better.
        """
        at = time.time() if now is None else now
        if not statuses:
            return
        with self._database.write() as connection:
            query = select(streams.c.id).where(streams.c.id.in_(list(statuses)), streams.c.lease_host == host)
            held = connection.execute(query).scalars().all()
            rows = [
                {"stream_id": name, "body": _body(statuses[name], host, at), "updated_at": at}
                for name in held
            ]
            if rows:
                statement = self._insert(stream_status)
                kept = statement.excluded
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["stream_id"],
                        set_={"body": kept.body, "updated_at": kept.updated_at},
                    ),
                    rows,
                )

    def statuses(self, ids: Sequence[str], now: float | None = None) -> dict[str, StreamStatus]:
        """How streams do. A paused one says so, one without a living host is pending, whatever was reported last."""
        at = time.time() if now is None else now
        query = (
            select(streams.c.id, streams.c.enabled, streams.c.lease_host, streams.c.lease_until, stream_status.c.body)
            .outerjoin(stream_status, stream_status.c.stream_id == streams.c.id)
            .where(streams.c.id.in_(ids))
        )  # fmt: skip
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = {}
        for row in rows:
            status = StreamStatus() if row.body is None else StreamStatus.model_validate_json(row.body)
            held = row.lease_host is not None and row.lease_until > at
            if not row.enabled:
                status = status.model_copy(update={"state": StreamState.PAUSED})
            elif not held:
                status = status.model_copy(update={"state": StreamState.PENDING, "host": ""})
            found[row.id] = status
        return found

    def request_snapshot(self, stream_id: str, now: float | None = None) -> None:
        """Ask the stream's host for a picture of now; it sees this in `snapshot_requests`.

        Raises:
            StreamNotFoundError: no such stream.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            _get(connection, stream_id, None)
            connection.execute(
                update(streams).where(streams.c.id == stream_id).values(snapshot_requested_at=at)
            )

    def snapshot_requests(self, host: str) -> dict[str, float]:
        """Streams of a host of which a picture is wanted, with when it was asked for."""
        wanted = streams.c.snapshot_requested_at
        query = select(streams.c.id, wanted).where(streams.c.lease_host == host, wanted.is_not(None))
        with self._database.read() as connection:
            return {row.id: float(row.snapshot_requested_at) for row in connection.execute(query)}

    def snapshots_taken(self, requests: Mapping[str, float]) -> None:
        """Strike out answered requests; one that was made anew meanwhile stays."""
        wanted = streams.c.snapshot_requested_at
        if not requests:
            return
        with self._database.write() as connection:
            for stream_id, at in requests.items():
                statement = update(streams).where(streams.c.id == stream_id, wanted <= at)
                connection.execute(statement.values(snapshot_requested_at=None))


def spec_of(row: Row[Any]) -> StreamSpec:
    """The spec in a row of `SPEC_COLUMNS`."""
    return StreamSpec.model_validate(dict(row._mapping))  # noqa: SLF001 - the library's public name


def specs_of(rows: Iterable[Row[Any]]) -> list[StreamSpec]:
    """The specs in rows of `SPEC_COLUMNS`."""
    return [spec_of(row) for row in rows]


def _row(spec: StreamSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json")


def _body(status: StreamStatus, host: str, at: float) -> str:
    return status.model_copy(update={"host": host, "updated_at": at}).model_dump_json()


def _get(connection: Connection, stream_id: str, tenant: str | None, *, lock: bool = False) -> StreamSpec:
    query = select(*SPEC_COLUMNS).where(streams.c.id == stream_id)
    if tenant is not None:
        query = query.where(streams.c.tenant == tenant)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise StreamNotFoundError(stream_id)
    return spec_of(row)


def _changed(old: StreamSpec, changes: Mapping[str, Any]) -> StreamSpec:
    for name in changes:
        if name in _FIXED:
            raise ParamsError(f"{name} of a stream cannot be changed", field=name)
    try:
        return StreamSpec.model_validate(old.model_dump() | dict(changes))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ParamsError(f"{field}: {first['msg']}", field=field) from error
