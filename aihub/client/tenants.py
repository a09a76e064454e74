"""Calls about who may do what, what was used, and what was done. All but those about usage need the scope `admin`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from aihub.client.calls import Call, Pages, call, given, many, nothing, one, pages
from aihub.types.accounts import AuditNote, NewKey, TenantInfo, UsageRow, UsageTotal
from aihub.types.answers import Key

PAGE = 500


class TenantCalls:
    """Tenants and their keys."""

    @call("GET", "/v1/tenants")
    def tenants(self) -> Call[list[TenantInfo]]:
        """All tenants with their grants and limits."""
        return Call(many(TenantInfo))

    @call("GET", "/v1/tenants/{tenant_id}")
    def tenant(self, tenant_id: str) -> Call[TenantInfo]:
        """One tenant."""
        return Call(one(TenantInfo), ids=(tenant_id,))

    @call("POST", "/v1/tenants")
    def add_tenant(self, /, id: str, **fields: Any) -> Call[TenantInfo]:  # noqa: A002 - as the API names it
        """Add a tenant. It has nothing that is not given here.

        Args:
            id: as keys, streams and events name it.
            fields: `title`, `algorithms`, `stream_groups` (patterns), `calls_per_second`, `burst`, `concurrency`,
                `calls_per_day`.

        Raises:
            ConflictError: there is one of that id.
        """
        return Call(one(TenantInfo), json={"id": id, **fields})

    @call("PATCH", "/v1/tenants/{tenant_id}")
    def update_tenant(self, tenant_id: str, changes: Mapping[str, Any]) -> Call[TenantInfo]:
        """Change grants and limits; a limit that is None is taken away. It is felt within seconds."""
        return Call(one(TenantInfo), ids=(tenant_id,), json=dict(changes), again=True)

    @call("DELETE", "/v1/tenants/{tenant_id}")
    def delete_tenant(self, tenant_id: str) -> Call[None]:
        """Remove a tenant.

        Raises:
            ConflictError: it has keys in force, streams or sinks.
        """
        return Call(nothing, ids=(tenant_id,))

    @call("GET", "/v1/keys")
    def keys(self) -> Call[list[Key]]:
        """All API keys, by their prefixes."""
        return Call(many(Key))

    @call("POST", "/v1/keys")
    def add_key(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        tenant: str = "default",
        expires_at: float | None = None,
    ) -> Call[NewKey]:
        """Make a key. The answer holds it, this once.

        Args:
            name: whom it is for.
            scopes: of `infer`, `streams`, `events`, `faces`, `metrics`, `admin`.
            tenant: whose it is.
            expires_at: epoch seconds; None means never.
        """
        body = {"name": name, "scopes": list(scopes), "tenant": tenant, "expires_at": expires_at}
        return Call(one(NewKey), json=body)

    @call("POST", "/v1/keys/{key_id}/rotate")
    def rotate_key(self, key_id: str, *, grace_s: float | None = None) -> Call[NewKey]:
        """Replace a key by a new one with the same rights; the old one goes on for `grace_s` seconds, a day by default."""
        return Call(one(NewKey), ids=(key_id,), json=None if grace_s is None else {"grace_s": grace_s})

    @call("DELETE", "/v1/keys/{key_id}")
    def revoke_key(self, key_id: str) -> Call[Key]:
        """End a key; it stops working within seconds."""
        return Call(one(Key), ids=(key_id,))


class AccountCalls:
    """What was used, and what was done by whom."""

    @pages("/v1/usage")
    def usage(
        self,
        *,
        tenant: str | None = None,
        algorithm: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> Pages[UsageRow]:
        """What was used by day, tenant and algorithm, newest day first. A key that is no administrator's sees its own tenant.

        Args:
            tenant: only of this one.
            algorithm: only of this algorithm or model.
            since: first day, UTC; 30 days ago by default.
            until: last day, UTC; today by default.
        """
        query = given(tenant=tenant, algorithm=algorithm, since=since, until=until, limit=PAGE)
        return Pages(UsageRow.read, query=query)

    @call("GET", "/v1/usage")
    def usage_total(
        self,
        *,
        tenant: str | None = None,
        algorithm: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> Call[UsageTotal]:
        """The sum of what `usage` would list."""
        query = given(tenant=tenant, algorithm=algorithm, since=since, until=until, limit=1)
        return Call(lambda response: UsageTotal.read(response.json()["total"]), query=query)

    @pages("/v1/audit")
    def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        tenant: str | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int | None = None,
    ) -> Pages[AuditNote]:
        """Changes of keys and tenants, what people did with events, looks at evidence; newest first.

        Args:
            actor: only by this one.
            action: only this, such as `key.rotate`; `key.` finds all that begin so.
            subject: only to this.
            tenant: only by keys of this one.
            since: at or after, epoch seconds.
            until: before, epoch seconds.
            limit: at most so many.
        """
        query = given(
            actor=actor, action=action, subject=subject, tenant=tenant, since=since, until=until,
            limit=PAGE if limit is None else max(1, min(limit, PAGE)),
        )  # fmt: skip
        return Pages(AuditNote.read, query=query, limit=limit)
