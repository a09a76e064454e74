"""Sound that algorithms make, and figures of a recording, on their way out: HTTP, live, the Open Inference Protocol's tensors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from aihub.algorithms.hearing import shifted
from aihub.algorithms.sound_files import decode_sound
from aihub.serve.oip.outputs import tensors_of
from aihub.types import SAMPLE_RATE, Recording, SoundEvents, result_from_json
from tests.algorithms.sound.making import LoudEars, as_file, talk
from tests.serve.audio.test_live import begin, dial, speak, until_done
from tests.serve.hub import TestHub

SAMPLES = talk((0.5, False), (1.0, True), (0.5, False))
TWO = talk((0.5, False), (1.0, True), (1.0, False), (1.0, True), (0.5, False))


def detect(client: TestClient, model: str, **params: Any) -> dict[str, Any]:
    answer = client.post(
        "/v1/audio/detections",
        data={"model": model, "params": json.dumps(params)},
        files={"file": ("talk.wav", as_file(SAMPLES), "audio/wav")},
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_made_sound_comes_back_as_a_file(client: TestClient) -> None:
    body = detect(client, "noise-suppression")
    made = result_from_json(body["result"])
    assert isinstance(made, Recording)
    assert body["result"]["duration"] == body["duration"] == 2.0
    assert np.allclose(made.samples, SAMPLES / 2, atol=1e-3), "the ears halve it"
    assert made.measures["removed_db"] == pytest.approx(6.02, abs=0.01)
    assert np.allclose(decode_sound(made.encoded()), made.samples, atol=1e-4), "any reader of WAV reads it"


def test_figures_stand_beside_events(client: TestClient) -> None:
    body = detect(client, "talk-time")["result"]
    assert body["measures"]["turns"] == 1
    assert body["measures"]["talk_s"] == pytest.approx(1.0, abs=0.1)
    again = result_from_json(body)
    assert isinstance(again, SoundEvents)
    assert again.to_json() == body
    assert "measures" not in detect(client, "voice-activity")["result"], "only where there are any"


def test_made_sound_of_live_segments(hub: TestHub, url: str) -> None:
    with dial(url, hub.key("infer")) as socket:
        assert begin(socket, algorithm="noise-suppression")["type"] == "ready"
        speak(socket, TWO)
        socket.send(json.dumps({"type": "stop"}))
        segments = [one for one in until_done(socket) if one["type"] == "segment"]
    assert len(segments) == 2
    for one in segments:
        made = result_from_json(one["result"])
        assert isinstance(made, Recording)
        assert len(made.samples) / SAMPLE_RATE == pytest.approx(one["end"] - one["start"], abs=0.002)
        assert np.abs(made.samples).max() == pytest.approx(0.25, abs=0.01)


def test_the_longest_segment_fits_a_stock_client() -> None:
    """20 s of speech with its pauses as base64: WebSocket clients take a mebibyte."""
    made = Recording(np.zeros(round(20.4 * SAMPLE_RATE), np.float32))
    assert len(json.dumps(made.to_json())) < 1 << 20


def test_times_move_and_figures_stay() -> None:
    events = SoundEvents.of([("a", 1, 2, 0.5)], {"turns": 1.0})
    moved = shifted(events, 10)
    assert isinstance(moved, SoundEvents)
    assert (moved.start.tolist(), moved.measures) == ([11], {"turns": 1.0})
    made = Recording(SAMPLES, {"removed_db": 1.0})
    assert shifted(made, 10) is made


def test_made_sound_as_a_tensor() -> None:
    made = tensors_of([Recording(SAMPLES)])
    (file,) = made["sound"].data.tolist()
    assert np.allclose(decode_sound(file), SAMPLES, atol=1e-4)


@pytest.mark.parametrize("stop", ["stop", "flush"])
def test_what_listens_to_more_than_speech_gets_all_sound(
    hub: TestHub, url: str, ears: LoudEars, stop: str
) -> None:
    """Silence, a tone, silence: all of it comes to the algorithm, nobody asks whether it is speech."""
    ears.absent.add("vad")
    sound = talk((2.5, False), (0.3, True), (0.74, False))
    with dial(url, hub.key("infer")) as socket:
        start = {"limit": 60, "calibration": 100}
        assert begin(socket, algorithm="loudness-limit", params=start)["type"] == "ready"
        speak(socket, sound)
        if stop == "flush":
            socket.send(json.dumps({"type": "flush"}))
        socket.send(json.dumps({"type": "stop"}))
        messages = until_done(socket)
    segments = [one for one in messages if one["type"] == "segment"]
    assert [round(one["start"], 1) for one in segments] == [0.0, 2.0]
    assert segments[0]["end"] == segments[1]["start"], "no gap"
    assert segments[1]["end"] == pytest.approx(3.54, abs=0.04)
    loud = segments[1]["result"]["events"]
    assert [one["label"] for one in loud] == ["loud"]
    assert loud[0]["start"] == pytest.approx(2.5, abs=0.1), "seconds since the first sample"
    assert segments[0]["result"]["events"] == []
    assert not [one for one in messages if one["type"] == "speech"]
