"""Answers that are errors: which class each is, and which are worth another try."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from aihub import errors
from aihub.errors import AihubError, CapacityError, InputError, NotFoundError

ATTEMPTS = 4
MAX_WAIT_S = 10.0
"""A hub that asks for more patience than this is not waited for: its error says how long it would be."""


class HubUnreachableError(AihubError):
    """The hub does not answer, or what answers is not a hub."""


class RefusedError(Exception):
    """An answer that is an error, on its way through the retries."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def accepted(response: httpx2.Response, also: frozenset[int] = frozenset()) -> httpx2.Response:
    """The response, if it is no error or one of these statuses.

    Raises:
        RefusedError: it is.
    """
    if response.status_code >= 400 and response.status_code not in also:
        raise RefusedError(response)
    return response


def worth_another(error: Exception, again: bool) -> bool | float:
    """Whether to try again, and after how many seconds when the hub said so.

    Args:
        error: what went wrong.
        again: whether the call may be made twice.
    """
    if not isinstance(error, RefusedError):
        return again and isinstance(
            error, httpx2.ConnectError | httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError
        )
    response = error.response
    wait = _retry_after(response)
    if wait is not None and wait > MAX_WAIT_S:
        return False
    # What was refused with 429 was not begun. A 503 without Retry-After is a fact and not a matter of time; one
    # without a problem comes from a proxy.
    passing = response.status_code == 503 and (wait is not None or not _is_problem(response))
    if response.status_code == 429 or (again and passing):
        return (0.5 if wait is None else wait) * random.uniform(1.0, 1.5)
    return False


def _retry_after(response: httpx2.Response) -> float | None:
    said = response.headers.get("retry-after")
    if said is None or said.isdecimal():
        return None if said is None else float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None


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
    501: errors.NotSupportedError,
    503: CapacityError,
    504: errors.DeadlineError,
    507: errors.DiskFullError,
}

_BY_CODE: dict[str, type[AihubError]] = {
    "invalid_api_key": errors.UnauthorizedError,
    "model_not_found": errors.AlgorithmNotFoundError,
    "no-picture": errors.StreamError,
    "rate_limit_exceeded": errors.RateLimitError,
    "rejected": errors.StorageError,
    "snapshot-not-found": errors.EventNotFoundError,
    "unresolved": errors.AddressError,
}
"""Codes that are no class of `aihub.errors` and not told well enough by their status: those of the hub's own rooms, and
OpenAI's.
"""


def error_from(response: httpx2.Response) -> AihubError:
    """The error that an answer tells of: the class by its `code`, else by its status."""
    try:
        told = response.json()
    except ValueError:
        told = None
    body = _told(told)
    kind = _kind(str(body.get("code")), response.status_code)
    message = str(body.get("detail") or f"the hub answered {response.status_code}")
    return _made(kind, message, body | {"retry_after_s": body.get("retry_after_s", _retry_after(response))})


def error_of(told: Mapping[str, Any]) -> AihubError:
    """The error that a problem inside of an answer tells of, such as that of one item of many."""
    problem = _told(dict(told))
    kind = _kind(str(problem.get("code")), problem.get("status", 0))
    return _made(kind, str(problem.get("detail") or "the hub gave no reason"), problem)


def _told(body: Any) -> dict[str, Any]:
    """The parts of a problem, from any of the forms of errors that a hub speaks for the sake of other clients."""
    if not isinstance(body, dict):
        return {}
    inner = None if "code" in body else body.get("error")
    if isinstance(inner, dict):  # OpenAI's
        return {"detail": inner.get("message"), "code": inner.get("code"), "field": inner.get("param")}
    return {"detail": inner} if isinstance(inner, str) else body  # Triton's, or a problem


def _made(kind: type[AihubError], message: str, body: Mapping[str, Any]) -> AihubError:
    made = kind.__new__(kind)
    AihubError.__init__(made, message, hint=body.get("hint"), field=body.get("field"))
    # What the constructors of some classes add; an error from afar has no more than the message.
    retry_after_s = body.get("retry_after_s")
    extra = {"retry_after_s": 1.0 if retry_after_s is None else retry_after_s, "name": "", "where": ""}
    for name, value in extra.items():
        setattr(made, name, value)
    return made


def _kind(code: str, status: int) -> type[AihubError]:
    return _classes().get(code) or _BY_CODE.get(code) or _BY_STATUS.get(status, AihubError)


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


@contextmanager
def as_ours() -> Iterator[None]:
    """What goes wrong on the way is raised as the class that the hub raised, or as `HubUnreachableError`."""
    try:
        yield
    except RefusedError as refused:
        raise error_from(refused.response) from None
    except httpx2.TransportError as error:
        raise unreachable(error) from error


@contextmanager
def understood() -> Iterator[None]:
    """An answer that cannot be read is raised as `HubUnreachableError`: nobody who is a hub answers there."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise HubUnreachableError(
            f"what answers there does not speak as a hub does: {type(error).__name__}",
            hint="is the address that of a hub, and this client not older than the hub's API?",
        ) from error
