"""Bodies of requests and answers. What the engine gives back is described here for clients, but not checked again on its way out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from aihub.serve.result_schemas import ResultOut
from aihub.types import (
    Event,
    EventSpec,
    InputKind,
    Readiness,
    Sampling,
    Severity,
    StreamSpec,
    StreamStatus,
    StreamTask,
)

ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
MAX_TASKS = 64
MAX_BULK = 1000


class Asked(BaseModel):
    """Base of what callers send: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
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


class InferAnswer(BaseModel):
    """Results of one request, one for each picture in the order they were sent."""

    algorithm: str
    version: int
    results: list[ResultOut]
    took_ms: float = Field(description="From the first byte decoded to the last result, milliseconds.")


class InferBody(Asked):
    """Pictures as JSON."""

    images: list[str] = Field(min_length=1, description="Each a JPEG, PNG, WebP or BMP file in base64.")
    params: dict[str, Any] = Field(default_factory=dict)


class EvidenceOut(BaseModel):
    """An example that the algorithm's card carries and every check of it runs."""

    media: str
    evidence: Literal["real", "synthetic"]


class AlgorithmOut(BaseModel):
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
    evidence: list[EvidenceOut]
    intended_use: str
    limits: str


class BrokenCard(BaseModel):
    """A card that could not be read. Shown to administrators."""

    where: str
    detail: str


class AlgorithmList(BaseModel):
    """All algorithms, by domain and id."""

    items: list[AlgorithmOut]
    broken: list[BrokenCard] = Field(default_factory=list)


class TaskIn(Asked):
    """One algorithm to watch the stream."""

    id: str | None = Field(
        None, pattern=ID, description="Unique within the stream; by default the algorithm's id."
    )
    algorithm: str = Field(min_length=1, max_length=64)
    params: dict[str, Any] = Field(default_factory=dict)


Tasks = Annotated[list[TaskIn], Field(max_length=MAX_TASKS)]
Address = Annotated[
    str,
    Field(
        min_length=8,
        max_length=2048,
        description="rtsp:// or rtsps:// address. User and password in it are taken out and kept apart.",
        examples=["rtsp://10.1.2.3:554/Streaming/Channels/101"],
    ),
]
Transport = Literal["tcp", "udp"]


class StreamIn(Asked):
    """A camera to analyse."""

    id: str | None = Field(None, pattern=ID, description="By default the hub makes one.")
    name: str = Field("", max_length=200)
    url: Address
    username: str = Field("", max_length=200)
    password: SecretStr = Field(SecretStr(""), max_length=200)
    transport: Transport = "tcp"
    tasks: Tasks = Field(default_factory=list)
    sampling: Sampling = Sampling()
    enabled: bool = True
    tenant: str | None = Field(None, pattern=ID, description="Administrators only; by default the key's own.")


class StreamBulkIn(Asked):
    """Many cameras at once. Each stands or falls by itself."""

    streams: list[dict[str, Any]] = Field(
        min_length=1, max_length=MAX_BULK, description="Each as for a single stream."
    )


class StreamPatch(Asked):
    """What to change of a stream; what is absent stays. `enabled: false` pauses it."""

    name: str | None = Field(None, max_length=200)
    url: Address | None = None
    username: str | None = Field(None, max_length=200)
    password: SecretStr | None = Field(None, max_length=200)
    transport: Transport | None = None
    tasks: Tasks | None = None
    sampling: Sampling | None = None
    enabled: bool | None = None


class StreamOut(BaseModel):
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
    revision: int = Field(
        description="Grows with every change; send it as If-Match to change only this state."
    )
    status: StreamStatus

    @classmethod
    def of(cls, spec: StreamSpec, status: StreamStatus) -> StreamOut:
        """The public face of a stream."""
        return cls(
            **spec.model_dump(exclude={"username", "password"}),
            has_credentials=bool(spec.username or spec.password),
            status=status,
        )


class StreamResult(BaseModel):
    """What became of one stream of a bulk request."""

    index: int
    status: int = Field(description="HTTP status that it would have had alone.")
    id: str | None = None
    stream: StreamOut | None = None
    problem: Problem | None = None


class StreamBulkOut(BaseModel):
    """What became of a bulk request; the status of the whole is 201 when all went well, else 207."""

    created: int
    failed: int
    results: list[StreamResult]


class StreamPage(BaseModel):
    """Part of the list of streams."""

    items: list[StreamOut]
    next_cursor: str | None = Field(None, description="Send it as `cursor` for what follows.")


class EventPage(BaseModel):
    """Part of the list of events, newest first."""

    items: list[Event]
    next_cursor: str | None = Field(None, description="Send it as `cursor` for what follows.")


class EventStateIn(Asked):
    """What a person does with an event."""

    state: Literal["acknowledged", "dispatched", "resolved"]


class SinkIn(Asked):
    """A place that events are delivered to."""

    id: str | None = Field(None, pattern=ID, description="By default the hub makes one.")
    name: str = Field("", max_length=200)
    kind: str = Field(min_length=1, max_length=64, description="Such as `webhook` or `jsonl`.")
    params: dict[str, Any] = Field(
        default_factory=dict, description="Of the kind; for a webhook `url` and `secret`. Never shown again."
    )
    algorithms: list[str] = Field(default_factory=list, max_length=200, description="Empty means all.")
    severities: list[Severity] = Field(default_factory=list, description="Empty means all.")
    streams: list[str] = Field(default_factory=list, max_length=10_000, description="Empty means all.")
    enabled: bool = True
    tenant: str | None = Field(
        None, description="Administrators only: a tenant, or `*` for the events of all."
    )


class SinkOut(BaseModel):
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


class SinkList(BaseModel):
    """All sinks."""

    items: list[SinkOut]


class ReplayOut(BaseModel):
    """How many dead letters were put back into the outbox."""

    replayed: int


class KeyOut(BaseModel):
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


class KeyList(BaseModel):
    """All keys."""

    items: list[KeyOut]


class CheckOut(BaseModel):
    """One thing that must be true before the hub is ready."""

    ok: bool
    detail: str = ""


class ReadyOut(BaseModel):
    """Whether the hub can be used, and what is missing."""

    ready: bool
    version: str
    checks: dict[str, CheckOut]


class HealthOut(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str
    uptime_s: float


class EchoOut(BaseModel):
    """Length of what was sent."""

    bytes: int


class ErrorCode(BaseModel):
    """One kind of error."""

    code: str
    status: int
    title: str


class ErrorList(BaseModel):
    """Every kind of error there is."""

    items: list[ErrorCode]
