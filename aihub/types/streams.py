"""What a stream is, and how it is doing."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class StreamState(StrEnum):
    """`connecting -> live -> stalled -> backoff -> failed`; live means a first frame was decoded."""

    PENDING = "pending"
    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    BACKOFF = "backoff"
    FAILED = "failed"
    PAUSED = "paused"


class StreamTask(BaseModel):
    """One algorithm watching one stream (布控)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(
        min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$", description="Unique within the stream."
    )
    algorithm: str = Field(min_length=1, max_length=64, description="Algorithm id.")
    params: dict[str, Any] = Field(
        default_factory=dict, description="The algorithm's parameters; defaults where absent."
    )


class Sampling(BaseModel):
    """Which frames are analysed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fps: float = Field(5.0, gt=0, le=60, description="Analysed frames per second, at most.")
    motion_gate: bool = Field(
        False, description="Skip frames while nothing moves (at least one a second is analysed)."
    )
    key_frames: bool = Field(
        False,
        description="Decode only pictures that need no other, one every second or two from most cameras: a machine "
        "takes several times as many, for algorithms that need no more. H.264 and H.265 over TCP; others decode all.",
    )


class StreamSpec(BaseModel):
    """What was asked for. `url` holds no credentials; they travel apart and are never printed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: str = ""
    url: str = Field(description="rtsp:// address without user and password.")
    username: str = Field("", repr=False)
    password: str = Field("", repr=False)
    transport: str = Field("tcp", pattern="^(tcp|udp)$")
    tasks: tuple[StreamTask, ...] = ()
    sampling: Sampling = Sampling()
    enabled: bool = True
    tenant: str = "default"
    group: str = Field("default", description="Grants to see streams name groups.")
    revision: int = 1


class StreamStatus(BaseModel):
    """How a stream is doing, as last reported by its host."""

    model_config = ConfigDict(extra="forbid")

    state: StreamState = StreamState.PENDING
    error_code: str = ""
    error: str = ""
    host: str = ""
    since: float = Field(0.0, description="Epoch seconds of the last change of state.")
    width: int = 0
    height: int = 0
    codec: str = ""
    fps_read: float = 0.0
    fps_analysed: float = 0.0
    frames_read: int = 0
    frames_analysed: int = 0
    dropped: dict[str, int] = Field(default_factory=dict, description="Frames not analysed, by reason.")
    reconnects: int = 0
    latency_ms_p50: float = Field(0.0, description="Decoded to analysed, milliseconds.")
    latency_ms_p95: float = 0.0
    broken_tasks: dict[str, str] = Field(default_factory=dict, description="Task id -> why it does not run.")
    updated_at: float = 0.0
