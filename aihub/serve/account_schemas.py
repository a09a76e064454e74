"""Bodies of requests and answers about tenants, keys, usage and the audit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from aihub.serve.schemas import ID, Asked
from aihub.serve.security import SCOPES
from aihub.types.accounts import AuditNote, TenantInfo, UsageRow, UsageTotal

PLAIN = r"^[^\x00]*$"
"""Text that every database can hold."""
MAX_GRANTS = 500
MAX_GRACE_S = 30 * 86_400
DEFAULT_GRACE_S = 86_400.0
LATEST = 253_402_300_800.0
"""Year 10000, epoch seconds: no key needs to last longer, and times beyond cannot be written as dates."""

Pattern = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9*?][A-Za-z0-9_.*?-]*$")]
Grants = Annotated[
    list[Pattern],
    Field(
        max_length=MAX_GRANTS,
        description="Patterns, `*` and `?` as in a shell; `*` alone means all, none nothing.",
    ),
]
Rate = Annotated[
    float,
    Field(
        gt=0,
        le=1e6,
        allow_inf_nan=False,
        description="Calls let in on average; a request for several algorithms is several calls.",
    ),
]
Burst = Annotated[
    int,
    Field(
        ge=1, le=1_000_000, description="Calls let in at once after a pause; one second's worth by default."
    ),
]
Concurrency = Annotated[
    int, Field(ge=1, le=100_000, description="Requests at work at the same time; gateways share it evenly.")
]
Quota = Annotated[int, Field(ge=0, le=10**12, description="Calls of one day (UTC).")]
Title = Annotated[str, Field(max_length=200, pattern=PLAIN)]
Scope = Literal["infer", "streams", "events", "faces", "metrics", "admin"]


class TenantIn(Asked):
    """A new tenant. It has nothing that is not given here."""

    id: str = Field(pattern=ID, description="As keys, streams and events name it.")
    title: Title = ""
    algorithms: Grants = Field(default_factory=list)
    stream_groups: Grants = Field(default_factory=list)
    calls_per_second: Rate | None = None
    burst: Burst | None = None
    concurrency: Concurrency | None = None
    calls_per_day: Quota | None = None


class TenantPatch(Asked):
    """What to change of a tenant; what is absent stays, and a limit that is null is taken away."""

    title: Title | None = None
    algorithms: Grants | None = None
    stream_groups: Grants | None = None
    calls_per_second: Rate | None = None
    burst: Burst | None = None
    concurrency: Concurrency | None = None
    calls_per_day: Quota | None = None


class TenantList(BaseModel):
    """All tenants, by id."""

    items: list[TenantInfo]


class KeyIn(Asked):
    """A new key."""

    name: str = Field(min_length=1, max_length=200, pattern=PLAIN, description="Whom it is for.")
    tenant: str = Field("default", pattern=ID)
    scopes: list[Scope] = Field(min_length=1, max_length=len(SCOPES))
    expires_at: float | None = Field(
        None, gt=0, lt=LATEST, allow_inf_nan=False, description="Epoch seconds; never by default."
    )


class RotateIn(Asked):
    """How to rotate a key."""

    grace_s: float = Field(
        DEFAULT_GRACE_S,
        ge=0,
        le=MAX_GRACE_S,
        allow_inf_nan=False,
        description="How long the old key goes on, seconds; never longer than it would have without.",
    )


class UsagePage(BaseModel):
    """Part of the list of usage, newest day first, with the sum of all of it."""

    items: list[UsageRow]
    total: UsageTotal
    next_cursor: str | None = Field(None, description="Send it as `cursor` for what follows.")


class AuditPage(BaseModel):
    """Part of the audit, newest first."""

    items: list[AuditNote]
    next_cursor: str | None = Field(None, description="Send it as `cursor` for what follows.")
