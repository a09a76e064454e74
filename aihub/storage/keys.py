"""API keys. The key itself is never here, only its SHA-256; keys are random, so no slow hash is needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update

from aihub.storage.base import KeyNotFoundError, Store
from aihub.storage.records import ApiKey
from aihub.storage.tables import api_keys
from aihub.types import uuid7

_TOUCH_EVERY_S = 60.0
_COLUMNS = [column for column in api_keys.c if column.name != "key_hash"]


class KeyStore(Store):
    """Methods on API keys."""

    def add_key(
        self,
        *,
        name: str,
        key_hash: str,
        prefix: str,
        scopes: Sequence[str],
        tenant: str = "default",
        expires_at: float | None = None,
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
            now: epoch seconds, the clock's when None.

        Raises:
            ConflictError: that key is here already.
        """
        at = time.time() if now is None else now
        key = ApiKey(uuid7(at), name, tenant, prefix, tuple(scopes), at, expires_at)
        with self._database.write() as connection:
            connection.execute(
                insert(api_keys).values(
                    id=key.id,
                    name=name,
                    tenant=tenant,
                    key_hash=key_hash,
                    prefix=prefix,
                    scopes=list(scopes),
                    created_at=at,
                    expires_at=expires_at,
                )
            )
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

    def revoke_key(self, key_id: str, *, tenant: str | None = None, now: float | None = None) -> ApiKey:
        """End a key. Doing it again keeps the first time.

        Raises:
            KeyNotFoundError: no such key, or not of that tenant.
        """
        at = time.time() if now is None else now
        mine = api_keys.c.id == key_id
        if tenant is not None:
            mine &= api_keys.c.tenant == tenant
        with self._database.write() as connection:
            connection.execute(
                update(api_keys).where(mine, api_keys.c.revoked_at.is_(None)).values(revoked_at=at)
            )
            row = connection.execute(select(*_COLUMNS).where(mine)).first()
        if row is None:
            raise KeyNotFoundError(key_id)
        return _key(row)

    def touch_key(self, key: ApiKey, now: float | None = None) -> None:
        """Note that a key was used; at most one write a minute, however often it is called."""
        at = time.time() if now is None else now
        if key.last_used_at is not None and at - key.last_used_at < _TOUCH_EVERY_S:
            return
        with self._database.write() as connection:
            connection.execute(update(api_keys).where(api_keys.c.id == key.id).values(last_used_at=at))


def _key(row: Row[Any]) -> ApiKey:
    fields = dict(row._mapping)  # noqa: SLF001 - the library's public name for a row as a mapping
    fields["scopes"] = tuple(fields["scopes"])
    return ApiKey(**fields)
