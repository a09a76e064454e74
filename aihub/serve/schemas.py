"""Bodies of requests and answers. What the engine gives back is described here for clients, but not checked again on its way out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from aihub.serve.columns import FIELDS
from aihub.serve.payloads import MAX_ADDRESS, MAX_ALGORITHMS
from aihub.types import Event, Sampling, Severity
from aihub.types.answers import AlgorithmInfo, ErrorCode, Key, Scenario, Sink, Stream, StreamResult

ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
MAX_TASKS = 64
MAX_BULK = 1000


class Asked(BaseModel):
    """Base of what callers send: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class PictureAt(Asked):
    """A picture that the hub fetches."""

    url: str = Field(
        min_length=8,
        max_length=MAX_ADDRESS,
        pattern="^https?://",
        description="Of a public server, or of one in a network that the operator allows.",
    )


Time = float | Annotated[str, Field(max_length=64)]


class SeriesIn(Asked):
    """Measured values in the order of time."""

    values: list[float | None] = Field(description="Null where nothing was measured.")
    at: list[Time] | None = Field(
        None, description="A time for each value, rising, in place of `start` and `step_s`."
    )
    start: Time = Field(0.0, description="Of the first value: ISO 8601, or seconds since the epoch.")
    step_s: float = Field(1.0, gt=0, le=31_622_400, description="Seconds from one value to the next.")


class _Given(Asked):
    images: list[str | PictureAt] | None = Field(
        None,
        min_length=1,
        description="Each a JPEG, PNG, WebP or BMP file in base64, or the address of one. May be absent with `url` in the query.",
    )
    texts: list[str] | None = Field(
        None, min_length=1, description="In place of `images`, for algorithms that take text."
    )
    series: list[SeriesIn] | None = Field(
        None, min_length=1, description="In place of `images`, for algorithms that take series of numbers."
    )
    annotate: bool = Field(False, description="Whether to draw the results.")
    fields: list[Literal[FIELDS]] | None = Field(  # type: ignore[valid-type]
        None, description="Give only these columns of each result."
    )


class InferBody(_Given):
    """Pictures, texts or series as JSON."""

    params: dict[str, Any] = Field(default_factory=dict)


class AlgorithmChoice(Asked):
    """An algorithm with parameters."""

    id: str = Field(min_length=1, max_length=64)
    params: dict[str, Any] = Field(default_factory=dict)


class InferManyBody(_Given):
    """Pictures, texts or series as JSON, and the algorithms to run on each."""

    algorithms: list[str | AlgorithmChoice] = Field(
        min_length=1, max_length=MAX_ALGORITHMS, description="Ids, or ids with parameters."
    )


class ScenarioList(BaseModel):
    """All scenarios, by id."""

    items: list[Scenario]


class BrokenCard(BaseModel):
    """A card that could not be read. Shown to administrators."""

    where: str
    detail: str


class AlgorithmList(BaseModel):
    """All algorithms, by domain and id."""

    items: list[AlgorithmInfo]
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
    group: str = Field("default", pattern=ID, description="What grants to add and see streams name.")


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
    group: str | None = Field(None, pattern=ID)


class StreamBulkOut(BaseModel):
    """What became of a bulk request; the status of the whole is 201 when all went well, else 207."""

    created: int
    failed: int
    results: list[StreamResult]


class StreamPage(BaseModel):
    """Part of the list of streams."""

    items: list[Stream]
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


class SinkList(BaseModel):
    """All sinks."""

    items: list[Sink]


class ReplayOut(BaseModel):
    """How many dead letters were put back into the outbox."""

    replayed: int


class KeyList(BaseModel):
    """All keys."""

    items: list[Key]


class EchoOut(BaseModel):
    """Length of what was sent."""

    bytes: int


class ErrorList(BaseModel):
    """Every kind of error there is."""

    items: list[ErrorCode]
