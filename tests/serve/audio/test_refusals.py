"""Sound, too: what the hub refuses for want of room after it let a recording in is no call."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.errors import QueueFullError, SessionError
from aihub.serve.audio.desk import SoundDesk
from aihub.serve.workers import Workers
from tests.algorithms.sound.making import LoudEars, as_file
from tests.serve.audio.test_live import TWO, begin, dial, speak, until_done
from tests.serve.books import TENANT, Books, Row, full
from tests.serve.hub import TestHub, bearer

FILE = as_file(TWO)


def recording(client: TestClient, path: str, **fields: Any) -> int:
    files = {"file": ("talk.wav", FILE, "audio/wav")}
    return client.post(path, data=fields, files=files).status_code


WAYS: dict[str, Callable[[TestClient], int]] = {
    "detections": lambda client: recording(client, "/v1/audio/detections", model="audio-tagging"),
    "transcriptions": lambda client: recording(client, "/v1/audio/transcriptions", model="whisper-1"),
    "streamed": lambda client: recording(
        client, "/v1/audio/transcriptions", model="whisper-1", stream="true"
    ),
    "oip": lambda client: (
        client.post(
            "/v2/models/audio-tagging/infer", content=FILE, headers={"Inference-Header-Content-Length": "0"}
        ).status_code
    ),
}


@pytest.fixture
def books(hub: TestHub, client: TestClient) -> Books:
    """Of the tenant that `client` speaks for."""
    books = Books(hub.app.state.parts, hub.repository, calls=2)
    client.headers.update(bearer(hub.key("infer", tenant=TENANT)))
    return books


@pytest.mark.parametrize("send", WAYS.values(), ids=WAYS)
def test_a_full_engine_costs_no_quota(
    client: TestClient, ears: LoudEars, books: Books, send: Callable[[TestClient], int]
) -> None:
    ears.fails = QueueFullError("full")
    assert [send(client) for _ in range(3)] == [429] * 3
    assert (books.calls(), books.refused) == (0, 3)
    ears.fails = None
    assert send(client) == 200
    ears.fails = SessionError("broken")
    assert send(client) == 500
    assert [*books.rows().values()] == [Row(2, 1, 4)]
    assert books.refused == 3


@pytest.mark.parametrize("send", WAYS.values(), ids=WAYS)
def test_a_full_line_for_threads_costs_no_quota(
    client: TestClient, books: Books, send: Callable[[TestClient], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Workers.run

    async def only_headers(self: Workers, work: Any, *more: Any, **named: Any) -> Any:
        if "read_header" not in repr(work):
            raise QueueFullError("too many requests are waiting")
        return await run(self, work, *more, **named)

    monkeypatch.setattr(Workers, "run", only_headers)
    assert [send(client) for _ in range(3)] == [429] * 3
    assert (books.calls(), books.rows(), books.refused) == (0, {}, 3)


def test_live_segments_that_are_refused_are_no_calls_and_their_search_is_paid(
    hub: TestHub, url: str, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk: SoundDesk = hub.app.state.parts.sound
    monkeypatch.setattr(desk._workers, "run", full)
    with dial(url, hub.key("infer", tenant=TENANT)) as socket:
        begin(socket)
        speak(socket, TWO)
        socket.send(json.dumps({"type": "stop"}))
        codes = [one["code"] for one in until_done(socket) if one["type"] == "error"]
    assert codes == ["queue-full"] * 2
    assert books.refused == 2
    ((name, row),) = books.rows().items()
    assert (name, row.calls, row.errors) == ("speech-to-text", 1, 0), "one call: the silence between"
    asked = len(TWO) // 512
    assert books.spent() == pytest.approx(0.001 * asked, rel=0.02), "every look for speech is paid"
