"""Calls about sound."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import httpx2

from aihub.client.calls import Body, Call, Feed, call, feed, many, one, text
from aihub.client.files import open_file
from aihub.client.inputs import BINARY
from aihub.client.models import Heard, TranscriptPart
from aihub.client.refusals import error_of
from aihub.types import result_from_json
from aihub.types.transcripts import SpeechModel, Transcription

Recording = bytes | Path | str
"""A file's content, or where a file is: WAV, FLAC, OGG, MP3, M4A or WebM."""

SPEECH_TO_TEXT = "speech-to-text"
STREAM_S = 600.0


class AudioCalls:
    """What was said and heard.

    A long recording takes a while: `timeout_s` is what the hub may take, and how long the client waits.
    """

    @call("GET", "/v1/models")
    def speech_models(self) -> Call[list[SpeechModel]]:
        """Names of all that listens, each with whether it is ready, and what to do when not."""
        return Call(many(SpeechModel, "data"))

    @call("GET", "/v1/models/{model}")
    def speech_model(self, model: str) -> Call[SpeechModel]:
        """One of these names.

        Raises:
            AlgorithmNotFoundError: nothing that listens has that name, or you have no grant for it.
        """
        return Call(one(SpeechModel), ids=(model,))

    @call("POST", "/v1/audio/detections")
    def hear(
        self,
        algorithm_id: str,
        recording: Recording,
        params: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Call[Heard]:
        """Run an algorithm on a recording: `speech-to-text` gives a `Transcript`, others `SoundEvents`.

        Raises:
            InputError: the recording or a parameter is wrong (the kind says how, `field` says which).
            AlgorithmNotFoundError: nobody has that id, or you have no grant for it.
            ModelError, CapacityError: its weights are not here (503), or the hub is full.
            DeadlineError: not done in time.
        """
        asked = {"model": algorithm_id, "params": json.dumps(params) if params else None}
        return Call(_heard, body=_form(recording, asked), again=True, timeout_s=timeout_s)

    @call("POST", "/v1/audio/transcriptions")
    def transcribe(
        self,
        recording: Recording,
        *,
        model: str = SPEECH_TO_TEXT,
        language: str | None = None,
        params: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> Call[Transcription]:
        """What was said, with the times of its segments and words, in the form that OpenAI's clients know.

        Raises:
            AihubError: as `hear`.
        """
        asked = _transcription(model, language, params, "verbose_json")
        asked["timestamp_granularities[]"] = ["segment", "word"]
        return Call(one(Transcription), body=_form(recording, asked), again=True, timeout_s=timeout_s)

    @call("POST", "/v1/audio/transcriptions")
    def captions(
        self,
        recording: Recording,
        form: Literal["srt", "vtt", "text"] = "srt",
        *,
        model: str = SPEECH_TO_TEXT,
        language: str | None = None,
        params: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> Call[str]:
        """What was said as captions for a film, or as plain text.

        Raises:
            AihubError: as `hear`.
        """
        asked = _transcription(model, language, params, form)
        return Call(text, body=_form(recording, asked), again=True, timeout_s=timeout_s)

    @feed("POST", "/v1/audio/transcriptions")
    def transcribe_parts(
        self,
        recording: Recording,
        *,
        model: str = SPEECH_TO_TEXT,
        language: str | None = None,
        params: Mapping[str, Any] | None = None,
        timeout_s: float = STREAM_S,
    ) -> Feed[TranscriptPart]:
        """What was said, piece by piece as it is recognised.

        Raises:
            AihubError: as `hear`.
        """
        asked = _transcription(model, language, params, "json") | {"stream": "true"}
        return Feed(
            _part,
            body=_form(recording, asked),
            last=lambda part: part.whole is not None,
            timeout_s=timeout_s,
        )


def _transcription(
    model: str, language: str | None, params: Mapping[str, Any] | None, form: str
) -> dict[str, str | Sequence[str] | None]:
    return {
        "model": model,
        "language": language,
        "params": json.dumps(params) if params else None,
        "response_format": form,
    }


def _form(recording: Recording, asked: Mapping[str, str | Sequence[str] | None]) -> Body:
    fields = {name: value for name, value in asked.items() if value is not None}

    def body() -> dict[str, Any]:
        if isinstance(recording, bytes):
            return {"data": fields, "files": [("file", ("recording", recording, BINARY))]}
        path = Path(recording)
        return {"data": fields, "files": [("file", (path.name, open_file(path, "file"), BINARY))]}

    return body


def _heard(response: httpx2.Response) -> Heard:
    body = response.json()
    result = result_from_json(body["result"])
    return Heard(body["algorithm"], body["version"], result, body["duration"], body["took_ms"])


def _part(message: httpx2.ServerSentEvent) -> TranscriptPart | None:
    body = json.loads(message.data)
    if "error" in body:
        raise error_of(body)
    if body["type"] == "transcript.text.done":
        return TranscriptPart("", body["text"])
    return TranscriptPart(body["delta"]) if body["type"] == "transcript.text.delta" else None
