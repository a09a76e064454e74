"""Live sound with a stock WebSocket client, on a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from aihub.serve.audio.live import MOST_BYTES, PROTOCOL
from aihub.types import SAMPLE_RATE, Samples
from tests.algorithms.sound.making import LoudEars, as_pcm, talk
from tests.serve.audio.conftest import MakeHub
from tests.serve.hub import TestHub, serving

TWO = talk((0.5, False), (1.0, True), (1.0, False), (1.0, True), (0.5, False))


def dial(url: str, key: str, **options: Any) -> ClientConnection:
    address = url.replace("http://", "ws://") + "/v1/audio/live"
    options.setdefault("additional_headers", {"X-API-Key": key})
    socket: ClientConnection = connect(address, open_timeout=10, **options)
    return socket


def begin(socket: ClientConnection, **start: Any) -> dict[str, Any]:
    socket.send(json.dumps({"type": "start", **start}))
    return heard(socket)


def heard(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=20))
    return message


def speak(socket: ClientConnection, samples: Samples, piece: int = 1600) -> None:
    for at in range(0, len(samples), piece):
        socket.send(as_pcm(samples[at : at + piece]))


def until_done(socket: ClientConnection) -> list[dict[str, Any]]:
    messages = []
    while True:
        messages.append(heard(socket))
        if messages[-1]["type"] == "done":
            return messages


@pytest.mark.parametrize("piece", [160, 1600, 5001])
def test_speech_becomes_segments_with_words(hub: TestHub, url: str, piece: int) -> None:
    with dial(url, hub.key("infer")) as socket:
        assert begin(socket)["type"] == "ready"
        speak(socket, TWO, piece)
        socket.send(json.dumps({"type": "stop"}))
        messages = until_done(socket)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000
    segments = [one for one in messages if one["type"] == "segment"]
    assert [one["id"] for one in segments] == [0, 1]
    assert segments[0]["start"] == pytest.approx(0.5, abs=0.3)
    assert segments[0]["end"] == pytest.approx(1.5, abs=0.3)
    assert segments[1]["start"] == pytest.approx(2.5, abs=0.3)
    assert segments[1]["result"]["text"] == "hello world"
    word = segments[1]["result"]["segments"][0]["words"][0]
    assert segments[1]["start"] <= word["start"] <= segments[1]["end"]
    assert [one["type"] for one in messages].count("speech") == 2
    assert messages[-1] == {"type": "done", "seconds": 4.0, "segments": 2}


def test_detections_of_segments(hub: TestHub, url: str) -> None:
    with dial(url, hub.key("infer")) as socket:
        begin(socket, algorithm="audio-tagging", params={"labels": ["Speech"]})
        speak(socket, TWO)
        socket.send(json.dumps({"type": "stop"}))
        segments = [one for one in until_done(socket) if one["type"] == "segment"]
    assert [one["result"]["events"][0]["label"] for one in segments] == ["Speech", "Speech"]


def test_voice_activity_needs_no_second_look(hub: TestHub, url: str) -> None:
    with dial(url, hub.key("infer")) as socket:
        begin(socket, algorithm="voice-activity")
        speak(socket, TWO)
        socket.send(json.dumps({"type": "stop"}))
        segments = [one for one in until_done(socket) if one["type"] == "segment"]
    assert len(segments) == 2
    assert "result" not in segments[0]


def test_what_is_said_can_be_taken_at_once(hub: TestHub, url: str) -> None:
    with dial(url, hub.key("infer")) as socket:
        begin(socket)
        speak(socket, talk((1.0, True)))
        socket.send(json.dumps({"type": "flush"}))
        messages = [heard(socket), heard(socket)]
    assert [one["type"] for one in messages] == ["speech", "segment"]


def test_a_browser_sends_its_key_as_a_protocol(hub: TestHub, url: str) -> None:
    key = hub.key("infer")
    with dial(url, "", additional_headers={}, subprotocols=[PROTOCOL, f"aihub.key.{key}"]) as socket:
        assert socket.subprotocol == PROTOCOL, "the key is never repeated"
        assert begin(socket)["type"] == "ready"


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v1/audio/live", "", 401),  # no key
        ("/v1/audio/live", "aihub_" + "x" * 43, 401),  # not one of ours
        ("/v1/events/live", None, 403),  # not a socket that is offered
        ("/", None, 403),
    ],
)
def test_the_door_is_closed(hub: TestHub, url: str, path: str, key: str | None, status: int) -> None:
    headers = {"X-API-Key": hub.key("infer") if key is None else key}
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(url.replace("http", "ws") + path, additional_headers=headers),
    ):
        pass
    assert refused.value.response.status_code == status


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b"\0\0", 4400, "samples before the start"),
        ("{", 1003, "no JSON"),
        ("[]", 1003, "no object"),
        ("[" * 60_000, 1003, "nested too deeply"),
        ('{"type": "begin"}', 4400, "another type"),
        ('{"type": "start", "pause": 0}', 4400, "out of range"),
        ('{"type": "start", "volume": 1}', 4400, "unknown"),
        ('{"type": "start", "algorithm": "nope"}', 4404, "no such algorithm"),
        ('{"type": "start", "algorithm": "thing-detection"}', 4400, "takes pictures"),
        ('{"type": "start", "params": {"x": 1}}', 4400, "unknown parameter"),
        ("x" * 70_000, 1009, "too long"),
    ],
)
def test_a_wrong_start_ends_it(hub: TestHub, url: str, message: str | bytes, code: int, reason: str) -> None:
    with dial(url, hub.key("infer")) as socket:
        socket.send(message)
        _expect_close(socket, code)


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b"\0\0\0", 1003, "half a sample"),
        (b"\0" * (MOST_BYTES + 2), 1009, "more than two seconds"),
        ('{"type": "start"}', 1003, "a second start"),
        ("nonsense", 1003, "no JSON"),
    ],
)
def test_a_wrong_message_ends_it(
    hub: TestHub, url: str, message: str | bytes, code: int, reason: str
) -> None:
    with dial(url, hub.key("infer")) as socket:
        begin(socket)
        socket.send(message)
        _expect_close(socket, code)


def _expect_close(socket: ClientConnection, code: int) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        _listen_for_ever(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code, closed.value.rcvd


def _listen_for_ever(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=10)


def test_a_key_without_the_scope_is_sent_away(hub: TestHub, url: str) -> None:
    with dial(url, hub.key("streams")) as socket:
        _expect_close(socket, 4403)


def test_without_weights_it_says_so(hub: TestHub, ears: LoudEars, url: str) -> None:
    ears.absent.add("vad")
    with dial(url, hub.key("infer")) as socket:
        socket.send(json.dumps({"type": "start"}))
        _expect_close(socket, 4503)


def test_bounds_close_the_session(make_hub: MakeHub) -> None:
    hub = make_hub(max_live_s=1.0, live_idle_s=0.5, max_live_sounds=1)
    key = hub.key("infer")
    with serving(hub.app) as url:
        with dial(url, key) as socket, dial(url, key) as second:
            begin(socket)
            _expect_close(second, 4429)
            _expect_close(socket, 4408)
        with dial(url, key) as socket:
            begin(socket)
            with suppress(ConnectionClosed):  # it may be told while it still speaks
                speak(socket, talk((1.5, True)))
            _expect_close(socket, 4410)


def test_one_tenant_does_not_take_all_places(make_hub: MakeHub) -> None:
    hub = make_hub(max_live_sounds=2)
    with serving(hub.app) as url:
        first, second = hub.key("infer", tenant="a"), hub.key("infer", tenant="b")
        with dial(url, first) as one, dial(url, first) as another, dial(url, second) as other:
            begin(one)
            _expect_close(another, 4429)
            assert begin(other)["type"] == "ready"


def test_a_segment_that_fails_does_not_end_the_session(
    hub: TestHub, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aihub.errors import QueueFullError
    from aihub.serve.audio.desk import SoundDesk

    async def full(*_: object, **__: object) -> None:
        raise QueueFullError("too much")

    with dial(url, hub.key("infer")) as socket:
        begin(socket)
        monkeypatch.setattr(SoundDesk, "listen_to", full)
        speak(socket, TWO)
        socket.send(json.dumps({"type": "stop"}))
        errors = [one for one in until_done(socket) if one["type"] == "error"]
    assert [one["code"] for one in errors] == ["queue-full", "queue-full"]


@pytest.mark.parametrize(
    ("algorithm", "models"), [("voice-activity", {"vad"}), ("speech-to-text", {"vad", "asr"})]
)
def test_all_that_was_heard_is_booked(
    hub: TestHub, url: str, monkeypatch: pytest.MonkeyPatch, algorithm: str, models: set[str]
) -> None:
    from aihub.serve.admission import Admission
    from aihub.types import Bill

    booked: list[tuple[int, Bill]] = []
    enter = Admission.enter

    @contextmanager
    def noting(self: Admission, caller: Any, algorithms: Any, *, frames: int = 1) -> Iterator[Bill]:
        assert list(algorithms) == [algorithm]
        with enter(self, caller, algorithms, frames=frames) as bill:
            booked.append((frames, bill))
            yield bill

    monkeypatch.setattr(Admission, "enter", noting)
    with dial(url, hub.key("infer")) as socket:
        begin(socket, algorithm=algorithm)
        speak(socket, TWO)
        socket.send(json.dumps({"type": "stop"}))
        until_done(socket)
    assert [frames for frames, _ in booked] == [2, 2, 2], (
        "two segments of more than a second, and the silence"
    )
    assert {what for _, bill in booked for what in bill.spent} >= models
    steps = sum(bill.spent.get("vad", 0.0) for _, bill in booked)
    assert steps >= 0.001 * 4 / 0.033, "every step is on a bill"


def test_memory_is_bounded_while_nobody_speaks(hub: TestHub) -> None:
    import asyncio

    from aihub.algorithms.sound.voice import Gate, Listener, VoiceRules
    from aihub.serve.audio.live import _Ears

    async def listen() -> int:
        ears = _Ears(Listener(LoudEars()), Gate(VoiceRules()))
        for _ in range(60):
            for step in ears.steps(talk((1.0, False))):
                await ears.hear(step)
        return len(ears._kept)

    assert asyncio.run(listen()) < SAMPLE_RATE // 512
