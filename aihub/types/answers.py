"""What the hub's API answers: written by `aihub.serve`, read by `aihub.client`, so that neither says it twice.

A client may be older than its hub: fields that it does not know are passed over when it reads (`read`).
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from aihub.types.cards import EventSpec, Readiness
from aihub.types.streams import Sampling, StreamSpec, StreamStatus, StreamTask
from aihub.types.tasks import InputKind


class Answer(BaseModel):
    """Base of what the hub answers."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def read(cls, value: Any) -> Self:
        """From JSON values of a hub that may say more than is known here, at any depth."""
        return cls.model_validate(value, extra="ignore")


class Problem(Answer):
    """An error, RFC 9457."""

    type: str = Field(description="Reference of the kind of error, `/docs/errors#CODE`.")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable name of the kind of error: what programs should look at.")
    field: str | None = Field(
        None, description="The input that is wrong, for example `tasks[0].params.zone`."
    )
    hint: str | None = Field(None, description="What to do about it.")
    instance: str = Field("", description="Path of the request.")
    request_id: str = Field("", description="Also in the header X-Request-Id and in the hub's log.")
    retry_after_s: float | None = None


class Evidence(Answer):
    """An example that the algorithm's card carries and every check of it runs."""

    media: str
    evidence: Literal["real", "synthetic"]


class AlgorithmInfo(Answer):
    """An algorithm: what it does, whether it can be used now, what it takes."""

    id: str
    version: int
    title: dict[Literal["en", "zh"], str]
    summary: str
    domain: str
    input: list[InputKind]
    readiness: Readiness
    reason: str = Field(description="Why it is not ready, or the command that brings its weights.")
    params: dict[str, Any] = Field(description="JSON schema of the parameters.")
    models: list[str] = Field(description="Names or roles of the models it needs.")
    event: EventSpec | None = Field(description="The event it raises on a stream.")
    evidence: list[Evidence]
    intended_use: str
    limits: str


class AlgorithmDetail(AlgorithmInfo):
    """An algorithm, with the form of its results."""

    result: dict[str, Any] = Field(description="JSON schema of its result for a picture.")


class Scenario(Answer):
    """A bundle of algorithms for one application system, as far as the caller may use them."""

    id: str
    version: int
    title: dict[Literal["en", "zh"], str]
    summary: str
    gives: list[str] = Field(description="What its users get.")
    tasks: list[StreamTask] = Field(
        description="What watches every stream of it, ready to be put into a stream; only what can be used now."
    )
    fps: float = Field(description="Analysed frames a second.")
    asks: list[str] = Field(description="Algorithms that its applications call.")
    missing: list[str] = Field(description="Algorithms of it that cannot be used now, each with its reason.")


class Stream(Answer):
    """A stream as it was asked for and how it is doing. Credentials are never shown."""

    id: str
    name: str
    url: str
    has_credentials: bool
    transport: str
    tasks: list[StreamTask]
    sampling: Sampling
    enabled: bool
    tenant: str
    group: str = Field("default", description="What grants to see and change streams name.")
    revision: int = Field(
        description="Grows with every change; send it as If-Match to change only this state."
    )
    status: StreamStatus

    @classmethod
    def of(cls, spec: StreamSpec, status: StreamStatus) -> Stream:
        """The public face of a stream."""
        return cls(
            **spec.model_dump(exclude={"username", "password"}),
            has_credentials=bool(spec.username or spec.password),
            status=status,
        )


class StreamResult(Answer):
    """What became of one stream of a bulk request."""

    index: int
    status: int = Field(description="HTTP status that it would have had alone.")
    id: str | None = None
    stream: Stream | None = None
    problem: Problem | None = None


class Sink(Answer):
    """A place that events are delivered to, without its parameters, which may hold secrets."""

    id: str
    name: str
    kind: str
    tenant: str
    algorithms: list[str]
    severities: list[str]
    streams: list[str]
    enabled: bool
    created_at: float
    target: str = Field("", description="Where it delivers to, without credentials.")


class Key(Answer):
    """An API key, by its prefix; the key itself is nowhere."""

    id: str
    name: str
    tenant: str
    prefix: str
    scopes: list[str]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None
    replaced_by: str | None = Field(None, description="Id of the key that it was rotated to.")


class Check(Answer):
    """One thing that must be true before the hub is ready."""

    ok: bool
    detail: str = ""


class Ready(Answer):
    """Whether the hub can be used, and what is missing."""

    ready: bool
    version: str
    checks: dict[str, Check]


class Health(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str
    uptime_s: float


class ErrorCode(Answer):
    """One kind of error."""

    code: str
    status: int
    title: str
