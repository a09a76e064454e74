"""Live sound, with both clients, on a hub whose ears need no weights."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from aihub import errors
from aihub.client import AsyncAihubClient, HubUnreachableError
from aihub.client.live_sound import MOST_BYTES, Chunk, pieces
from aihub.types import SAMPLE_RATE, Transcript
from tests.algorithms.sound.making import as_pcm, talk
from tests.client.faces import Make
from tests.serve.audio.conftest import ears, hub, make_hub, url
from tests.serve.hub import TestHub

__all__ = ["ears", "hub", "make_hub", "url"]

TWO = talk((0.5, False), (1.0, True), (1.0, False), (1.0, True), (0.5, False))


def tenths() -> Iterator[bytes]:
    for at in range(0, len(TWO), SAMPLE_RATE // 10):
        yield as_pcm(TWO[at : at + SAMPLE_RATE // 10])


def test_speech_becomes_segments(hub: TestHub, url: str, make: Make) -> None:
    client = make(url, hub.key("infer"))
    heard = list(client.hear_live(tenths()))
    assert [one.kind for one in heard].count("speech") == 2
    segments = [one for one in heard if one.kind == "segment"]
    assert len(segments) == 2
    assert all(isinstance(one.result, Transcript) for one in segments)
    assert 0 < segments[0].end < segments[1].start < segments[1].end <= 4.1


def test_what_goes_wrong(hub: TestHub, url: str, make: Make) -> None:
    client = make(url, hub.key("infer"))
    with pytest.raises(errors.AlgorithmNotFoundError):
        list(client.hear_live([], "nothing"))
    with pytest.raises(errors.InputError):
        list(client.hear_live([], pause=100))
    with pytest.raises(errors.InputError) as caught:
        list(client.hear_live([b"odd"]))
    assert caught.value.field == "sound"
    with pytest.raises(errors.UnauthorizedError):
        list(make(url, "aihub_wrong").hear_live([]))
    with pytest.raises(errors.ForbiddenError):
        list(make(url, hub.key("events")).hear_live([]))


def test_what_the_sound_raises_is_raised(hub: TestHub, url: str, make: Make) -> None:
    def broken() -> Iterator[bytes]:
        yield as_pcm(TWO[:1600])
        raise RuntimeError("the microphone was pulled out")

    with pytest.raises(RuntimeError, match="microphone"):
        list(make(url, hub.key("infer")).hear_live(broken()))


def test_closing_ends_the_session(hub: TestHub, url: str, make: Make) -> None:
    ended = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            yield from tenths()
            while True:
                time.sleep(0.02)
                yield bytes(3200)
        finally:
            ended.set()

    live = make(url, hub.key("infer")).hear_live(endless())
    assert next(live).kind == "speech"
    live.close()
    desk = hub.app.state.parts.sound
    until = time.monotonic() + 10
    while desk.live and time.monotonic() < until:
        time.sleep(0.05)
    assert desk.live == 0


async def test_sound_from_a_loop(hub: TestHub, url: str) -> None:
    async def sound() -> AsyncIterator[bytes]:
        for chunk in tenths():
            yield chunk

    async with AsyncAihubClient(url, hub.key("infer")) as client:
        kinds = [one.kind async for one in client.hear_live(sound(), "voice-activity")]
    assert kinds.count("segment") == 2


def test_nobody_there(make: Make) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(HubUnreachableError):
        list(make(f"http://127.0.0.1:{port}").hear_live([]))


@pytest.mark.parametrize(
    "chunk",
    [as_pcm(TWO), (np.clip(TWO, -1, 1) * 32767).astype(np.int16), TWO.astype(np.float32)],
    ids=["bytes", "int16", "float32"],
)
def test_every_form_of_sound_is_the_same(chunk: Chunk) -> None:
    sent = list(pieces(chunk))
    assert max(map(len, sent)) <= MOST_BYTES
    whole = np.frombuffer(b"".join(sent), "<i2").astype(np.int32)
    assert np.abs(whole - np.frombuffer(as_pcm(TWO), "<i2")).max() <= 1


@pytest.mark.parametrize("wrong", [np.zeros(4), np.zeros((4, 2), np.int16), b"odd"])
def test_what_is_no_sound(wrong: Chunk) -> None:
    with pytest.raises(errors.InputError):
        list(pieces(wrong))
