"""Calls over HTTP: tried again where that is right, errors as the classes that the hub raises inside."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import stamina

from aihub import errors
from aihub.errors import AihubError, CapacityError, InputError, NotFoundError

ATTEMPTS = 4
MAX_WAIT_S = 10.0


class HubUnreachableError(AihubError):
    """The hub does not answer."""


class Connection:
    """One hub over HTTP. Safe to use from several threads."""

    def __init__(
        self, url: str, key: str, *, timeout: float, attempts: int, transport: httpx2.BaseTransport | None
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.attempts = attempts
        self.timeout = timeout
        self.http = httpx2.Client(
            base_url=url.rstrip("/"), headers=headers, timeout=timeout, transport=transport
        )

    def pages(self, path: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Rows of a list, fetched page by page."""
        cursor: str | None = None
        while True:
            body = self.json("GET", path, params={**query, **({} if cursor is None else {"cursor": cursor})})
            yield from body["items"]
            cursor = body["next_cursor"]
            if cursor is None:
                return

    def json(self, method: str, path: str, *, again: bool = False, **request: Any) -> dict[str, Any]:
        """Make a call and read its answer."""
        body: dict[str, Any] = self.send(method, path, again=again, **request).json()
        return body

    def send(self, method: str, path: str, *, again: bool = False, **request: Any) -> httpx2.Response:
        """Make a call, again when it may be made twice and failing was a matter of time.

        Args:
            method: of HTTP.
            path: of the route.
            again: whether it may be made twice; GET and DELETE may in any case.
            request: what httpx2 takes.

        Raises:
            AihubError: as the hub raised it.
            HubUnreachableError: nobody answers.
        """
        attempts = self.attempts if again or method in ("GET", "DELETE") else 1
        try:
            for attempt in stamina.retry_context(on=_worth_another, attempts=attempts, timeout=None):
                with attempt:
                    return _accepted(self.http.request(method, path, **request))
        except _RefusedError as refused:
            raise error_from(refused.response) from None
        except httpx2.TransportError as error:
            raise unreachable(error) from error
        raise AssertionError("retrying always ends with an answer or an error")


class _RefusedError(Exception):
    """An answer that is an error, on its way through the retries."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def _accepted(response: httpx2.Response) -> httpx2.Response:
    if response.status_code >= 400:
        raise _RefusedError(response)
    return response


def _worth_another(error: Exception) -> bool | float:
    """Whether to try again, and after how long when the hub said so."""
    if isinstance(error, _RefusedError):
        response = error.response
        # A 503 without Retry-After is a fact and not a matter of time; one without a problem comes from a proxy.
        wait = response.headers.get("retry-after")
        if response.status_code == 429 or (
            response.status_code == 503 and (wait is not None or not _is_problem(response))
        ):
            seconds = float(wait) if wait is not None and wait.isdigit() else 0.5
            return min(seconds, MAX_WAIT_S) * random.uniform(1.0, 1.5)
        return False
    return isinstance(error, httpx2.ConnectError | httpx2.RemoteProtocolError | httpx2.ReadError)


def _is_problem(response: httpx2.Response) -> bool:
    return bool(response.headers.get("content-type", "").startswith("application/problem+json"))


_BY_STATUS: dict[int, type[AihubError]] = {
    400: InputError,
    401: errors.UnauthorizedError,
    403: errors.ForbiddenError,
    404: NotFoundError,
    409: errors.ConflictError,
    413: errors.TooLargeError,
    415: errors.UnsupportedTypeError,
    422: errors.ParamsError,
    429: errors.RateLimitError,
    503: CapacityError,
    504: errors.DeadlineError,
}


def error_from(response: httpx2.Response) -> AihubError:
    """The error that an answer tells of: the class by its `code`, else by its status."""
    try:
        body = response.json() if _is_problem(response) else {}
    except ValueError:
        body = {}
    kind = _classes().get(str(body.get("code")), _BY_STATUS.get(response.status_code, AihubError))
    message = str(body.get("detail") or f"the hub answered {response.status_code}")
    made = kind.__new__(kind)
    AihubError.__init__(made, message, hint=body.get("hint"), field=body.get("field"))
    # What the constructors of some classes add; an error from afar has no more than the message.
    for name, value in (("retry_after_s", body.get("retry_after_s", 1.0)), ("name", ""), ("where", "")):
        setattr(made, name, value)
    return made


def _classes() -> dict[str, type[AihubError]]:
    found: dict[str, type[AihubError]] = {}
    queue: list[type[AihubError]] = [AihubError]
    while queue:
        kind = queue.pop()
        queue += kind.__subclasses__()
        found[kind.__new__(kind).code] = kind
    return found


def unreachable(error: Exception) -> AihubError:
    """What to raise for a failure to reach the hub."""
    if isinstance(error, AihubError):
        return error
    return HubUnreachableError(
        f"the hub does not answer: {type(error).__name__}", hint="is it running? `aihub up` starts one"
    )
