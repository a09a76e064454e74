"""What the client gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from aihub.types import AnyResult, Event, EventSpec, InputKind, Readiness, Sampling, StreamStatus, StreamTask


class _Seen(BaseModel):
    # A newer hub may say more than this client knows.
    model_config = ConfigDict(extra="ignore", frozen=True)


class AlgorithmInfo(_Seen):
    """An algorithm: what it does, whether it can be used now, what it takes."""

    id: str
    version: int
    title: dict[str, str]
    summary: str
    domain: str
    input: list[InputKind]
    readiness: Readiness
    reason: str = ""
    params: dict[str, Any] = Field(default_factory=dict, description="JSON schema.")
    models: list[str] = Field(default_factory=list)
    event: EventSpec | None = None
    evidence: list[dict[str, str]] = Field(default_factory=list)
    intended_use: str = ""
    limits: str = ""


class Stream(_Seen):
    """A stream as it was asked for, and how it is doing."""

    id: str
    name: str
    url: str
    has_credentials: bool
    transport: str
    tasks: list[StreamTask]
    sampling: Sampling
    enabled: bool
    tenant: str
    revision: int
    status: StreamStatus


class StreamResult(_Seen):
    """What became of one stream of many: `stream` or `problem`."""

    index: int
    status: int
    id: str | None = None
    stream: Stream | None = None
    problem: dict[str, Any] | None = None


class Sink(_Seen):
    """Where events are delivered to."""

    id: str
    name: str
    kind: str
    tenant: str
    algorithms: list[str]
    severities: list[str]
    streams: list[str]
    enabled: bool
    created_at: float
    target: str = ""


class Key(_Seen):
    """An API key, by its prefix."""

    id: str
    name: str
    tenant: str
    prefix: str
    scopes: list[str]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None


class Check(_Seen):
    """One thing that must be true before the hub is ready."""

    ok: bool
    detail: str = ""


class Ready(_Seen):
    """Whether the hub can be used."""

    ready: bool
    version: str
    checks: dict[str, Check]


@dataclass(frozen=True, slots=True)
class InferAnswer:
    """Results of one request, one for each picture, in order."""

    algorithm: str
    version: int
    results: list[AnyResult]
    took_ms: float


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """A step in the life of an event; `seq` resumes after it."""

    seq: int
    event: Event
