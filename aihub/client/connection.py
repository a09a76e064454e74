"""The two ways to make calls: waiting for the answer, and awaiting it. All else is shared by them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx2
import stamina

from aihub.client.calls import Awaited, Blocking, Call, Feed, Pages, Route
from aihub.client.files import CHUNK, arriving, opened
from aihub.client.live_sound import Session
from aihub.client.refusals import (
    ATTEMPTS,
    MAX_WAIT_S,
    RefusedError,
    accepted,
    as_ours,
    error_from,
    understood,
    unreachable,
    worth_another,
)
from aihub.errors import CapacityError, StorageError

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000"
LIVE_SILENCE_S = 45.0
"""A feed that is silent for longer is broken: the hub sends a sign of life every 15 s."""
GRACE_S = 5.0
"""So much longer than its deadline an answer is waited for: the hub's refusal tells more than a time-out here."""
DEADLINE = "X-Request-Timeout-Seconds"


def _seconds(value: float) -> str:
    return f"{value:.9f}".rstrip("0")


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _whole(response: httpx2.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    return body


def _lines(response: httpx2.Response) -> Iterator[httpx2.ServerSentEvent]:
    for line in response.iter_lines():
        yield httpx2.ServerSentEvent(data=line)


async def _alines(response: httpx2.Response) -> AsyncIterator[httpx2.ServerSentEvent]:
    async for line in response.aiter_lines():
        yield httpx2.ServerSentEvent(data=line)


@asynccontextmanager
async def _opened(body: Mapping[str, Any]) -> AsyncIterator[None]:
    with opened(body):
        yield


class _Policy:
    """What a connection does with each call, however it sends it."""

    def __init__(self, url: str, key: str, timeout: float, attempts: int) -> None:
        self._url, self._key = url.rstrip("/"), key
        self._timeout, self._attempts = timeout, attempts

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # nothing of the key

    def _tries(self, route: Route, call: Call[T]) -> Any:
        again = route.method in ("GET", "DELETE") if call.again is None else call.again
        return stamina.retry_context(
            on=lambda error: worth_another(error, again), attempts=self._attempts, timeout=None
        )

    def _session(self, algorithm_id: str, params: Mapping[str, Any] | None, pause: float) -> Session:
        start = {"type": "start", "algorithm": algorithm_id, "params": dict(params or {}), "pause": pause}
        return Session(self._url, _headers(self._key), start, self._timeout)

    def _request(self, route: Route, call: Call[T]) -> dict[str, Any]:
        headers = dict(call.headers)
        request: dict[str, Any] = {"method": route.method, "url": route.filled(call.ids), "headers": headers}
        if call.query:
            request["params"] = call.query
        if call.json is not None:
            request["json"] = call.json
        if call.timeout_s is not None:
            headers[DEADLINE] = _seconds(call.timeout_s)
            request["timeout"] = httpx2.Timeout(self._timeout, read=call.timeout_s + GRACE_S)
        return request


class _Listening(Generic[T]):
    """Where in a feed a listener is, over all its connections."""

    def __init__(self, route: Route, feed: Feed[T], timeout: float) -> None:
        self._route, self._feed = route, feed
        self._after = feed.after
        silence_s = LIVE_SILENCE_S if feed.timeout_s is None else feed.timeout_s + GRACE_S
        self._timeout = httpx2.Timeout(timeout, read=silence_s)
        self._failures = 0
        self.over = False

    def request(self) -> dict[str, Any]:
        """What to ask for now."""
        headers = {"Accept": "text/event-stream"}
        if self._after:
            headers["Last-Event-ID"] = self._after
        if self._feed.timeout_s is not None:
            headers[DEADLINE] = _seconds(self._feed.timeout_s)
        return {
            "method": self._route.method,
            "url": self._route.filled(self._feed.ids),
            "params": dict(self._feed.query),
            "headers": headers,
            "timeout": self._timeout,
        }

    def heard(self, message: httpx2.ServerSentEvent) -> T | None:
        """The item that a message is, if it is one."""
        if not message.data:
            return None
        with understood():
            item = self._feed.read(message)
        if item is not None:
            self._failures = 0
            self._after = self._feed.place(item) or self._after
            self.over = self._feed.last(item)
        return item

    def pause_s(self, error: Exception | None) -> float:
        """How long to wait after a break before listening again.

        Raises:
            AihubError: it is not to be listened to again.
        """
        # What answers with something else than a feed will not begin to speak as one.
        if error is not None and (not self._feed.reconnect or isinstance(error, httpx2.SSEError)):
            raise unreachable(error) from error
        self._failures += 1
        asked = error.retry_after_s if isinstance(error, CapacityError) else 0.0
        return max(asked, min(MAX_WAIT_S, 0.1 * 2.0**self._failures) * random.uniform(0.5, 1.0))


_BREAKS = (httpx2.TransportError, CapacityError, StorageError)
"""What a feed comes back after."""


class BlockingConnection(_Policy, Blocking):
    """One hub over HTTP. Safe to use from several threads; close it, or use `with`."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str = "",
        *,
        timeout: float = 60.0,
        attempts: int = ATTEMPTS,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Connect lazily.

        Args:
            url: address of the hub.
            key: API key; empty for `ready()` and `health()` alone.
            timeout: longest wait for an answer, seconds.
            attempts: how often a call that may be made twice is made at most; 1 never tries again.
            transport: replaces the network, for tests.
        """
        super().__init__(url, key, timeout, attempts)
        self._http = httpx2.Client(
            base_url=self._url, headers=_headers(key), timeout=timeout, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def ask(self, route: Route, call: Call[T]) -> T:
        """Make a call, again when it may be made twice and failing was a matter of time.

        Raises:
            AihubError: as the hub raised it.
            HubUnreachableError: nobody answers, or nobody who is a hub.
        """
        request = self._request(route, call)
        with as_ours():
            for attempt in self._tries(route, call):
                with attempt, opened(call.body() if call.body else {}) as body:
                    if call.to:
                        response = self._download(request, call.to)
                    else:
                        response = accepted(self._http.request(**request, **body), call.also)
        with understood():
            return call.read(response)

    def _download(self, request: dict[str, Any], to: Path) -> httpx2.Response:
        with self._http.stream(**request) as response:
            if response.status_code >= 400:
                response.read()
                raise RefusedError(response)
            with arriving(to) as file:
                for chunk in response.iter_bytes(CHUNK):
                    file.write(chunk)
            return response

    def turn(self, route: Route, pages: Pages[T]) -> Generator[T, None, None]:
        """Go through a list, page by page."""
        query, left = dict(pages.query), pages.limit
        while left is None or left > 0:
            body = self.ask(route, Call(_whole, pages.ids, query))
            with understood():
                rows = [pages.read(row) for row in body["items"]][:left]
            yield from rows
            left = None if left is None else left - len(rows)
            if body.get("next_cursor") is None:
                return
            query = {**query, "cursor": body["next_cursor"]}

    def listen(self, route: Route, feed: Feed[T]) -> Generator[T, None, None]:
        """Follow a feed; close the generator to stop."""
        listening = _Listening(route, feed, self._timeout)
        while True:
            broken: Exception | None = None
            try:
                with (
                    opened(feed.body() if feed.body else {}) as body,
                    self._http.stream(**listening.request(), **body) as response,
                ):
                    if response.status_code >= 400:
                        response.read()
                        raise error_from(response)
                    for message in _lines(response) if feed.lines else httpx2.EventSource(response):
                        if (item := listening.heard(message)) is not None:
                            yield item
                        if listening.over:
                            return
            except _BREAKS as error:
                broken = error
            if broken is None and not feed.reconnect:
                return
            time.sleep(listening.pause_s(broken))


class AwaitedConnection(_Policy, Awaited):
    """One hub over HTTP, for one event loop of asyncio. Close it, or use `async with`.

    Cancelling a task that waits for an answer closes that connection at once, and the hub drops the work if it has not
    begun.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str = "",
        *,
        timeout: float = 60.0,
        attempts: int = ATTEMPTS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Connect lazily.

        Args:
            url: address of the hub.
            key: API key; empty for `ready()` and `health()` alone.
            timeout: longest wait for an answer, seconds.
            attempts: how often a call that may be made twice is made at most; 1 never tries again.
            transport: replaces the network, for tests.
        """
        super().__init__(url, key, timeout, attempts)
        self._http = httpx2.AsyncClient(
            base_url=self._url, headers=_headers(key), timeout=timeout, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def ask(self, route: Route, call: Call[T]) -> T:
        """Make a call, again when it may be made twice and failing was a matter of time.

        Raises:
            AihubError: as the hub raised it.
            HubUnreachableError: nobody answers, or nobody who is a hub.
        """
        request = self._request(route, call)
        with as_ours():
            async for attempt in self._tries(route, call):
                with attempt, opened(await asyncio.to_thread(call.body) if call.body else {}) as body:
                    if call.to:
                        response = await self._download(request, call.to)
                    else:
                        response = accepted(await self._http.request(**request, **body), call.also)
        with understood():
            return call.read(response)

    async def _download(self, request: dict[str, Any], to: Path) -> httpx2.Response:
        async with self._http.stream(**request) as response:
            if response.status_code >= 400:
                await response.aread()
                raise RefusedError(response)
            with arriving(to) as file:
                async for chunk in response.aiter_bytes(CHUNK):
                    await asyncio.to_thread(file.write, chunk)
            return response

    async def turn(self, route: Route, pages: Pages[T]) -> AsyncGenerator[T, None]:
        """Go through a list, page by page."""
        query, left = dict(pages.query), pages.limit
        while left is None or left > 0:
            body = await self.ask(route, Call(_whole, pages.ids, query))
            with understood():
                rows = [pages.read(row) for row in body["items"]][:left]
            for row in rows:
                yield row
            left = None if left is None else left - len(rows)
            if body.get("next_cursor") is None:
                return
            query = {**query, "cursor": body["next_cursor"]}

    async def listen(self, route: Route, feed: Feed[T]) -> AsyncGenerator[T, None]:
        """Follow a feed; close the generator to stop (`contextlib.aclosing`)."""
        listening = _Listening(route, feed, self._timeout)
        while True:
            broken: Exception | None = None
            try:
                body = await asyncio.to_thread(feed.body) if feed.body else {}
                async with _opened(body), self._http.stream(**listening.request(), **body) as response:
                    if response.status_code >= 400:
                        await response.aread()
                        raise error_from(response)
                    async for message in _alines(response) if feed.lines else httpx2.EventSource(response):
                        if (item := listening.heard(message)) is not None:
                            yield item
                        if listening.over:
                            return
            except _BREAKS as error:
                broken = error
            if broken is None and not feed.reconnect:
                return
            await asyncio.sleep(listening.pause_s(broken))
