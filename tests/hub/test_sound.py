"""Sound through a whole hub: OpenAI's client and a WebSocket past the real ingress."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.algorithms.sound.making import as_file, as_pcm, talk
from tests.hub.conftest import Hub

pytestmark = [pytest.mark.hub, pytest.mark.timeout(300)]


def key_of(hub: Hub) -> str:
    return (hub.home / "admin.key").read_text().strip()


def test_stock_programs_get_text(hub: Hub) -> None:
    pytest.importorskip("pocketsphinx", reason="the extra `speech` is not installed")
    file = ("talk.wav", as_file(talk((0.5, False), (1.0, True), (0.5, False))))
    with openai.OpenAI(api_key=key_of(hub), base_url=f"{hub.url}/v1", timeout=60) as api:
        made = api.audio.transcriptions.create(model="whisper-1", file=file, response_format="verbose_json")
        assert made.duration == 2.0
        events = list(api.audio.transcriptions.create(model="whisper-1", file=file, stream=True))
        assert events[-1].type == "transcript.text.done"
        assert "whisper-1" in {model.id for model in api.models.list()}


def test_live_sound_passes_the_ingress_and_needs_a_key(hub: Hub) -> None:
    address = hub.url.replace("http://", "ws://") + "/v1/audio/live"
    with pytest.raises(InvalidStatus) as refused, connect(address, open_timeout=20):
        pass
    assert refused.value.response.status_code in (401, 403)
    headers = {"X-API-Key": key_of(hub)}
    with connect(address, open_timeout=20, additional_headers=headers) as socket:
        socket.send(json.dumps({"type": "start", "algorithm": "no-such-algorithm"}))
        with pytest.raises(Exception, match="no-such-algorithm"):
            socket.recv(timeout=20)


@pytest.mark.weights
@pytest.mark.media
def test_live_speech_is_written_down(hub: Hub, mirror: Path, media: Path) -> None:
    from aihub.algorithms.sound_files import decode_sound

    pytest.importorskip("pocketsphinx", reason="the extra `speech` is not installed")
    samples = decode_sound((media / "audio" / "speech_en" / "spk1_snt1.wav").read_bytes())
    address = hub.url.replace("http://", "ws://") + "/v1/audio/live"
    messages: list[dict[str, Any]] = []
    with connect(address, open_timeout=20, additional_headers={"X-API-Key": key_of(hub)}) as socket:
        socket.send(json.dumps({"type": "start", "algorithm": "speech-to-text"}))
        for at in range(0, len(samples), 1600):
            socket.send(as_pcm(samples[at : at + 1600]))
        socket.send(json.dumps({"type": "stop"}))
        while not messages or messages[-1]["type"] != "done":
            messages.append(json.loads(socket.recv(timeout=60)))
    said = " ".join(one["result"]["text"] for one in messages if one["type"] == "segment")
    assert "small dog" in said
