"""Tenants: what each was granted and how much of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from aihub.errors import ConflictError, ParamsError
from aihub.storage.audit import note
from aihub.storage.base import Store, TenantNotFoundError
from aihub.storage.gallery_tables import galleries
from aihub.storage.records import HUB, Actor, Tenant
from aihub.storage.tables import api_keys, sinks, streams
from aihub.storage.tenancy_tables import tenants

_LISTS = ("algorithms", "stream_groups")
_FIXED = {"id", "created_at", "updated_at"}


class TenantStore(Store):
    """Methods on tenants. Each change is noted in the audit, in the same transaction."""

    def add_tenant(self, tenant: Tenant, *, by: Actor = HUB, now: float | None = None) -> Tenant:
        """Store a new tenant.

        Raises:
            ConflictError: a tenant of that id exists.
        """
        at = time.time() if now is None else now
        made = replace(tenant, created_at=at, updated_at=at)
        try:
            with self._database.write() as connection:
                connection.execute(insert(tenants).values(**_fields(made)))
                note(connection, by, "tenant.create", made.id, _told(made), at=at)
        except ConflictError as error:
            raise ConflictError(f"a tenant of id {tenant.id!r} exists already", field="id") from error
        return made

    def find_tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant of that id; None when there is none."""
        with self._database.read() as connection:
            row = connection.execute(select(tenants).where(tenants.c.id == tenant_id)).first()
        return None if row is None else _tenant(row)

    def get_tenant(self, tenant_id: str) -> Tenant:
        """One tenant.

        Raises:
            TenantNotFoundError: there is none of that id.
        """
        found = self.find_tenant(tenant_id)
        if found is None:
            raise TenantNotFoundError(tenant_id)
        return found

    def list_tenants(self) -> list[Tenant]:
        """All tenants by id."""
        with self._database.read() as connection:
            return [_tenant(row) for row in connection.execute(select(tenants).order_by(tenants.c.id))]

    def update_tenant(
        self, tenant_id: str, changes: Mapping[str, Any], *, by: Actor = HUB, now: float | None = None
    ) -> Tenant:
        """Change what is given. Streams are told when grants change: their hosts look at the grants again.

        Args:
            tenant_id: which.
            changes: fields of `Tenant` other than id and times; None takes a limit away.
            by: who does it.
            now: epoch seconds, the clock's when None.

        Raises:
            TenantNotFoundError: there is none of that id.
            ParamsError: a field is unknown or fixed.
        """
        for name in changes:
            if name in _FIXED or name not in Tenant.__dataclass_fields__:
                raise ParamsError(f"{name} of a tenant cannot be changed", field=name)
        at = time.time() if now is None else now
        with self._database.write() as connection:
            old = _get(connection, tenant_id)
            new = replace(old, **{name: _plain(name, value) for name, value in changes.items()})
            changed = {name: value for name, value in _told(new).items() if value != _told(old)[name]}
            if not changed:
                return old
            new = replace(new, updated_at=at)
            connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(**_fields(new)))
            if "algorithms" in changed:
                # A host binds a stream's tasks anew when the stream's revision changes, whatever process it is in.
                connection.execute(
                    update(streams)
                    .where(streams.c.tenant == tenant_id)
                    .values(revision=streams.c.revision + 1)
                )
            note(connection, by, "tenant.update", tenant_id, changed, at=at)
        return new

    def delete_tenant(self, tenant_id: str, *, by: Actor = HUB, now: float | None = None) -> None:
        """Forget a tenant that has nothing any more. Its past (events, usage, audit) stays.

        Raises:
            TenantNotFoundError: there is none of that id.
            ConflictError: it still has keys in force, streams, sinks or face galleries.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            old = _get(connection, tenant_id)
            left = _left(connection, tenant_id, at)
            if left:
                raise ConflictError(
                    f"tenant {tenant_id!r} still has {' and '.join(left)}", hint="remove or revoke them first"
                )
            connection.execute(delete(tenants).where(tenants.c.id == tenant_id))
            note(connection, by, "tenant.delete", tenant_id, _told(old), at=at)


def _left(connection: Connection, tenant_id: str, at: float) -> list[str]:
    in_force = (
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > at),
    )
    questions = {
        "keys in force": select(api_keys.c.id).where(api_keys.c.tenant == tenant_id, *in_force),
        "streams": select(streams.c.id).where(streams.c.tenant == tenant_id),
        "sinks": select(sinks.c.id).where(sinks.c.tenant == tenant_id),
        "face galleries": select(galleries.c.name).where(galleries.c.tenant == tenant_id),
    }
    return [
        what for what, query in questions.items() if connection.execute(query.limit(1)).first() is not None
    ]


def _get(connection: Connection, tenant_id: str) -> Tenant:
    row = connection.execute(select(tenants).where(tenants.c.id == tenant_id).with_for_update()).first()
    if row is None:
        raise TenantNotFoundError(tenant_id)
    return _tenant(row)


def _tenant(row: Row[Any]) -> Tenant:
    fields: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - the library's public name for a row as a mapping
    return Tenant(**{name: _plain(name, value) for name, value in fields.items()})


def _plain(name: str, value: Any) -> Any:
    return tuple(value) if name in _LISTS else value


def _fields(tenant: Tenant) -> dict[str, Any]:
    return {name: list(value) if name in _LISTS else value for name, value in asdict(tenant).items()}


def _told(tenant: Tenant) -> dict[str, Any]:
    """What the audit says of a tenant."""
    return {name: value for name, value in _fields(tenant).items() if name not in _FIXED}
