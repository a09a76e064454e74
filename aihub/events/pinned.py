"""HTTP that connects only to addresses a guard let through, and ends by a deadline.

The name is resolved and checked at the moment of connecting, and the connection goes to the checked address: a name
that changes its address between check and use leads nowhere else. TLS still proves the name.
"""

from __future__ import annotations

import functools
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from aihub.errors import AddressError
from aihub.types.addresses import AddressGuard

_IDLE_S = 4.0  # shorter than what common servers allow, so that they do not hang up as we write

_FAILURES: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (httpcore2.TimeoutException, httpx2.TimeoutException),
    (httpcore2.ConnectError, httpx2.ConnectError),
    (httpcore2.NetworkError, httpx2.NetworkError),
    (httpcore2.ProtocolError, httpx2.ProtocolError),
    (httpcore2.UnsupportedProtocol, httpx2.UnsupportedProtocol),
)


class PinnedTransport(httpx2.BaseTransport):
    """Transport for an `httpx2.Client`. No proxy, no redirect, no environment.

    Args:
        guard: which addresses may be connected to.
        timeout_s: longest that a request may take from its first to its last byte, seconds; a request may ask for less in
            its extension `seconds`.
        connections: open connections at most.
    """

    def __init__(self, guard: AddressGuard, *, timeout_s: float, connections: int = 8) -> None:
        self._timeout_s = timeout_s
        self._network = _Network(guard)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=_trusted(),
            max_connections=connections,
            keepalive_expiry=_IDLE_S,
            network_backend=self._network,
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; the time-outs of the client do not count, the deadline does."""
        seconds = min(self._timeout_s, request.extensions.get("seconds", self._timeout_s))
        self._network.set_deadline(seconds)
        url = request.url
        asked = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": {"pool": seconds}},
        )
        with _translated():
            answer = self._pool.handle_request(asked)
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _Network(httpcore2.NetworkBackend):
    """Opens connections to checked addresses. A request is served by one thread, so its deadline lies there."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._system = httpcore2.SyncBackend()
        self._here = threading.local()

    def set_deadline(self, seconds: float) -> None:
        self._here.deadline = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until this thread's deadline."""
        return float(getattr(self._here, "deadline", time.monotonic() + 1.0)) - time.monotonic()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - signature of the library; the deadline is tighter
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        failure: Exception = httpcore2.ConnectTimeout("the deadline is past")
        for address in self._guard.check(host, port):
            left = self.left()
            if left <= 0:
                break
            try:
                stream = self._system.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self)
        raise failure


class _Stream(httpcore2.NetworkStream):
    """A connection whose every step ends by the deadline, however slowly bytes drip in."""

    def __init__(self, stream: httpcore2.NetworkStream, network: _Network) -> None:
        self._stream = stream
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - as above
        return self._stream.read(max_bytes, self._left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - as above
        self._stream.write(buffer, self._left(httpcore2.WriteTimeout))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - as above
    ) -> httpcore2.NetworkStream:
        left = self._left(httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._network)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, late: type[httpcore2.TimeoutException]) -> float:
        left = self._network.left()
        if left <= 0:
            raise late("the deadline is past")
        return left


@functools.cache
def _trusted() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AddressError:
        raise
    except tuple(core for core, _ in _FAILURES) as error:
        wanted = next(ours for core, ours in _FAILURES if isinstance(error, core))
        raise wanted(str(error)) from error
