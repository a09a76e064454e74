"""How calls are described: paths that lead nowhere else, one signature for two clients, and patience."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, Coroutine, Generator
from email.utils import formatdate
from typing import Any, assert_type
from urllib.parse import unquote, urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.client import AihubClient, AsyncAihubClient, LiveEvent, Stream
from aihub.client.calls import CallMethod, FeedMethod, PagesMethod, Route
from aihub.client.hub import HubCalls
from aihub.client.refusals import MAX_WAIT_S, RefusedError, error_from, error_of, worth_another
from aihub.errors import DeadlineError, InputError, ParamsError, RateLimitError
from tests.client.faces import Make

METHODS = {
    name: method
    for name, method in inspect.getmembers(HubCalls)
    if isinstance(method, CallMethod | PagesMethod | FeedMethod)
}


@given(st.text(min_size=1).filter(lambda text: text not in (".", "..")), st.text(min_size=1, max_size=3))
def test_an_id_stays_one_part_of_the_path(first: str, second: str) -> None:
    if second in (".", ".."):
        return
    try:
        first.encode()
        second.encode()
    except UnicodeEncodeError:
        return
    filled = Route("GET", "/v1/things/{thing}/parts/{part}/look").filled((first, second))
    sent = urlsplit(str(httpx2.URL("http://hub" + filled)))
    assert (sent.query, sent.fragment) == ("", "")
    assert [unquote(part) for part in sent.path.split("/")[1:]] == [
        "v1",
        "things",
        first,
        "parts",
        second,
        "look",
    ]


@pytest.mark.parametrize("wrong", ["", ".", ".."])
def test_an_id_that_would_name_another_path_is_refused(make: Make, wrong: str) -> None:
    with pytest.raises(InputError) as caught:
        make("http://hub").delete_stream(wrong)
    assert caught.value.field == "stream_id"


@pytest.mark.parametrize("name", METHODS)
def test_both_clients_have_every_method_with_the_same_arguments_and_words(name: str) -> None:
    blocking = getattr(AihubClient("http://hub"), name)
    awaited = getattr(AsyncAihubClient("http://hub"), name)
    assert inspect.signature(blocking) == inspect.signature(awaited)
    assert "self" not in inspect.signature(blocking).parameters
    assert "Call[" not in str(inspect.signature(blocking))
    assert blocking.__doc__ == awaited.__doc__
    assert METHODS[name].route.path.startswith("/")
    assert inspect.iscoroutinefunction(awaited) == isinstance(METHODS[name], CallMethod)


def _types(blocking: AihubClient, awaited: AsyncAihubClient) -> None:
    """Never run: what mypy and editors make of both."""
    assert_type(blocking.stream("x"), Stream)
    _coroutine: Coroutine[Any, Any, Stream] = awaited.stream("x")
    assert_type(blocking.streams(page=3), Generator[Stream, None, None])
    assert_type(awaited.streams(page=3), AsyncGenerator[Stream, None])
    assert_type(blocking.live(after=1), Generator[LiveEvent, None, None])
    assert_type(awaited.live(after=1), AsyncGenerator[LiveEvent, None])
    blocking.stream(1)  # type: ignore[arg-type]
    awaited.streams(pages=1)  # type: ignore[call-arg]


def refused(status: int, wait: str | None, *, problem: bool = True) -> RefusedError:
    kind = "application/problem+json" if problem else "text/html"
    headers = {"content-type": kind} | ({} if wait is None else {"retry-after": wait})
    return RefusedError(httpx2.Response(status, headers=headers, json={}))


@pytest.mark.parametrize(
    ("error", "again", "least", "most", "reason"),
    [
        (refused(429, "3"), True, 3, 4.5, "the hub says when"),
        (refused(429, "3"), False, 3, 4.5, "what was refused was not begun"),
        (refused(429, None), False, 0.5, 0.75, "the hub does not say when"),
        (refused(503, "2"), True, 2, 3, "the database comes back"),
        (refused(503, "2"), False, 0, 0, "it may have been done"),
        (refused(503, None), True, 0, 0, "a fact"),
        (refused(503, None, problem=False), True, 0.5, 0.75, "a proxy has no hub yet"),
        (refused(429, "3600"), True, 0, 0, "a quota that is used up today: nobody waits an hour in a call"),
        (refused(429, "soon"), True, 0.5, 0.75, "what no one can read"),
        (refused(504, "1"), True, 0, 0, "it would only take as long again"),
    ],
)
def test_how_long_is_waited(error: RefusedError, again: bool, least: float, most: float, reason: str) -> None:
    wait = worth_another(error, again)
    assert least <= float(wait) <= most, reason
    assert (wait is False) == (most == 0), reason


def test_a_date_says_when_too() -> None:
    wait = worth_another(refused(429, formatdate(time.time() + 4, usegmt=True)), again=True)
    assert 2 < float(wait) < 6
    late = formatdate(time.time() + 10 * MAX_WAIT_S, usegmt=True)
    assert worth_another(refused(429, late), again=True) is False


def test_an_error_says_how_long_it_would_be() -> None:
    error = error_from(refused(429, "3600", problem=False).response)
    assert isinstance(error, RateLimitError)
    assert error.retry_after_s == 3600


@pytest.mark.parametrize(
    ("body", "message", "field"),
    [
        ({"code": "params", "detail": "bad", "field": "zone"}, "bad", "zone"),
        ({"error": {"message": "bad", "type": "x", "param": "file", "code": "params"}}, "bad", "file"),
        ({"error": "bad"}, "bad", None),
    ],
)
def test_errors_in_the_forms_of_other_protocols(
    body: dict[str, Any], message: str, field: str | None
) -> None:
    error = error_from(httpx2.Response(422, json=body))
    assert type(error) is ParamsError
    assert (error.message, error.field) == (message, field)


def test_the_problem_of_one_of_many_is_an_error_too() -> None:
    assert isinstance(error_of({"status": 504, "detail": "late"}), DeadlineError)


async def test_cancelling_hangs_up() -> None:
    hung_up = asyncio.Event()
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        while await reader.read(1000):
            pass
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, AsyncAihubClient(f"http://127.0.0.1:{port}") as hub:
        for coroutine in (hub.infer("a", b"x"), anext(hub.live()), anext(hub.streams())):
            task = asyncio.ensure_future(coroutine)
            await asyncio.wait_for(asked.wait(), 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(hung_up.wait(), 10)
            asked.clear()
            hung_up.clear()


async def test_many_calls_at_once_share_one_client(url: str, hub: Any) -> None:
    async with AsyncAihubClient(url, hub.key("infer")) as client:
        lengths = await asyncio.gather(*(client.echo(b"x" * size) for size in range(20)))
    assert lengths == list(range(20))
