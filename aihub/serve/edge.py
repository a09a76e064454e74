"""The outermost layer around the app, pure ASGI: request id, API key, body limit, metrics, and the last net for errors.

It denies by default: no path but `OPEN` is answered without a valid key, whatever routes exist. Credentials are checked
before a byte of the body is read, and the body is counted while it arrives, so that nothing large is ever held.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aihub.errors import AihubError
from aihub.serve.problems import respond
from aihub.serve.security import Door
from aihub.telemetry import HTTP_REQUESTS, HTTP_SECONDS

OPEN = frozenset({"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""Paths answered without a key."""

SOCKETS = frozenset({"/v1/audio/live"})
"""WebSockets that are offered."""

KEY_PROTOCOL = "aihub.key."
"""Begins the entry of `Sec-WebSocket-Protocol` with which a browser sends its key."""

GONE = "499"
"""Status under which callers are counted who went away before they could be answered."""

DRAIN_FACTOR = 4
"""A body declared up to this many times its limit is still swallowed, so that the sender reads the refusal."""

BODY_S = 60.0
"""Seconds in which the body of a request without pictures has to arrive. Those with pictures or sound have deadlines of their own."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_PROCESS = secrets.token_hex(4)
_count = itertools.count(1)
_LOOPBACK = ("127.", "::1", "::ffff:127.")


class BodyTooLargeError(HTTPException):
    """The body is over the limit. An HTTP exception, because FastAPI passes only those on while it reads a body."""

    def __init__(self, limit: int, *, close: bool) -> None:
        headers = {"Connection": "close"} if close else None
        super().__init__(413, f"the body may have {limit:,} bytes at most here", headers)


class BodyLateError(HTTPException):
    """The body did not arrive in time: a byte now and then would hold a request for ever. An HTTP exception for the same reason."""

    def __init__(self, seconds: float) -> None:
        super().__init__(504, f"the body did not arrive within {seconds:g} s", {"Connection": "close"})


class Edge:
    """Wraps an app.

    Args:
        app: what to call.
        door: checks keys.
        limit: most bytes that a request to this path with this content type may carry.
        small: a body with at most this limit has to arrive within `body_s`.
        body_s: seconds.
        names_requests: whether to answer with X-Request-Id.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        door: Door,
        limit: Callable[[str, str], int],
        small: int,
        body_s: float = BODY_S,
        names_requests: bool = True,
    ) -> None:
        self.app, self.door, self.limit, self.names_requests = app, door, limit, names_requests
        self.small, self.body_s = small, body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only what is offered gets past the door, and only with a key; the rest is refused before it is accepted."""
        if scope["path"] not in SOCKETS:
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = _headers(scope)
        try:
            address = scope["aihub.address"] = _address(scope, headers)
            scope["aihub.caller"] = await self.door.caller(_socket_key(headers), address)
        except AihubError as error:
            if "websocket.http.response" in scope.get("extensions", {}):
                refusal = respond(error, path=scope["path"], request_id=_request_id(headers))
                await refusal(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = _headers(scope)
        request_id = _request_id(headers)
        scope["aihub.request_id"] = request_id
        answered = False

        async def sending(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                if self.names_requests:
                    message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                route = _route(scope)
                HTTP_REQUESTS.labels(route, str(message["status"])).inc()
                HTTP_SECONDS.labels(route).observe(time.perf_counter() - started)
            await send(message)

        try:
            if scope["path"] not in OPEN:
                scope["aihub.address"] = address = _address(scope, headers)
                scope["aihub.caller"] = await self.door.caller(_key(headers), address)
            await self.app(scope, self._counted(scope, headers, receive), sending)
        except ClientDisconnect:
            HTTP_REQUESTS.labels(_route(scope), GONE).inc()
        except Exception as error:  # noqa: BLE001 - the edge of the process: whatever it was, the caller gets a problem
            response = respond(error, path=scope["path"], request_id=request_id)
            if not answered:
                await response(scope, receive, sending)

    def _counted(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        content_type = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        limit = self.limit(scope["path"], content_type)
        declared = headers.get(b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > limit:
            raise BodyTooLargeError(limit, close=int(declared) > limit * DRAIN_FACTOR)
        seen = 0
        arriving = limit <= self.small
        until = time.monotonic() + self.body_s

        async def counting() -> Message:
            nonlocal seen, arriving
            message = await (self._in_time(receive, until) if arriving else receive())
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise BodyTooLargeError(limit, close=True)
                arriving = arriving and message.get("more_body", False)
            return message

        return counting

    async def _in_time(self, receive: Receive, until: float) -> Message:
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                return await receive()
        except TimeoutError as error:
            raise BodyLateError(self.body_s) from error


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return dict(scope["headers"])


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"")
    if given and _REQUEST_ID.fullmatch(given):
        return given.decode()
    # Counted, not drawn: asking the system for random bytes gives up the interpreter lock, and a loop that has to win
    # it back from worker threads loses more than a millisecond under load.
    return f"{_PROCESS}{next(_count):08x}"


def _key(headers: dict[bytes, bytes]) -> str:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return token.strip().decode("latin-1")
    return headers.get(b"x-api-key", b"").strip().decode("latin-1")


def _socket_key(headers: dict[bytes, bytes]) -> str:
    """The key of a WebSocket: as usual, or among the protocols offered, since a browser can set no header.

    Never from the address: those are logged on the way.
    """
    offered = headers.get(b"sec-websocket-protocol", b"").decode("latin-1").split(",")
    named = (
        text.strip().removeprefix(KEY_PROTOCOL) for text in offered if text.strip().startswith(KEY_PROTOCOL)
    )
    return _key(headers) or next(named, "")


def _address(scope: Scope, headers: dict[bytes, bytes]) -> str:
    peer = str((scope.get("client") or ("",))[0])
    if peer.startswith(_LOOPBACK):  # the ingress on this machine; what it appended last is what it saw itself
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1").rpartition(",")[2].strip()
        return forwarded[:64] or peer
    return peer
