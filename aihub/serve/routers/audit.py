"""`/v1/audit`: who did what, when, from where, with what outcome."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from aihub.serve.access import Administrator, TheServices
from aihub.serve.account_schemas import PLAIN, AuditPage
from aihub.serve.problems import documented
from aihub.types.accounts import AuditNote

router = APIRouter(prefix="/v1", tags=["admin"], responses=documented())

_Name = Annotated[str | None, Query(max_length=200, pattern=PLAIN)]


@router.get("/audit", operation_id="listAudit", summary="What was done by whom")
def list_audit(
    services: TheServices,
    _: Administrator,
    actor: _Name = None,
    action: Annotated[
        str | None,
        Query(
            max_length=64, pattern=PLAIN, description="Such as `key.rotate`; `key.` finds all that begin so."
        ),
    ] = None,
    subject: _Name = None,
    tenant: Annotated[
        str | None, Query(max_length=64, pattern=PLAIN, description="Of the key that did it.")
    ] = None,
    since: Annotated[float | None, Query(description="At or after, epoch seconds.")] = None,
    until: Annotated[float | None, Query(description="Before, epoch seconds.")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AuditPage:
    """Every change of keys and tenants, every step that a person takes with an event, every look at evidence; newest first.

    Notes can be added and read, never changed: the database refuses. Those older than the setting `audit_days` go, and a note
    (`audit.prune`) says how many and up to which time.
    """
    page = services.repository.list_audit(
        limit,
        actor=actor,
        action=action,
        subject=subject,
        tenant=tenant,
        since=since,
        until=until,
        cursor=cursor,
    )
    return AuditPage(
        items=[AuditNote.model_validate(asdict(entry)) for entry in page.items], next_cursor=page.cursor
    )
