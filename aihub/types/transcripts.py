"""What the API answers about speech in the form that OpenAI's clients know: written by the hub, read by clients."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from aihub.types.answers import Answer

Seconds = Annotated[float, Field(ge=0)]


class SpeechModel(Answer):
    """A name that can be sent as `model`; `ready`, `reason` and `algorithm` are ours."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    ready: bool
    reason: str = Field(description="What to do, when it is not ready.")
    algorithm: str = Field(description="Id of the algorithm behind it.")


class SoundUsage(Answer):
    """Seconds of sound begun."""

    type: Literal["duration"]
    seconds: float


class TranscriptionSegment(Answer):
    """What was said between two pauses."""

    id: int
    seek: int
    start: Seconds
    end: Seconds
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class TranscriptionWord(Answer):
    """One word."""

    word: str
    start: Seconds
    end: Seconds


class Transcription(Answer):
    """What was said; all but `text` and `usage` only with `response_format=verbose_json`."""

    model_config = ConfigDict(extra="forbid")

    text: str
    usage: SoundUsage
    task: Literal["transcribe"] | None = None
    language: str | None = None
    duration: Seconds | None = None
    segments: list[TranscriptionSegment] | None = None
    words: list[TranscriptionWord] | None = None
