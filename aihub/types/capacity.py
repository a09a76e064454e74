"""What is asked of the capacity planner, and what it answers: by `POST /v1/plan` and by `aihub plan`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from aihub.types.answers import Answer

Resolution = Literal["2160p", "1440p", "1080p", "720p", "576p", "480p", "360p", "240p"]
"""Rows of a 16:9 picture."""
VideoCodec = Literal["h264", "h265"]
AlgorithmName = Annotated[str, Field(min_length=1, max_length=64)]

MOST_STREAMS = 10_000_000


def megapixels(resolution: str) -> float:
    """Million pixels of a 16:9 picture: 2.0736 for "1080p"."""
    rows = int(re.sub(r"\D", "", resolution))
    return rows * round(rows * 16 / 9) / 1e6


class StreamGroup(BaseModel):
    """Streams that are alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        "all",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9_.-]+$",
        description="Unique within the plan.",
    )
    streams: int = Field(ge=1, le=MOST_STREAMS, description="How many.")
    algorithms: tuple[AlgorithmName, ...] = Field(
        min_length=1,
        max_length=64,
        description="Algorithm ids, all on every stream, with default parameters.",
    )
    fps: float = Field(5.0, gt=0, le=60, description="Analysed frames per second of each stream.")
    resolution: Resolution = Field("1080p", description="Of the pictures that the camera sends.")
    codec: VideoCodec = "h264"
    source_fps: float = Field(25.0, gt=0, le=120, description="Frames per second that the camera sends.")
    key_frames: bool = Field(False, description="Decode only the pictures that need no other.")
    key_frame_every_s: float = Field(
        2.0, ge=0.04, le=60, description="Seconds from one key frame of the camera to the next."
    )
    mbit: float | None = Field(
        None, gt=0, le=1000, description="Mbit/s of one stream; estimated from its pictures where absent."
    )
    events_per_day: float = Field(10.0, ge=0, le=100_000, description="Events of one stream a day.")
    priority: int = Field(50, ge=0, le=100, description="The lowest is paused first.")
    least_fps: float = Field(
        1.0, gt=0, le=60, description="Analysed frames per second that it may come down to."
    )
    sub_stream: Resolution | None = Field(
        "360p", description="What the camera's second stream sends; null where it has none."
    )


class MachineKind(BaseModel):
    """One of the machines that are to be counted. What is absent is as on the machine that was measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cores: int | None = Field(None, ge=1, le=1024, description="Cores like those that were measured.")
    gpus: int = Field(0, ge=0, le=64, description="GPUs like the one that was measured.")
    memory_gb: float | None = Field(None, gt=0, le=65536)
    network_mbit: float = Field(1000.0, gt=0, le=1_000_000, description="What it can receive.")
    most_load: float = Field(
        0.8, ge=0.05, le=0.95, description="Share of cores, GPUs and network that may be in use."
    )


class PlanAsked(BaseModel):
    """What is to be planned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    groups: tuple[StreamGroup, ...] = Field(min_length=1, max_length=50)
    latency_ms: float = Field(
        300.0,
        gt=0,
        le=600_000,
        description="95 % of the frames are to have their results so long after they came, at most.",
    )
    machine: MachineKind = MachineKind()
    machines: int | None = Field(
        None, ge=1, le=1_000_000, description="How many there are; absent for as many as it takes."
    )
    retention_days: float = Field(30.0, ge=0, le=36_500, description="How long events and pictures are kept.")
    streams_per_host: int = Field(64, ge=1, le=4096, description="Streams of one process (a stream host).")


class Need(Answer):
    """What all streams need of one resource."""

    resource: Literal["cpu", "gpu", "memory", "network"]
    total: float = Field(description="In `unit`, of all streams.")
    a_machine: float = Field(description="In `unit`, what one machine may give.")
    unit: str
    machines: int = Field(description="Machines that this resource alone asks for.")


class GroupPlan(Answer):
    """What one stream of a group costs, and how long its frames take."""

    name: str
    streams: int
    cores: float = Field(description="Cores that one stream keeps busy.")
    parts: dict[str, float] = Field(description="Of these, milli-cores by what they do.")
    fps: float = Field(description="Analysed frames per second.")
    service_ms: float = Field(description="Time that one frame takes on an idle machine.")
    latency_ms: float = Field(description="95 % of the frames have their results so long after they came.")
    mbit: float = Field(description="Network in, one stream.")


class Storage(Answer):
    """What events and their pictures take, over all streams."""

    events_per_day: float
    snapshots_gb_per_day: float
    events_gb_per_day: float
    total_gb: float = Field(description="When as much goes as comes.")


class DegradeStep(Answer):
    """One thing to give up; every step stands on those before it."""

    step: Literal["fps", "sub-stream", "key-frames", "pause"]
    groups: dict[str, str] = Field(description="Group -> what becomes of it.")
    cores: float = Field(description="Cores that are busy afterwards, over all machines.")
    saves_cores: float
    machines: int | None = Field(description="Machines afterwards; null where no number of them will do.")
    saves_machines: int | None
    fits: bool
    loses: str = Field(description="What is given up.")


class MeasuredOn(Answer):
    """Where the costs come from."""

    at: str
    fingerprint: str
    processor: str
    cores: int
    footage: str


class CapacityPlan(Answer):
    """The answer: machines, what they are busy with, and what to give up where there are too few."""

    fits: bool = Field(
        description="Whether the machines that there are suffice; true where any number will do."
    )
    machines: int | None = Field(description="Machines; null where no number of them will do.")
    gpus: int
    cores: float = Field(description="Cores that are busy, over all machines.")
    load: float = Field(description="Share of the cores that is busy, with so many machines.")
    streams_a_machine: float
    network_mbit: float = Field(description="Network in, all streams.")
    memory_gb: float = Field(description="Memory, all machines.")
    bottleneck: Literal["cpu", "gpu", "memory", "network", "latency", "one-stream"] = Field(
        description="What runs out first."
    )
    why: str = Field(description="The same for people.")
    needs: list[Need]
    groups: list[GroupPlan]
    storage: Storage
    degrade: list[DegradeStep]
    assumed: list[str] = Field(description="What was not measured but assumed, and can be given instead.")
    measured: MeasuredOn
