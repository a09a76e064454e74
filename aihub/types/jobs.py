"""What a job is: a file or folder of pictures that is analysed once, from its beginning to its end."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from aihub.types.answers import Answer
from aihub.types.streams import StreamTask


class JobState(StrEnum):
    """`queued -> running -> done | failed | cancelled`; a running job whose host dies is queued again."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class JobKind(StrEnum):
    """What is analysed."""

    VIDEO = "video"
    PICTURES = "pictures"
    AUDIO = "audio"


class JobOutput(StrEnum):
    """What a job leaves behind."""

    JSONL = "jsonl"
    MP4 = "mp4"
    COCO = "coco"


class JobCodec(StrEnum):
    """How an annotated film is packed: `vp9` is shown by browsers, `mpeg4` is made some 70 times quicker."""

    VP9 = "vp9"
    MPEG4 = "mpeg4"


class JobPhase(StrEnum):
    """What a running job is at."""

    WAITING = "waiting"
    ANALYSING = "analysing"
    DRAWING = "drawing"
    WRITING = "writing"
    ENDED = "ended"


class JobSpec(BaseModel):
    """What was asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    tenant: str = "default"
    name: str = Field("", description="Name of the file or folder, for people.")
    kind: JobKind
    tasks: tuple[StreamTask, ...]
    fps: float = Field(5.0, gt=0, le=60, description="Analysed frames per second of the film, at most.")
    outputs: tuple[JobOutput, ...] = (JobOutput.JSONL,)
    codec: JobCodec = Field(JobCodec.VP9, description="Of the annotated film.")
    folder: str = Field("", description="Folder on the hub's machine; empty for an uploaded file.")
    created_at: float = 0.0


class JobProgress(BaseModel):
    """How far a job is."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    phase: JobPhase = JobPhase.WAITING
    percent: float = Field(0.0, ge=0, le=100, description="Of all of its work, outputs included.")
    frames_done: int = Field(0, description="Analysed frames, pictures or seconds of sound.")
    frames_total: int | None = Field(None, description="As far as the file tells before it is read.")
    frames_failed: int = Field(
        0, description="Frames on which an algorithm failed; their lines hold the error."
    )
    events: int = Field(0, description="Lines of events so far.")
    eta_s: float | None = Field(None, description="Seconds that are left, guessed from the rate so far.")


class Job(JobSpec):
    """A job as it stands now."""

    state: JobState = JobState.QUEUED
    error_code: str = ""
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    cancel_requested: bool = False
    attempts: int = Field(0, description="How often a host took it up without getting further than before.")
    progress: JobProgress = JobProgress()

    @property
    def spec(self) -> JobSpec:
        """What was asked for."""
        return JobSpec.model_validate(self.model_dump(include=set(JobSpec.model_fields)))


class JobInfo(Answer):
    """A job, as the API shows it."""

    id: str
    name: str
    kind: JobKind
    tasks: list[StreamTask]
    fps: float
    outputs: list[JobOutput]
    codec: JobCodec
    folder: str = ""
    tenant: str
    state: JobState
    error_code: str = Field(description="Stable name of the kind of error; empty unless the job failed.")
    error: str
    created_at: float = Field(
        description="Epoch seconds, as all times of a job; those in its results are of the film."
    )
    started_at: float | None
    finished_at: float | None
    cancel_requested: bool
    progress: JobProgress

    @classmethod
    def of(cls, job: Job) -> JobInfo:
        """The public face of a job."""
        return cls.model_validate(job.model_dump(include=set(cls.model_fields)))


class JobStep(Answer):
    """How far a job is, as its feed tells it."""

    id: str
    state: JobState
    error_code: str = ""
    error: str = ""
    progress: JobProgress

    @classmethod
    def of(cls, job: Job) -> JobStep:
        """From the job as it stands."""
        return cls.model_validate(job.model_dump(include=set(cls.model_fields)))
