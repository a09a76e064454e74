"""What the repository gives back beside events and streams. Plain values: whoever reads these needs no database."""

from __future__ import annotations

from dataclasses import dataclass, field
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

    def active(self, now: float) -> bool:
        """Whether it is neither revoked nor expired at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


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
class AuditEntry:
    """Who did what to what, when."""

    id: int
    at: float
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
