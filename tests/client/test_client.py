"""The client against the real app on a real socket, and against answers that only a broken network gives."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aihub import errors
from aihub.client import AihubClient, HubUnreachableError
from aihub.client.refusals import error_from
from aihub.errors import AihubError
from aihub.serve.app import create_app
from aihub.serve.problems import catalogue, respond
from aihub.types import Detections, EventState, Readiness, Sampling, StreamState, StreamStatus, StreamTask
from tests.client.faces import Make
from tests.serve.hub import TestHub, encoded, event, picture, serving
from tests.serve.test_live import wait_for

HOOK = {"url": "https://93.184.215.14/hook", "secret": "0123456789abcdef"}


def test_algorithms(client: AihubClient) -> None:
    rows = {row.id: row for row in client.algorithms()}
    assert rows["thing-detection"].readiness == Readiness.READY
    detail = client.algorithm("thing-detection")
    assert detail.model_dump(exclude={"result"}) == rows["thing-detection"].model_dump()
    assert "object-detection" in str(detail.result)
    assert [row.id for row in client.algorithms(readiness=Readiness.NEEDS_WEIGHTS)] == ["absent-detection"]
    with pytest.raises(errors.AlgorithmNotFoundError) as caught:
        client.algorithm("thing-detektion")
    assert "thing-detection" in str(caught.value)


def test_pictures_in_every_form(client: AihubClient, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(encoded("png"))
    for image in (encoded(), file, str(file), picture()):
        (found,) = client.infer("thing-detection", image).results
        assert isinstance(found, Detections)
        assert found.xyxy.tolist() == [[0, 0, 32, 24]]
    answer = client.infer("thing-detection", [encoded(), file, picture(20, 10)], {"confidence": 0.5})
    assert [len(found) for found in answer.results] == [1, 1, 1]
    assert (answer.algorithm, answer.version) == ("thing-detection", 1)
    assert len(client.infer("thing-detection", [encoded()], {"confidence": 0.9}).results[0]) == 0


def test_errors_are_the_classes_of_the_hub(client: AihubClient, tmp_path: Path) -> None:
    with pytest.raises(errors.ImageDecodeError):
        client.infer("thing-detection", b"text")
    with pytest.raises(errors.ParamsError) as caught:
        client.infer("thing-detection", encoded(), {"confidence": 7})
    assert caught.value.field == "confidence"
    with pytest.raises(errors.InputError):
        client.infer("thing-detection", tmp_path / "none.jpg")
    with pytest.raises(errors.ForbiddenError):
        client.keys()


def test_streams(hub: TestHub, client: AihubClient) -> None:
    made = client.add_stream(
        "rtsp://u:w@127.0.0.1/1", ["thing-detection"], id="a", name="Gate", sampling=Sampling(fps=2)
    )
    assert (made.has_credentials, made.sampling.fps, made.status.state) == (True, 2, StreamState.PENDING)
    hub.repository.claim_streams("h", 9, 60)
    hub.repository.save_statuses("h", {"a": StreamStatus(state=StreamState.LIVE)})
    assert client.stream("a").status.state == StreamState.LIVE
    task = StreamTask(id="t", algorithm="thing-detection", params={"count": 2})
    changed = client.update_stream("a", {"tasks": [task], "enabled": False}, revision=1)
    assert (changed.tasks, changed.status.state) == ([task], StreamState.PAUSED)
    with pytest.raises(errors.ConflictError):
        client.update_stream("a", {"name": "x"}, revision=1)
    results = client.add_streams(
        [{"id": f"s{n}", "url": "rtsp://127.0.0.1/x"} for n in range(7)] + [{"id": "a", "url": "x"}]
    )
    assert [row.status for row in results] == [201] * 7 + [422]
    assert [stream.id for stream in client.streams(page=3)] == ["a", *(f"s{n}" for n in range(7))]
    assert [stream.id for stream in client.streams(state=StreamState.PAUSED)] == ["a"]
    client.delete_stream("a")
    with pytest.raises(errors.StreamNotFoundError):
        client.stream("a")
    with pytest.raises(errors.ParamsError) as caught:
        client.add_stream("rtsp://127.0.0.1/1", [{"algorithm": "thing-detection", "params": {"zone": 1}}])
    assert caught.value.field == "tasks[0].params.zone"
    with pytest.raises(errors.AddressError):
        client.add_stream("rtsp://169.254.169.254/1")


def test_snapshots(hub: TestHub, client: AihubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aihub.serve.routers.streams.SNAPSHOT_TIMEOUT_S", 0.2)
    client.add_stream("rtsp://127.0.0.1/1", id="a")
    started = time.monotonic()
    with pytest.raises(errors.AihubError, match="pending"):
        client.stream_snapshot("a")
    assert time.monotonic() - started < 2, "a fact was asked for again"
    threading.Timer(0.05, lambda: hub.pictures.write("a", encoded())).start()
    assert client.stream_snapshot("a") == encoded()


def test_events_and_sinks(hub: TestHub, client: AihubClient) -> None:
    sink = client.add_sink("webhook", HOOK, severities=["alert"])
    assert client.sinks() == [client.sink(sink.id)]
    hub.repository.save_transitions([event(number) for number in range(1, 8)])
    assert [found.id for found in client.events(limit=3)] == [event(n).id for n in (7, 6, 5)]
    assert len(list(client.events(stream="gate"))) == 7
    assert list(client.events(stream="none")) == []
    assert client.set_event_state(event(1).id, EventState.RESOLVED).state == EventState.RESOLVED
    assert client.event(event(1).id).state == EventState.RESOLVED
    with pytest.raises(errors.EventNotFoundError):
        client.event_snapshot(event(1).id)
    assert client.replay_sink(sink.id) == 0
    client.delete_sink(sink.id)
    assert client.sinks() == []


def test_the_hub_itself(hub: TestHub, url: str, client: AihubClient, make: Make) -> None:
    assert "aihub_http_requests_total" in client.metrics()
    assert {"unauthorized", "params"} <= {row.code for row in client.error_codes()}
    assert "/v1/streams" in client.openapi()["paths"]
    assert client.echo(b"12345") == 5
    stranger = make(url)
    assert stranger.health().status == "ok"
    ready = stranger.ready()
    assert not ready.ready
    assert not ready.checks["stream_host"].ok
    with pytest.raises(errors.UnauthorizedError):
        stranger.algorithms()


def test_live_events_go_on_after_a_restart_and_none_is_missed(hub: TestHub, make: Make) -> None:
    key = hub.key("events")
    hub.repository.save_transitions([event(1), event(2)])
    heard: list[int] = []
    with contextlib.ExitStack() as stack:
        with serving(hub.app) as address:
            live = make(address, key).live(after=0)
            listener = threading.Thread(target=lambda: heard.extend(next(live).seq for _ in range(3)))
            listener.start()
            wait_for(lambda: len(hub.app.state.parts.live._listeners) == 1)
        hub.repository.save_transitions([event(3)])
        stack.enter_context(serving(create_app(hub.services), int(address.rpartition(":")[2])))
        listener.join(10)
        live.close()
    assert heard == [1, 2, 3]


def test_a_feed_that_is_closed_leaves_nobody_listening(hub: TestHub, client: AihubClient) -> None:
    hub.repository.save_transitions([event(1)])
    listeners = hub.app.state.parts.live._listeners
    live = client.live(after=0)
    assert next(live).seq == 1
    assert len(listeners) == 1
    live.close()
    wait_for(lambda: not listeners)


def test_live_listens_again_where_it_was(make: Make) -> None:
    asked: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("last-event-id"))
        if len(asked) == 2:
            raise httpx2.ConnectError("refused")
        if len(asked) == 3:
            return httpx2.Response(503, text="no server is available")
        body = f": listening\n\nid: {len(asked)}\ndata: {event(1).model_dump_json()}\n\n"
        return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, text=body)

    live = make("http://hub", "k", transport=httpx2.MockTransport(answer)).live()
    assert [next(live).seq, next(live).seq] == [1, 4]
    live.close()
    assert asked == [None, "1", "1", "1"]


def test_live_does_not_insist_on_a_wrong_key(url: str, make: Make) -> None:
    with pytest.raises(errors.UnauthorizedError):
        next(make(url, "aihub_wrong").live())


def test_live_ends_when_told_not_to_reconnect(make: Make) -> None:
    def refuse(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    client = make("http://hub", transport=httpx2.MockTransport(refuse))
    with pytest.raises(HubUnreachableError):
        list(client.live(reconnect=False))


def scripted(make: Make, *answers: httpx2.Response | Exception) -> tuple[AihubClient, list[httpx2.Request]]:
    """A client of a network that gives these answers, then the last for ever."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        given = answers[min(len(seen), len(answers) - 1)]
        seen.append(request)
        if isinstance(given, Exception):
            raise given
        # A response belongs to the client that got it.
        return httpx2.Response(given.status_code, headers=given.headers, content=given.content)

    return make("http://hub", "k", transport=httpx2.MockTransport(answer)), seen


