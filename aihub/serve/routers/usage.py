"""`/v1/usage`: what tenants used, by day and algorithm."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from aihub.errors import ForbiddenError
from aihub.serve.access import TheServices, UsageReader
from aihub.serve.account_schemas import PLAIN, UsagePage
from aihub.serve.problems import documented
from aihub.serve.schemas import ID
from aihub.serve.security import Caller
from aihub.types.accounts import UsageRow, UsageTotal

router = APIRouter(prefix="/v1", tags=["usage"], responses=documented())

DEFAULT_DAYS = 30


@router.get("/usage", operation_id="listUsage", summary="What was used")
def list_usage(
    services: TheServices,
    caller: UsageReader,
    tenant: Annotated[
        str | None, Query(pattern=ID, description="Administrators: one tenant; all by default.")
    ] = None,
    algorithm: Annotated[
        str | None, Query(max_length=64, pattern=PLAIN, description="Only of this algorithm or model.")
    ] = None,
    since: Annotated[date | None, Query(description="First day, UTC; 30 days ago by default.")] = None,
    until: Annotated[date | None, Query(description="Last day, UTC; today by default.")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> UsagePage:
    """Calls, errors, frames and compute seconds by day, tenant and algorithm; a few seconds late. A key sees its own tenant.

    Work that several algorithms or tenants share, such as one run of a detector, is split among them, so that the seconds
    of all add up to those that were really spent.
    """
    whose = _whose(tenant, caller)
    today = datetime.fromtimestamp(time.time(), UTC).date()
    first = (since or today - timedelta(days=DEFAULT_DAYS)).isoformat()
    last = (until or today).isoformat()
    repository = services.repository
    page = repository.list_usage(
        tenant=whose, algorithm=algorithm, since=first, until=last, cursor=cursor, limit=limit
    )
    total = repository.total_usage(tenant=whose, algorithm=algorithm, since=first, until=last)
    return UsagePage(
        items=[UsageRow.model_validate(asdict(row)) for row in page.items],
        total=UsageTotal(
            calls=total.calls, errors=total.errors, frames=total.frames, compute_s=total.compute_s
        ),
        next_cursor=page.cursor,
    )


def _whose(asked: str | None, caller: Caller) -> str | None:
    if caller.admin:
        return asked
    if asked not in (None, caller.tenant):
        raise ForbiddenError("this key is not of that tenant", field="tenant")
    return caller.tenant
