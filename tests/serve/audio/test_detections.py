"""`POST /v1/audio/detections`, what both routes refuse, and what a request costs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aihub.errors import QueueFullError
from aihub.serve.admission import Admission
from aihub.serve.audio.formats import plain, verbose
from aihub.types import Segment, Transcript
from tests.algorithms.sound.making import LoudEars, as_file, talk
from tests.serve.audio.conftest import MakeHub
from tests.serve.hub import TestHub, bearer

TWO = as_file(talk((0.5, False), (1.0, True), (1.0, False), (1.0, True), (0.5, False)))
DETECT, TRANSCRIBE = "/v1/audio/detections", "/v1/audio/transcriptions"


def send(client: TestClient, path: str = DETECT, data: bytes = TWO, **fields: Any) -> Any:
    return client.post(path, data=fields, files={"file": ("talk.wav", data, "audio/wav")})


def test_a_form(client: TestClient) -> None:
    answer = send(client, model="audio-tagging", params='{"confidence": 0.5, "labels": ["Speech"]}')
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["algorithm"], body["duration"]) == ("audio-tagging", 4.0)
    assert {one["label"] for one in body["result"]["events"]} == {"Speech"}
    assert all(
        0 <= one["start"] < one["end"] <= 4 and 0 < one["score"] <= 1 for one in body["result"]["events"]
    )


def test_the_recording_itself(client: TestClient) -> None:
    for kind in ("audio/wav", "audio/x-wav", "application/octet-stream"):
        answer = client.post(
            f"{DETECT}?model=voice-activity&threshold=0.6", content=TWO, headers={"Content-Type": kind}
        )
        assert answer.status_code == 200, answer.text
        assert [one["label"] for one in answer.json()["result"]["events"]] == ["speech", "speech"]


def test_speech_to_text_is_a_detection_too(client: TestClient) -> None:
    body = send(client, model="speech-to-text").json()
    assert body["result"]["text"] == "hello world hello world"


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({}, 422, "model"),  # which one
        ({"model": "audio-taging"}, 404, "model"),  # the nearest is suggested
        ({"model": "thing-detection"}, 415, None),  # looks at pictures
        ({"model": "voice-activity", "params": "["}, 422, "params"),
        ({"model": "voice-activity", "params": '{"threshold": 7}'}, 422, "threshold"),
        ({"model": "voice-activity", "volume": "11"}, 400, "volume"),
    ],
)
def test_every_fault_of_a_detection_names_its_field(
    client: TestClient, fields: dict[str, Any], status: int, field: str | None
) -> None:
    answer = send(client, **fields)
    assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text
    assert "error" not in answer.json(), "this route is ours"


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({}, 400, "model"),
        ({"model": "whisper-1", "response_format": "xml"}, 400, "response_format"),
        ({"model": "whisper-1", "response_format": "diarized_json"}, 400, "response_format"),
        ({"model": "whisper-1", "stream": "maybe"}, 400, "stream"),
        ({"model": "whisper-1", "stream": "true", "response_format": "srt"}, 400, "response_format"),
        ({"model": "whisper-1", "timestamp_granularities[]": "hour"}, 400, "timestamp_granularities"),
        ({"model": "whisper-1", "include[]": "logprobs"}, 400, "include"),
        ({"model": "whisper-1", "language": "tlh"}, 422, "language"),
        ({"model": "whisper-1", "colour": "red"}, 400, "colour"),
        ({"model": ["whisper-1", "whisper-1"]}, 400, "model"),
    ],
)
def test_every_fault_of_a_transcription_names_its_field(
    client: TestClient, fields: dict[str, Any], status: int, field: str
) -> None:
    answer = send(client, TRANSCRIBE, **fields)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"] == answer.json().get("field")
    assert answer.json()["field"] == field


def test_what_stock_programs_send_for_nothing_is_left_aside(client: TestClient) -> None:
    extra: Any = {"chunking_strategy[type]": "server_vad", "keywords[]": "x"}
    answer = send(
        client,
        TRANSCRIBE,
        model="whisper-1",
        prompt="names",
        temperature="0.2",
        **extra,
    )
    assert answer.status_code == 200, answer.text


def test_no_recording_no_form_no_sound(client: TestClient) -> None:
    assert client.post(TRANSCRIBE, data={"model": "whisper-1"}).status_code in (400, 415)
    assert client.post(TRANSCRIBE, json={"model": "whisper-1"}).status_code == 415
    answer = client.post(DETECT + "?model=voice-activity", headers={"Content-Type": "audio/wav"})
    assert answer.json()["field"] == "body"
    assert send(client, data=b"", model="voice-activity").json()["field"] == "file"
    empty = send(client, data=as_file(np.zeros(0, np.float32)), model="voice-activity")
    assert (empty.status_code, empty.json()["code"]) == (400, "sound-decode")


def test_bounds_of_length_and_size(make_hub: MakeHub) -> None:
    hub = make_hub(max_sound_s=3.0, max_sound_bytes=200_000)
    with TestClient(hub.app, headers=bearer(hub.key("infer"))) as client:
        long = send(client, TRANSCRIBE, model="whisper-1")
        assert long.status_code == 413
        assert "at most 3 s" in long.json()["error"]["message"]
        large = send(client, TRANSCRIBE, data=TWO * 8, model="whisper-1")
        assert large.status_code == 413


def test_time_is_kept(client: TestClient) -> None:
    headers = {"X-Request-Timeout-Seconds": "0.000001"}
    answer = client.post(
        DETECT + "?model=voice-activity", content=TWO, headers={**headers, "Content-Type": "audio/wav"}
    )
    assert answer.status_code == 504


def test_a_full_model_is_told(client: TestClient, ears: LoudEars) -> None:
    ears.fails = QueueFullError("the queue is full")
    answer = send(client, TRANSCRIBE, model="whisper-1")
    assert answer.status_code == 429
    assert answer.json()["error"]["type"] == "rate_limit_error"
    assert answer.headers["Retry-After"]


def test_seconds_are_admitted_and_booked(
    hub: TestHub, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[tuple[tuple[str, ...], int]] = []
    enter = Admission.enter

    def noting(self: Admission, caller: Any, algorithms: Any, *, frames: int = 1) -> Any:
        entered.append((tuple(algorithms), frames))
        return enter(self, caller, algorithms, frames=frames)

    monkeypatch.setattr(Admission, "enter", noting)
    assert send(client, model="audio-tagging").status_code == 200
    assert send(client, TRANSCRIBE, data=as_file(talk((1.2, True))), model="whisper-1").status_code == 200
    assert entered == [(("audio-tagging",), 4), (("speech-to-text",), 2)]
    assert not [one for one in threading.enumerate() if one.name == "aihub-live-sound"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=100).map(
            lambda x: b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + x
        ),
        st.binary(max_size=60).map(
            lambda x: b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + x + b"\r\n--b--\r\n"
        ),
    ),
    path=st.sampled_from([DETECT, TRANSCRIBE]),
)
def test_nonsense_is_never_our_fault(client: TestClient, body: bytes, path: str) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert 400 <= answer.status_code < 500


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 9000), st.floats(0, 30), st.text("abc üé", max_size=10), st.floats(0, 1)),
        max_size=5,
    )
)
def test_forms_hold_whatever_was_said(rows: list[tuple[float, float, str, float]]) -> None:
    segments = tuple(Segment(text, start, start + length, sure) for start, length, text, sure in sorted(rows))
    made = Transcript(segments, "en", 9100.0)
    assert plain(made, "srt").count(" --> ") == plain(made, "vtt").count(" --> ") == len(rows)
    body = verbose(made, ("segment", "word"))
    assert [one["id"] for one in body["segments"]] == list(range(len(rows)))


@pytest.mark.weights
@pytest.mark.media
def test_real_recordings(hub: TestHub, mirror: Path, media: Path, tmp_path: Path) -> None:
    """With the real models: what the cards promise holds over HTTP, too."""
    from dataclasses import replace

    from aihub.algorithms.registry import Registry
    from aihub.engine import Engine, ModelStore
    from aihub.plugins import data_folder
    from aihub.serve.app import create_app

    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path / "cache", mirror=str(mirror))
    with Engine(store) as engine:
        registry = Registry(engine, [hub.cards])
        hub.services = replace(hub.services, registry=registry, predictor=engine)
        with TestClient(create_app(hub.services), headers=bearer(hub.key("infer"))) as client:
            audio = media / "audio"
            dog = send(
                client, data=(audio / "events" / "1-100032-A-0.wav").read_bytes(), model="audio-tagging"
            )
            assert "Dog" in {one["label"] for one in dog.json()["result"]["events"]}
            said = (audio / "speech_en" / "spk1_snt1.wav").read_bytes()
            pytest.importorskip("pocketsphinx", reason="the extra `speech` is not installed")
            answer = send(client, TRANSCRIBE, data=said, model="whisper-1")
            assert answer.json()["text"] == "the child almost heard the small dog"
