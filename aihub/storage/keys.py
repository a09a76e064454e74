"""API keys. The key itself is never here, only its SHA-256; keys are random, so no slow hash is needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from aihub.errors import ConflictError
from aihub.storage.audit import note
from aihub.storage.base import KeyNotFoundError, Store
from aihub.storage.records import HUB, Actor, ApiKey
from aihub.storage.tables import api_keys
from aihub.types import uuid7

_TOUCH_EVERY_S = 60.0
_COLUMNS = [column for column in api_keys.c if column.name != "key_hash"]


class KeyStore(Store):
    """Methods on API keys. Each change is noted in the audit, in the same transaction."""

    def add_key(
        self,
        *,
        name: str,
        key_hash: str,
        prefix: str,
        scopes: Sequence[str],
        tenant: str = "default",
        expires_at: float | None = None,
        by: Actor = HUB,
        now: float | None = None,
    ) -> ApiKey:
        """Remember a new key.

        Args:
            name: for people.
            key_hash: SHA-256 of the key, hexadecimal.
            prefix: first characters of the key, shown in lists.
            scopes: what it may do.
            tenant: whose it is.
            expires_at: epoch seconds, None for never.
            by: who makes it.
            now: epoch seconds, the clock's when None.

        Raises:
            ConflictError: that key is here already.
        """
        at = time.time() if now is None else now
        key = ApiKey(uuid7(at), name, tenant, prefix, tuple(scopes), at, expires_at)
        with self._database.write() as connection:
            _add(connection, key, key_hash)
            note(connection, by, "key.create", key.id, _told(key), at=at)
        return key

    def find_key(self, key_hash: str) -> ApiKey | None:
        """The key of that hash, whether still valid or not; None when there is none."""
        with self._database.read() as connection:
            row = connection.execute(select(*_COLUMNS).where(api_keys.c.key_hash == key_hash)).first()
        return None if row is None else _key(row)

    def list_keys(self, tenant: str | None = None) -> list[ApiKey]:
        """All keys, or those of a tenant, oldest first."""
        query = select(*_COLUMNS).order_by(api_keys.c.created_at, api_keys.c.id)
        if tenant is not None:
            query = query.where(api_keys.c.tenant == tenant)
        with self._database.read() as connection:
            return [_key(row) for row in connection.execute(query)]

    def revoke_key(
        self, key_id: str, *, tenant: str | None = None, by: Actor = HUB, now: float | None = None
    ) -> ApiKey:
        """End a key. Doing it again keeps the first time.

        Raises:
            KeyNotFoundError: no such key, or not of that tenant.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            key = _get(connection, key_id, tenant)
            if key.revoked_at is None:
                connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=at))
                note(connection, by, "key.revoke", key_id, _told(key), at=at)
                key = replace(key, revoked_at=at)
        return key

    def rotate_key(
        self,
        key_id: str,
        *,
        key_hash: str,
        prefix: str,
        grace_s: float,
        by: Actor = HUB,
        now: float | None = None,
    ) -> ApiKey:
        """Put a new key in the place of an old one: same name, tenant, scopes and expiry.

        Args:
            key_id: the old one, which goes on for a while.
            key_hash: SHA-256 of the new key, hexadecimal.
            prefix: first characters of the new key.
            grace_s: how long the old one goes on, seconds; never longer than it would have without.
            by: who does it.
            now: epoch seconds, the clock's when None.

        Returns:
            The new key.

        Raises:
            KeyNotFoundError: no such key.
            ConflictError: the old key is no longer in force, or was rotated before.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            old = _get(connection, key_id, None)
            if not old.active(at):
                raise ConflictError(f"key {key_id!r} is no longer in force", hint="make a new one")
            if old.replaced_by is not None:
                raise ConflictError(
                    f"key {key_id!r} was rotated before", hint=f"rotate its successor, {old.replaced_by}"
                )
            new = ApiKey(uuid7(at), old.name, old.tenant, prefix, old.scopes, at, old.expires_at)
            ends = at + grace_s if old.expires_at is None else min(old.expires_at, at + grace_s)
            _add(connection, new, key_hash)
            connection.execute(
                update(api_keys).where(api_keys.c.id == key_id).values(expires_at=ends, replaced_by=new.id)
            )
            detail = _told(new) | {"replaced_by": new.id, "old_until": ends}
            note(connection, by, "key.rotate", key_id, detail, at=at)
        return new

    def touch_key(self, key: ApiKey, now: float | None = None) -> None:
        """Note that a key was used; at most one write a minute, however often it is called."""
        at = time.time() if now is None else now
        if key.last_used_at is not None and at - key.last_used_at < _TOUCH_EVERY_S:
            return
        with self._database.write() as connection:
            connection.execute(update(api_keys).where(api_keys.c.id == key.id).values(last_used_at=at))


def _add(connection: Connection, key: ApiKey, key_hash: str) -> None:
    connection.execute(
        insert(api_keys).values(
            id=key.id,
            name=key.name,
            tenant=key.tenant,
            key_hash=key_hash,
            prefix=key.prefix,
            scopes=list(key.scopes),
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )


def _get(connection: Connection, key_id: str, tenant: str | None) -> ApiKey:
    query = select(*_COLUMNS).where(api_keys.c.id == key_id).with_for_update()
    if tenant is not None:
        query = query.where(api_keys.c.tenant == tenant)
    row = connection.execute(query).first()
    if row is None:
        raise KeyNotFoundError(key_id)
    return _key(row)


def _told(key: ApiKey) -> dict[str, Any]:
    """What the audit says of a key."""
    return {
        "name": key.name,
        "tenant": key.tenant,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "expires_at": key.expires_at,
    }


def _key(row: Row[Any]) -> ApiKey:
    fields = dict(row._mapping)  # noqa: SLF001 - the library's public name for a row as a mapping
    fields["scopes"] = tuple(fields["scopes"])
    return ApiKey(**fields)
