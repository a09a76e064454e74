"""Answers of the routes for sound, for the description and for typed clients."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from aihub.types import Task
from aihub.types.transcripts import Seconds, SpeechModel

Share = Annotated[float, Field(ge=0, le=1)]


class ModelListOut(BaseModel):
    """All names that can be sent as `model`."""

    object: Literal["list"]
    data: list[SpeechModel]


class SoundEventOut(BaseModel):
    """One thing heard."""

    label: str
    start: Seconds
    end: Seconds
    score: Share


class SoundEventsOut(BaseModel):
    """What was heard and when, seconds of the recording."""

    task: Literal[Task.SOUND_EVENT_DETECTION]
    events: list[SoundEventOut]
    measures: dict[str, float] | None = Field(
        None, description="Figures of the whole recording, where the algorithm gives any."
    )


class RecordingOut(BaseModel):
    """Sound made out of the one that was sent."""

    task: Literal[Task.SOUND]
    duration: Seconds
    measures: dict[str, float]
    audio: str = Field(description="WAV file, 16 kHz mono 16 bits, in base64.")


class WordOut(BaseModel):
    """One word that was said."""

    text: str
    start: Seconds
    end: Seconds
    confidence: Share


class SegmentOut(BaseModel):
    """What was said between two pauses."""

    text: str
    start: Seconds
    end: Seconds
    confidence: Share
    words: list[WordOut]


class TranscriptOut(BaseModel):
    """What was said."""

    task: Literal[Task.SPEECH_RECOGNITION]
    language: str
    duration: Seconds
    text: str
    segments: list[SegmentOut]


class DetectionsAnswer(BaseModel):
    """What an algorithm made of a recording."""

    algorithm: str
    version: int
    duration: Seconds
    result: Annotated[SoundEventsOut | TranscriptOut | RecordingOut, Field(discriminator="task")]
    took_ms: float


FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file", "model"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "WAV, FLAC, OGG, MP3, M4A or WebM."},
        "model": {"type": "string", "description": "An algorithm, or a name such as `whisper-1`."},
        "language": {"type": "string", "description": "ISO 639-1 code."},
        "response_format": {"type": "string", "enum": ["json", "text", "srt", "vtt", "verbose_json"]},
        "timestamp_granularities[]": {
            "type": "array",
            "items": {"type": "string", "enum": ["word", "segment"]},
        },
        "stream": {"type": "string", "enum": ["true", "false"]},
        "params": {"type": "string", "description": "JSON object: the algorithm's parameters."},
        "prompt": {"type": "string", "description": "Read and left aside."},
        "temperature": {"type": "string", "description": "Read and left aside."},
    },
}
"""Body of a transcription."""
