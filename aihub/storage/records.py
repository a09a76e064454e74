"""What the repository gives back beside events and streams. Plain values: whoever reads these needs no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Generic, TypeVar

from aihub.errors import StorageError
from aihub.types import Event

T = TypeVar("T")

ANY_TENANT = "*"
"""Tenant of a sink that gets the events of all tenants."""


class RejectedError(StorageError):
    """The database will never take this; trying again is useless."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list. `cursor` asks for what follows; None when nothing does."""

    items: list[T]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without the key: only its SHA-256 is stored. Times are epoch seconds."""

    id: str
    name: str
    tenant: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    replaced_by: str | None = None

    def active(self, now: float) -> bool:
        """Whether it is neither revoked nor expired at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who shares a view of the hub, and what of the hub they have. It has nothing that it was not granted.

    Attributes:
        id: as keys, streams and events name it.
        title: for people.
        algorithms: patterns of ids that it may use, `*` and `?` as in a shell; of models too, by name.
        stream_groups: patterns of the groups whose streams it may add and see.
        calls_per_second: calls let in on average; None for no limit.
        burst: calls let in at once after a pause; None for one second's worth.
        concurrency: calls at work at the same time; None for no limit.
        calls_per_day: calls of one day (UTC); None for no limit.
        created_at: epoch seconds.
        updated_at: epoch seconds.
    """

    id: str
    title: str = ""
    algorithms: tuple[str, ...] = ()
    stream_groups: tuple[str, ...] = ()
    calls_per_second: float | None = None
    burst: int | None = None
    concurrency: int | None = None
    calls_per_day: int | None = None
    created_at: float = 0.0
    updated_at: float = 0.0

    def may_use(self, algorithm_id: str) -> bool:
        """Whether it was granted this algorithm (or model, by name)."""
        return _granted(self.algorithms, algorithm_id)

    def may_see_group(self, group: str) -> bool:
        """Whether it was granted this group of streams."""
        return _granted(self.stream_groups, group)


@lru_cache(maxsize=4096)
def _granted(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one tenant used of one algorithm on one day (UTC, `YYYY-MM-DD`).

    `frames` are pictures, or seconds of sound begun; `compute_s` is its share of the seconds that models and stages ran.
    """

    day: str
    tenant: str
    algorithm: str
    calls: int = 0
    errors: int = 0
    frames: int = 0
    compute_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """Where events go, and which. An empty filter lets everything through; `params` may hold secrets."""

    id: str
    name: str
    kind: str
    tenant: str = "default"
    params: dict[str, Any] = field(default_factory=dict, repr=False)
    algorithms: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    enabled: bool = True
    created_at: float = 0.0

    def wants(self, event: Event) -> bool:
        """Whether an event passes the filters and is of the sink's tenant."""
        return (
            self.enabled
            and self.tenant in (event.tenant, ANY_TENANT)
            and (not self.algorithms or event.algorithm in self.algorithms)
            and (not self.severities or event.severity.value in self.severities)
            and (not self.streams or event.stream_id in self.streams)
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One transition on its way to one sink. `attempts` counts the one under way."""

    id: int
    sink: SinkSpec
    event: Event
    attempts: int
    created_at: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up, and why."""

    id: int
    sink_id: str
    event_id: str
    revision: int
    attempts: int
    last_error: str
    created_at: float


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """How full the outbox is. `oldest_pending_s` is the age of the oldest undelivered row, seconds."""

    pending: int
    delivered: int
    dead: int
    oldest_pending_s: float


@dataclass(frozen=True, slots=True)
class Transition:
    """A stored step in an event's life; `seq` grows in the order of commits."""

    seq: int
    event: Event
    created_at: float


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process of the hub, by its last heartbeat. `metrics` is its Prometheus text."""

    id: str
    kind: str
    node: str
    pid: int
    started_at: float
    heartbeat_at: float
    metrics: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something and from where, as the audit notes it. `key_id` is empty for what no key asked for."""

    name: str
    tenant: str = ""
    key_id: str = ""
    address: str = ""


HUB = Actor("hub")
"""The hub itself, as at its first start."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what, when, from where, and what came of it: `ok`, or the code of the error."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    tenant: str = ""
    key_id: str = ""
    address: str = ""
    outcome: str = "ok"
