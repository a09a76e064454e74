"""What the API answers about tenants, their keys, what they used and what was done: written by the hub, read by clients."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from aihub.types.answers import Answer, Key


class TenantInfo(Answer):
    """A tenant: what it was granted and how much of it. A limit that is null is none."""

    id: str
    title: str
    algorithms: list[str] = Field(description="Patterns of the ids that it may use.")
    stream_groups: list[str] = Field(description="Patterns of the groups whose streams it may add and see.")
    calls_per_second: float | None
    burst: int | None
    concurrency: int | None
    calls_per_day: int | None
    created_at: float
    updated_at: float


class NewKey(Key):
    """A key that was just made. `key` is shown this once and kept nowhere."""

    key: str = Field(repr=False)


class UsageRow(Answer):
    """What one tenant used of one algorithm on one day."""

    day: str = Field(description="UTC, YYYY-MM-DD.")
    tenant: str
    algorithm: str = Field(description="Id of the algorithm, or name of the model.")
    calls: int = Field(description="Requests for it that ended, well or not.")
    errors: int = Field(description="How many of these failed.")
    frames: int = Field(description="Pictures, or seconds of sound begun; those of streams and jobs too.")
    compute_s: float = Field(
        description="Seconds that models and stages ran for it; shared work by its share."
    )


class UsageTotal(Answer):
    """The sum of all rows that fit the question, those on other pages too."""

    calls: int
    errors: int
    frames: int
    compute_s: float


class AuditNote(Answer):
    """Who did what to what, when, from where, and what came of it."""

    id: int
    at: float = Field(description="Epoch seconds.")
    actor: str = Field(description="Name of the key, or who it was on the hub's machine.")
    action: str = Field(description="Such as `key.rotate`, `tenant.update`, `event.snapshot`.")
    subject: str = Field(description="Id of what it was done to.")
    detail: dict[str, Any]
    tenant: str = Field(description="Of the key.")
    key_id: str = Field(description="Id of the key; empty on the hub's machine.")
    address: str = Field(description="Where the request came from.")
    outcome: str = Field(description="`ok`, or the code of the error.")
