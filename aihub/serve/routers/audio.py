"""`/v1/audio` and `/v1/models`: recordings and live sound in, what was said and heard out; OpenAI's clients work unchanged."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, cast

from fastapi import APIRouter, Request, WebSocket
from starlette.responses import Response, StreamingResponse

from aihub.errors import InputError
from aihub.serve.access import Inferrer, Parts, Reader, TheParts, parts_of
from aihub.serve.asking import client_gone
from aihub.serve.audio import asking, names
from aihub.serve.audio.desk import Asked
from aihub.serve.audio.formats import MEDIA_TYPES, brief, plain, verbose
from aihub.serve.audio.live import LiveSession
from aihub.serve.audio.schemas import FORM, DetectionsAnswer, ModelListOut
from aihub.serve.audio.streaming import events
from aihub.serve.deadlines import HEADER
from aihub.serve.problems import documented
from aihub.serve.security import Caller
from aihub.types import Segment, Transcript
from aihub.types.transcripts import SpeechModel, Transcription

router = APIRouter(prefix="/v1", tags=["audio"], responses=documented())

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_PATIENCE = {
    "name": HEADER,
    "in": "header",
    "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": 3600},
    "description": "Seconds that the caller will wait.",
}
_TRANSCRIPTION: dict[str, Any] = {
    "parameters": [_PATIENCE],
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}},
}
_DETECTION: dict[str, Any] = {
    "parameters": [
        _PATIENCE,
        {"name": "model", "in": "query", "schema": {"type": "string"}, "description": "The algorithm, where the body is the recording itself; its parameters may stand beside it."},
    ],
    "requestBody": {
        "required": True,
        "content": {
            "audio/wav": _BINARY,
            "application/octet-stream": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "model"],
                    "properties": {key: FORM["properties"][key] for key in ("file", "model", "params")},
                }
            },
        },
    },
}  # fmt: skip
_TEXTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            kind: {"schema": {"type": "string"}} for kind in (*MEDIA_TYPES.values(), "text/event-stream")
        },
        "description": "What was said.",
    }
}


@router.post(
    "/audio/transcriptions",
    operation_id="transcribe",
    summary="Speech to text",
    response_model=Transcription,
    response_model_exclude_unset=True,
    responses=documented(400, 404, 413, 415, 429, 503, 504) | _TEXTS,
    openapi_extra=_TRANSCRIPTION,
)
async def transcribe(request: Request, caller: Inferrer) -> Response:
    """As OpenAI's clients ask for it. Errors carry the member `error` where they look for it."""
    parts = parts_of(request)
    timeout_s = asking.time_for(request, parts.services.settings)
    began = time.monotonic()
    asked = asking.transcription(await asking.read_body(request, timeout_s))
    algorithm = names.transcribing(parts.services.registry, caller, asked.model)
    names.ready(algorithm)
    left = timeout_s - (time.monotonic() - began)
    wanted = Asked(algorithm, asked.params_for(algorithm), asked.data, left)
    if asked.stream:
        return await _streamed(parts, caller, wanted)
    gone = partial(client_gone, request)
    recording = await parts.sound.open(caller, wanted, gone=gone)
    result, _ = await parts.sound.listen(caller, recording, gone=gone)
    transcript = cast("Transcript", result)
    if asked.form in MEDIA_TYPES:
        return Response(plain(transcript, asked.form), media_type=MEDIA_TYPES[asked.form])
    body = verbose(transcript, asked.granularities) if asked.form == "verbose_json" else brief(transcript)
    return _json(body)


async def _streamed(parts: Parts, caller: Caller, wanted: Asked) -> Response:
    recording = await parts.sound.open(caller, wanted)

    async def listen(heard: Callable[[Segment], None]) -> Transcript:
        result, _ = await parts.sound.listen(caller, recording, heard=heard)
        return cast("Transcript", result)

    told = events(listen)
    first = await anext(told)  # so that what is wrong with the recording is told by the status

    async def body() -> AsyncIterator[bytes]:
        try:
            yield first
            async for event in told:
                yield event
        finally:
            await told.aclose()  # type: ignore[attr-defined]  # it is a generator

    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)


@router.post(
    "/audio/translations",
    operation_id="translate",
    summary="Speech to English text (not available)",
    response_model=Transcription,
    responses=documented(400),
)
async def translate(_: Inferrer) -> Response:
    """No model here translates. Not a 501: OpenAI's clients would try that again."""
    raise InputError(
        "no model of this hub translates speech",
        hint="POST /v1/audio/transcriptions writes it down as it was said",
    )


@router.post(
    "/audio/detections",
    operation_id="detectSounds",
    summary="Run an algorithm on a recording",
    response_model=DetectionsAnswer,
    responses=documented(400, 404, 413, 415, 429, 503, 504),
    openapi_extra=_DETECTION,
)
async def detect(request: Request, caller: Inferrer) -> Response:
    """A form with `file`, `model` and `params`, or the recording itself with `?model=...` and parameters in the query."""
    parts = parts_of(request)
    timeout_s = asking.time_for(request, parts.services.settings)
    began = time.monotonic()
    body = await asking.read_body(request, timeout_s)
    asked = asking.detection(body, request.query_params.multi_items())
    algorithm = names.listening(parts.services.registry, caller, asked.model)
    names.ready(algorithm)
    left = timeout_s - (time.monotonic() - began)
    gone = partial(client_gone, request)
    wanted = Asked(algorithm, asked.params_for(algorithm), asked.data, left)
    recording = await parts.sound.open(caller, wanted, gone=gone)
    result, duration = await parts.sound.listen(caller, recording, gone=gone)
    return _json(
        {
            "algorithm": algorithm.card.id,
            "version": algorithm.card.version,
            "duration": round(duration, 3),
            "result": result.to_json(),
            "took_ms": round((time.monotonic() - began) * 1000, 2),
        }
    )


@router.get("/models", operation_id="listModels", summary="Names for `model`", response_model=ModelListOut)
def list_models(parts: TheParts, caller: Reader) -> dict[str, Any]:
    """Algorithms that listen, and the names that OpenAI's clients have built in, each with whether it is ready."""
    services = parts.services
    rows = names.models(services.registry, caller, int(services.started_at))
    return {"object": "list", "data": rows}


@router.get(
    "/models/{model}",
    operation_id="getModel",
    summary="One name for `model`",
    response_model=SpeechModel,
    responses=documented(404),
)
def get_model(model: str, parts: TheParts, caller: Reader) -> dict[str, Any]:
    """Whether it is ready, and what to do when not."""
    services = parts.services
    return names.model(services.registry, caller, model, int(services.started_at))


@router.websocket("/audio/live")
async def live(socket: WebSocket) -> None:
    """Live sound; the messages are described in `aihub.serve.audio.live`."""
    parts: Parts = socket.app.state.parts
    caller: Caller = socket.scope["aihub.caller"]
    await LiveSession(socket, parts.services, parts.sound, caller).run()


def _json(body: dict[str, Any]) -> Response:
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text, media_type="application/json")