def refusal(error: AihubError) -> httpx2.Response:
    made = respond(error, path="/x", request_id="1")
    return httpx2.Response(made.status_code, headers=dict(made.headers), content=bytes(made.body))


GOOD = httpx2.Response(200, json={"items": []})
FULL = refusal(errors.QueueFullError("full"))
INFERRED = httpx2.Response(200, json={"algorithm": "a", "version": 1, "results": [], "took_ms": 1})
RESET = httpx2.ReadError("reset")


@pytest.mark.parametrize(
    ("failure", "tries", "reason"),
    [
        (FULL, 4, "the hub says when"),
        (refusal(errors.StorageError("locked")), 4, "the database comes back"),
        (httpx2.Response(503, text="no server"), 4, "the ingress has no replica yet"),
        (httpx2.ConnectError("refused"), 4, "the hub restarts"),
        (RESET, 4, "a replica died"),
        (refusal(errors.WeightsMissingError("none")), 1, "a fact"),
        (refusal(errors.ParamsError("bad")), 1, "our own mistake"),
        (refusal(errors.UnauthorizedError("no")), 1, "a wrong key stays wrong"),
        (httpx2.Response(500, text="?"), 1, "not known to help"),
        (httpx2.ReadTimeout("slow"), 1, "it would only take as long again"),
    ],
)
def test_what_is_worth_another_try(
    make: Make, failure: httpx2.Response | Exception, tries: int, reason: str
) -> None:
    client, seen = scripted(make, failure)
    with pytest.raises(AihubError):
        client.algorithms()
    assert len(seen) == tries, reason


