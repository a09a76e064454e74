"""A transcript in the forms that OpenAI's audio protocol knows."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any, Literal

from aihub.types import Segment, Transcript

ResponseFormat = Literal["json", "text", "srt", "vtt", "verbose_json"]
FORMATS: tuple[ResponseFormat, ...] = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("word", "segment")
MEDIA_TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}
_LEAST = 1e-4


def usage(transcript: Transcript) -> dict[str, Any]:
    """What was used: seconds of sound."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}


def brief(transcript: Transcript) -> dict[str, Any]:
    """`response_format=json`."""
    return {"text": transcript.text, "usage": usage(transcript)}


def verbose(transcript: Transcript, granularities: Sequence[str]) -> dict[str, Any]:
    """`response_format=verbose_json`; figures that only OpenAI's own models have are 0 or empty."""
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": transcript.language,
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
    }
    if "segment" in granularities:
        body["segments"] = [_segment(index, one) for index, one in enumerate(transcript.segments)]
    if "word" in granularities:
        body["words"] = [
            {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3)}
            for segment in transcript.segments
            for word in segment.words
        ]
    return body | {"usage": usage(transcript)}


def _segment(index: int, segment: Segment) -> dict[str, Any]:
    text = segment.text.encode()
    return {
        "id": index,
        "seek": round(segment.start * 100),
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(math.log(max(segment.confidence, _LEAST)), 4),
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 4),
        "no_speech_prob": 0.0,
    }


def plain(transcript: Transcript, form: ResponseFormat) -> str:
    """`text`, `srt` or `vtt`."""
    if form == "text":
        return f"{transcript.text}\n"
    comma = "," if form == "srt" else "."
    cues = [
        f"{_moment(one.start, comma)} --> {_moment(max(one.end, one.start + 0.001), comma)}\n{one.text}\n"
        for one in transcript.segments
    ]
    if form == "srt":
        return "\n".join(f"{index}\n{cue}" for index, cue in enumerate(cues, 1))
    return "\n".join(["WEBVTT\n", *cues])


def _moment(seconds: float, comma: str) -> str:
    """`01:02:03,004`.

    >>> _moment(3723.0042, ",")
    '01:02:03,004'
    """
    total = round(seconds * 1000)
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{comma}{rest % 1000:03}"
