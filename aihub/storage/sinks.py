"""Where events go: sinks as they were asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from aihub.errors import ConflictError, ParamsError
from aihub.storage.base import SinkNotFoundError, Store
from aihub.storage.records import SinkSpec
from aihub.storage.tables import sinks

_LISTS = ("algorithms", "severities", "streams")
_CHANGEABLE = {"name", "params", "enabled", *_LISTS}


class SinkStore(Store):
    """Methods on sinks."""

    def add_sink(self, sink: SinkSpec, now: float | None = None) -> SinkSpec:
        """Store a new sink; it gets what happens from now on.

        Raises:
            ConflictError: a sink of that id exists.
        """
        at = time.time() if now is None else now
        fields = _fields(sink) | {"created_at": at}
        try:
            with self._database.write() as connection:
                connection.execute(insert(sinks).values(**fields))
        except ConflictError as error:
            raise ConflictError(f"a sink of id {sink.id!r} exists already", field="id") from error
        return self.get_sink(sink.id)

    def get_sink(self, sink_id: str, *, tenant: str | None = None) -> SinkSpec:
        """One sink.

        Raises:
            SinkNotFoundError: no such sink, or not of that tenant.
        """
        with self._database.read() as connection:
            return _get(connection, sink_id, tenant)

    def list_sinks(self, tenant: str | None = None) -> list[SinkSpec]:
        """All sinks, or those of a tenant, oldest first."""
        query = select(sinks).order_by(sinks.c.created_at, sinks.c.id)
        if tenant is not None:
            query = query.where(sinks.c.tenant == tenant)
        with self._database.read() as connection:
            return [sink_of(row) for row in connection.execute(query)]

    def update_sink(self, sink_id: str, changes: Mapping[str, Any], *, tenant: str | None = None) -> SinkSpec:
        """Change name, params, filters or whether it is enabled.

        A disabled sink gets no new events; what waits for it goes out when it is enabled again.

        Raises:
            SinkNotFoundError: no such sink, or not of that tenant.
            ParamsError: a field that is unknown or fixed.
        """
        for name in changes:
            if name not in _CHANGEABLE:
                raise ParamsError(f"{name} of a sink cannot be changed", field=name)
        values = {name: list(value) if name in _LISTS else value for name, value in changes.items()}
        with self._database.write() as connection:
            _get(connection, sink_id, tenant)
            if values:
                connection.execute(update(sinks).where(sinks.c.id == sink_id).values(**values))
            return _get(connection, sink_id, tenant)

    def delete_sink(self, sink_id: str, *, tenant: str | None = None) -> None:
        """Remove a sink and all that waits for it.

        Raises:
            SinkNotFoundError: no such sink, or not of that tenant.
        """
        with self._database.write() as connection:
            _get(connection, sink_id, tenant)
            connection.execute(delete(sinks).where(sinks.c.id == sink_id))


def sink_of(row: Row[Any]) -> SinkSpec:
    """The sink in a row of the table."""
    fields: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - the library's public name for a row as a mapping
    for name in _LISTS:
        fields[name] = tuple(fields[name])
    return SinkSpec(**fields)


def _fields(sink: SinkSpec) -> dict[str, Any]:
    plain = {name: getattr(sink, name) for name in SinkSpec.__dataclass_fields__}
    return {name: list(value) if name in _LISTS else value for name, value in plain.items()}


def _get(connection: Connection, sink_id: str, tenant: str | None) -> SinkSpec:
    query = select(sinks).where(sinks.c.id == sink_id)
    if tenant is not None:
        query = query.where(sinks.c.tenant == tenant)
    row = connection.execute(query).first()
    if row is None:
        raise SinkNotFoundError(sink_id)
    return sink_of(row)
