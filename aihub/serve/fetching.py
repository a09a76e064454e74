"""Pictures at addresses that callers name: fetched with bounds on addresses, redirects, bytes, time and number.

Every connection, those of redirects among them, goes to an address that the guard let through at that moment. Threads of
their own do it, so that a slow server holds neither the event loop nor a thread that infers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
from prometheus_client import Counter

from aihub import __version__
from aihub.errors import AddressError, FetchError, InputError, QueueFullError, TooLargeError
from aihub.events.pinned import PinnedTransport
from aihub.serve.payloads import Remote, Upload
from aihub.serve.pictures import sniff
from aihub.telemetry import REGISTRY
from aihub.types.addresses import AddressGuard

FETCH_S = 10.0
"""Longest that one picture may take, redirects included, seconds."""
REDIRECTS = 3
THREADS = 32
AT_ONCE = 12
"""Pictures that one tenant fetches at the same time: it cannot hold all threads with slow servers."""
PENDING = 256
"""Pictures that one tenant may have under way or waiting."""

_HEADERS = {
    "Accept": "image/jpeg, image/png, image/webp, image/bmp",
    "Accept-Encoding": "identity",  # nothing is unpacked, so nothing can be a bomb
    "User-Agent": f"aihub/{__version__}",
}
_MOVED = frozenset({301, 302, 303, 307, 308})
_ENOUGH = 16
"""Bytes from which it can be seen whether they are a picture."""

FETCHED = Counter(
    "aihub_http_pictures_fetched_total",
    "Pictures fetched by address, by how it ended.",
    ["outcome"],
    registry=REGISTRY,
)


class _Budget:
    """Bytes that all pictures of a request may have together."""

    def __init__(self, total: int) -> None:
        self._total, self._left, self._lock = total, total, threading.Lock()

    def take(self, count: int) -> None:
        with self._lock:
            self._left -= count
            if self._left < 0:
                raise TooLargeError(f"all pictures together may have {self._total:,} bytes at most")


@dataclass(slots=True)
class _Tenant:
    turns: asyncio.Semaphore
    pending: int = 0


class Fetcher:
    """Fetches pictures for requests. Close it.

    Args:
        guard: which addresses may be connected to.
        enabled: whether anything is fetched at all.
    """

    def __init__(self, guard: AddressGuard, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._transport = PinnedTransport(guard, timeout_s=FETCH_S, connections=THREADS)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="aihub-fetch")
        self._tenants: dict[str, _Tenant] = {}

    async def fetch(
        self, wanted: Sequence[Remote], *, tenant: str, max_bytes: int, max_total: int, timeout_s: float
    ) -> list[Upload]:
        """Get all of them, several at once.

        Args:
            wanted: where they are.
            tenant: for whom; bounds are per tenant.
            max_bytes: most bytes of one picture.
            max_total: most bytes of all together.
            timeout_s: longest wait, seconds; never more than `FETCH_S`.

        Returns:
            The pictures in order.

        Raises:
            AddressError: not an http(s) address, or one the hub must not connect to; `field` says which.
            FetchError: the server did not give a picture in time.
            TooLargeError: too many bytes.
            UnsupportedTypeError: not a picture that is read here.
            QueueFullError: this tenant fetches too many already.
        """
        if not self._enabled:
            raise AddressError(
                "this hub fetches no pictures",
                field=wanted[0].field,
                hint="send the picture itself, or set AIHUB_FETCH_PICTURES=true",
            )
        mine = self._tenants.setdefault(tenant, _Tenant(asyncio.Semaphore(AT_ONCE)))
        if mine.pending + len(wanted) > max(PENDING, len(wanted)):
            FETCHED.labels("refused").inc(len(wanted))
            raise QueueFullError("too many pictures are being fetched", hint="send fewer at once")
        mine.pending += len(wanted)
        deadline = time.monotonic() + min(timeout_s, FETCH_S)
        budget = _Budget(max_total)
        try:
            found = await asyncio.gather(
                *(self._one(mine, one, deadline, max_bytes, budget) for one in wanted), return_exceptions=True
            )
        finally:
            mine.pending -= len(wanted)
            if not mine.pending:
                self._tenants.pop(tenant, None)
        pictures = []
        for one in found:  # the first that is wrong is named, whichever failed first
            if isinstance(one, BaseException):
                raise one
            pictures.append(one)
        return pictures

    async def _one(
        self, tenant: _Tenant, wanted: Remote, deadline: float, max_bytes: int, budget: _Budget
    ) -> Upload:
        try:
            async with asyncio.timeout(deadline - time.monotonic()), tenant.turns:
                data = await asyncio.wrap_future(
                    self._pool.submit(self._get, wanted.url, deadline, max_bytes, budget)
                )
        except TimeoutError as error:
            FETCHED.labels("late").inc()
            raise FetchError("the picture was not fetched in time", field=wanted.field) from error
        except InputError as error:
            FETCHED.labels(error.code).inc()
            error.field = wanted.field
            if isinstance(error, AddressError) and error.hint and "network" in error.hint:
                error.hint = "the operator allows networks with AIHUB_PICTURE_NETWORKS"
            raise
        FETCHED.labels("ok").inc()
        return Upload(data, field=wanted.field)

    def _get(self, address: str, deadline: float, max_bytes: int, budget: _Budget) -> bytes:
        url = check_address(address)
        for _ in range(REDIRECTS + 1):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            request = httpx2.Request("GET", url, headers=_HEADERS, extensions={"seconds": left})
            try:
                answer = self._transport.handle_request(request)
                try:
                    if answer.status_code not in _MOVED:
                        return _read(answer, max_bytes, budget)
                    url = _next(url, answer)
                finally:
                    answer.close()
            except httpx2.TimeoutException as error:
                raise FetchError("the server did not answer in time") from error
            except httpx2.TransportError as error:
                raise FetchError("the server cannot be reached, or broke off") from error
        else:
            raise FetchError(f"the server redirects more than {REDIRECTS} times")
        raise FetchError("the server did not answer in time")

    def close(self) -> None:
        """Drop what waits, close all connections; what runs ends by its deadline."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._transport.close()


