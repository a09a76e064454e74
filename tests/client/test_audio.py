"""Sound, with both clients: what they send and read, and what a hub without speech weights says."""

from __future__ import annotations

import io
import json
import wave

import httpx2
import pytest

from aihub import errors
from aihub.client import AihubClient
from aihub.types import Segment, SoundEvents, Transcript
from tests.client.faces import Make

SAID = Transcript((Segment("go left", 0.1, 0.9, 0.8),), "en", 1.0)
EVENTS = SoundEvents.of([("Dog", 0.2, 0.5, 0.9)])


def tone() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(b"\0\1" * 16000)
    return file.getvalue()


def told(make: Make, answer: httpx2.Response) -> tuple[AihubClient, list[httpx2.Request]]:
    seen: list[httpx2.Request] = []

    def answered(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return answer

    return make("http://hub", "k", transport=httpx2.MockTransport(answered)), seen


@pytest.mark.parametrize("result", [SAID, EVENTS])
def test_what_was_heard_is_typed(make: Make, result: Transcript | SoundEvents) -> None:
    body = {"algorithm": "a", "version": 2, "duration": 1.0, "result": result.to_json(), "took_ms": 3}
    client, seen = told(make, httpx2.Response(200, json=body))
    heard = client.hear("a", b"RIFF", {"pause": 1}, timeout_s=100)
    assert type(heard.result) is type(result)
    assert heard.result.to_json() == result.to_json()
    sent = seen[0].content
    assert b'name="model"' in sent
    assert b'{"pause": 1}' in sent
    assert seen[0].headers["x-request-timeout-seconds"] == "100."


def test_transcripts_in_every_form(make: Make) -> None:
    usage = {"type": "duration", "seconds": 1}
    body = {"text": "go left", "usage": usage, "language": "en", "duration": 1.0, "task": "transcribe"}
    client, seen = told(make, httpx2.Response(200, json=body))
    assert client.transcribe(b"RIFF", language="en").text == "go left"
    assert seen[0].content.count(b"timestamp_granularities[]") == 2
    assert b"verbose_json" in seen[0].content
    client, seen = told(make, httpx2.Response(200, text="1\n00:00:00,100 --> ..."))
    assert client.captions(b"RIFF", "vtt").startswith("1\n")
    assert b"vtt" in seen[0].content


def feed(*events: object) -> httpx2.Response:
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, text=text)


def test_a_transcript_piece_by_piece(make: Make) -> None:
    pieces = [{"type": "transcript.text.delta", "delta": word} for word in ("go", " left")]
    client, _ = told(make, feed(*pieces, {"type": "transcript.text.done", "text": "go left"}))
    parts = list(client.transcribe_parts(b"RIFF"))
    assert [part.delta for part in parts] == ["go", " left", ""]
    assert parts[-1].whole == "go left"


def test_an_error_in_the_middle_is_raised(make: Make) -> None:
    error = {"message": "too late", "type": "server_error", "param": None, "code": "deadline"}
    client, _ = told(make, feed({"type": "transcript.text.delta", "delta": "go"}, {"error": error}))
    parts = client.transcribe_parts(b"RIFF")
    assert next(parts).delta == "go"
    with pytest.raises(errors.DeadlineError, match="too late"):
        next(parts)


def test_a_hub_that_cannot_hear_says_so(client: AihubClient) -> None:
    assert all(not model.ready or model.algorithm for model in client.speech_models())
    with pytest.raises(errors.AlgorithmNotFoundError):
        client.speech_model("nothing")
    with pytest.raises(errors.AlgorithmNotFoundError) as caught:
        client.hear("nothing", tone())
    assert caught.value.field == "model"
    with pytest.raises(errors.AihubError):
        client.hear("thing-detection", tone())
    with pytest.raises(errors.NotFoundError):
        client.transcribe(tone())
    with pytest.raises(errors.NotFoundError):
        list(client.transcribe_parts(tone()))