@pytest.mark.parametrize(
    ("call", "again"),
    [
        (lambda client: client.algorithms(), True),
        (lambda client: client.delete_stream("a"), True),
        (lambda client: client.infer("a", b"x"), True),
        (lambda client: client.add_stream("rtsp://x/1"), False),
        (lambda client: client.add_sink("webhook", {}), False),
        (lambda client: client.update_stream("a", {"name": "b"}), False),
    ],
)
def test_only_what_may_be_done_twice_is_done_again(
    make: Make, call: Callable[[AihubClient], Any], again: bool
) -> None:
    client, seen = scripted(make, RESET, FULL, INFERRED if again else GOOD)
    with contextlib.suppress(AihubError):
        call(client)
    assert len(seen) == (3 if again else 1)


def test_what_was_refused_was_not_done_and_is_done_again(make: Make) -> None:
    client, seen = scripted(make, FULL, httpx2.Response(200, json={"replayed": 3}))
    assert client.replay_sink("a") == 3
    assert len(seen) == 2


def test_a_hub_that_is_not_there_is_said_to_be(make: Make) -> None:
    client, seen = scripted(make, httpx2.ConnectError("refused"))
    with pytest.raises(HubUnreachableError, match="aihub up"):
        client.ready()
    assert len(seen) == 1, "whoever asks whether it is ready asks again himself"
    with pytest.raises(HubUnreachableError):
        make("http://127.0.0.1:9", attempts=1).algorithms()


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>welcome</html>"),
        httpx2.Response(200, json=[]),
        httpx2.Response(200, json={"rows": []}),
        httpx2.Response(200, json={"items": [{"id": "x"}]}),
    ],
)
def test_what_answers_but_is_no_hub_is_said_to_be_none(make: Make, answer: httpx2.Response) -> None:
    client, _ = scripted(make, answer)
    for call in (client.algorithms, lambda: list(client.streams()), client.ready):
        with pytest.raises(HubUnreachableError, match="address"):
            call()
    with pytest.raises(HubUnreachableError):
        next(client.live())


def test_every_error_of_the_hub_comes_back_as_itself() -> None:
    rows = {str(row["code"]): int(row["status"]) for row in catalogue()}
    for kind in _all(AihubError):
        if kind.__module__ != errors.__name__:
            continue
        made = kind.__new__(kind)
        AihubError.__init__(made, "what", hint="so", field="there")
        vars(made).setdefault("retry_after_s", 2.0)
        back = error_from(refusal(made))
        assert type(back) is kind
        assert str(back)
        if rows[kind.__new__(kind).code] != 500:
            assert (back.message, back.hint, back.field) == ("what", "so", "there")


def _all(kind: type[AihubError]) -> Iterator[type[AihubError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _all(child)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (httpx2.Response(404, text="nginx"), errors.NotFoundError),
        (httpx2.Response(502, text=""), AihubError),
        (
            httpx2.Response(429, headers={"content-type": "application/problem+json"}, text="{"),
            errors.RateLimitError,
        ),
        (
            httpx2.Response(
                400,
                headers={"content-type": "application/problem+json"},
                json={"code": "of-tomorrow", "detail": "x"},
            ),
            errors.InputError,
        ),
    ],
)
def test_answers_that_are_no_problem_of_ours_have_a_class_too(
    response: httpx2.Response, kind: type[AihubError]
) -> None:
    assert type(error_from(response)) is kind


def test_new_fields_of_a_newer_hub_are_ignored(make: Make) -> None:
    ready = {"ready": True, "version": "9", "checks": {"x": {"ok": True, "new": 1}}, "new": 2}
    client, _ = scripted(make, httpx2.Response(200, json=ready))
    assert client.ready().ready
    alarm = event().model_dump(mode="json") | {"weather": "fine"}
    client, _ = scripted(make, httpx2.Response(200, json=alarm))
    assert client.event("x") == event()


def test_a_key_is_not_in_what_the_client_prints(make: Make) -> None:
    client = make("http://hub", "aihub_secret")
    assert "secret" not in repr(client)