def check_address(text: str) -> httpx2.URL:
    """An address of a picture. The text is not repeated in errors, since it may hold secrets.

    Raises:
        AddressError: not http(s), no host, or with a user and password.
    """
    if any(ord(char) <= 32 or ord(char) == 127 for char in text):
        raise AddressError("the address holds blanks or control characters", hint="write a blank as %20")
    try:
        url = httpx2.URL(text)
        text.encode()
    except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
        raise AddressError("the address cannot be read") from error
    if url.scheme not in ("http", "https"):
        raise AddressError("the address must begin with http:// or https://")
    if not url.host:
        raise AddressError("the address names no host")
    if url.userinfo:
        raise AddressError("the address must not carry a user or password")
    return url


def _next(url: httpx2.URL, answer: httpx2.Response) -> httpx2.URL:
    location = answer.headers.get("location", "")
    if not location:
        raise FetchError(f"the server answered {answer.status_code} without saying where to")
    try:
        target = url.join(location)
    except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
        raise FetchError("the server redirects to an address that cannot be read") from error
    return check_address(str(target))


def _read(answer: httpx2.Response, max_bytes: int, budget: _Budget) -> bytes:
    if answer.status_code != 200:
        raise FetchError(f"the server answered {answer.status_code}")
    if answer.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise FetchError("the server sends the picture packed")
    declared = answer.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise TooLargeError(f"a picture may have {max_bytes:,} bytes at most")
    data = bytearray()
    looked = False
    for chunk in answer.iter_raw():
        budget.take(len(chunk))
        data += chunk
        if len(data) > max_bytes:
            raise TooLargeError(f"a picture may have {max_bytes:,} bytes at most")
        if not looked and len(data) >= _ENOUGH:
            sniff(data)  # what is no picture is not read further
            looked = True
    return bytes(data)
