"""Every error as RFC 9457 `application/problem+json`: one shape, a stable `code`, nothing about the inside of the hub."""

from __future__ import annotations

import inspect
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aihub import errors
from aihub.errors import AihubError, CapacityError, ParamsError
from aihub.serve.audio.faults import error_of, speaks_openai
from aihub.serve.oip.faults import oip_answer, speaks_oip

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
DOCS = "/docs/errors"

STATUS: dict[type[AihubError], int] = {
    AihubError: 500,
    errors.ConfigError: 500,
    errors.CostsMissingError: 503,
    errors.NotFoundError: 404,
    errors.ModelNotFoundError: 503,  # callers name algorithms; a model that is not known is our own gap
    errors.InputError: 400,
    errors.UnsupportedTypeError: 415,
    errors.TooLargeError: 413,
    errors.ParamsError: 422,
    errors.UnauthorizedError: 401,
    errors.AccessError: 403,
    errors.ConflictError: 409,
    errors.NotSupportedError: 501,
    errors.ModelError: 500,
    errors.WeightsMissingError: 503,
    errors.LicenseError: 403,
    errors.CapacityError: 429,
    errors.MemoryBudgetError: 503,
    errors.DeadlineError: 504,
    errors.StreamError: 503,
    errors.StorageError: 503,
    errors.DiskFullError: 507,
    errors.DeliveryError: 502,
}
"""Error class -> HTTP status; the nearest base class that is listed counts."""

_PLAIN: dict[int, str] = {
    400: "input",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-type",
    422: "params",
    429: "rate-limit",
    503: "unavailable",
    504: "deadline",
}
"""Status raised by the web framework itself -> our code."""

_UNREADABLE = "There was an error parsing the body"
"""What FastAPI says, with status 400, where the JSON of a body is not even UTF-8."""

_HIDDEN = "the hub failed; its log has the details under this request id"
_INTERNAL: dict[str, Any] = {
    "type": f"{DOCS}#internal",
    "title": "The hub failed",
    "status": 500,
    "detail": _HIDDEN,
    "code": "internal",
}


def status_of(error: AihubError | type[AihubError]) -> int:
    """HTTP status of an error."""
    kind = error if isinstance(error, type) else type(error)
    return next(STATUS[base] for base in kind.__mro__ if base in STATUS)


def title_of(kind: type[AihubError]) -> str:
    """First line of the class's documentation."""
    return (inspect.getdoc(kind) or kind.__name__).splitlines()[0].rstrip(".")


def catalogue() -> list[dict[str, Any]]:
    """Every code with its status and meaning, for `/docs/errors`."""

    def below(kind: type[AihubError]) -> Iterator[type[AihubError]]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    ours = {kind for kind in below(AihubError) if kind.__module__.startswith("aihub.")}
    return sorted(
        ({"code": code_of(kind), "status": status_of(kind), "title": title_of(kind)} for kind in ours),
        key=lambda row: str(row["code"]),
    )


def code_of(kind: type[AihubError]) -> str:
    """The stable slug of an error class."""
    return kind.code.fget(kind.__new__(kind))  # type: ignore[attr-defined,no-any-return]


def body_of(error: AihubError) -> dict[str, Any]:
    """The problem as plain values, without the fields of a request: for one item of a bulk answer.

    Errors that speak about the inside of the hub (status 500) say only that they happened.
    """
    status = status_of(error)
    inside = status == 500
    body: dict[str, Any] = {
        "type": f"{DOCS}#{error.code}",
        "title": title_of(type(error)),
        "status": status,
        "detail": _HIDDEN if inside else _clean(error.message),
        "code": error.code,
    }
    if error.field and not inside:
        body["field"] = _clean(error.field)
    if error.hint and not inside:
        body["hint"] = _clean(error.hint)
    if isinstance(error, CapacityError):
        body["retry_after_s"] = error.retry_after_s
    return body


def _clean(text: str) -> str:
    """Text that repeats what a caller sent may hold halves of characters, which no UTF-8 can carry."""
    return text.encode("utf-8", "replace").decode()


def answer(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A problem as a response."""
    return Response(
        json.dumps(body, ensure_ascii=False, default=str),
        status_code=int(body["status"]),
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


def respond(error: BaseException, *, path: str, request_id: str) -> Response:
    """The response to any error, with the headers its status asks for.

    What is the hub's own fault goes to the log with all of it; the caller gets the request id to name.
    """
    if isinstance(error, HTTPException) and str(error.detail) == _UNREADABLE:
        error = ParamsError("the body is not JSON in UTF-8", field="body")
    if isinstance(error, HTTPException):
        body = _framework(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
    else:
        if isinstance(error, RequestValidationError):
            error = invalid(error.errors())
        body = body_of(error) if isinstance(error, AihubError) else dict(_INTERNAL)
        headers = _headers(body, error)
    if body["status"] == 500:
        trace = (type(error), error, error.__traceback__)
        logger.error("request %s to %s failed", request_id, path, exc_info=trace)
    if speaks_oip(path):
        return oip_answer(error, body | {"request_id": request_id}, headers)
    if speaks_openai(path):
        body = body | {"error": error_of(body)}
    return answer(body | {"instance": path, "request_id": request_id}, headers)


def _framework(status: int, detail: str) -> dict[str, Any]:
    code = _PLAIN.get(status, "http")
    title = HTTPStatus(status).phrase
    body = {"type": f"{DOCS}#{code}", "title": title, "status": status, "detail": detail, "code": code}
    return body | {"field": "body"} if status == 413 else body


def _headers(body: Mapping[str, Any], error: BaseException) -> dict[str, str]:
    if body["status"] == 401:
        return {"WWW-Authenticate": 'Bearer realm="aihub"'}
    if isinstance(error, CapacityError):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))}
    return {"Retry-After": "1"} if isinstance(error, errors.StorageError) else {}


_MEANING = {
    400: "The request is wrong.",
    401: "No API key, or not a valid one.",
    403: "The key lacks the scope.",
    404: "Nothing of that name, or not yours.",
    409: "It exists already, or has changed meanwhile.",
    413: "Too large.",
    415: "A content type or format that is not read.",
    416: "The header Range asks for what is behind the end.",
    422: "A parameter or field is wrong; `field` names it.",
    429: "Not now; Retry-After says when.",
    501: "A part of the protocol that this hub does not do.",
    503: "Something that the hub needs is not there.",
    504: "Not done in time.",
    507: "The disk of the hub has no room for it.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its description; those that every route has come by themselves."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": _MEANING[status], "content": {MEDIA_TYPE: schema}}
        for status in sorted({401, 403, 422, 429, *statuses})
    }


def field_name(location: Iterable[int | str]) -> str:
    """Where in the request a value is, as a path.

    >>> field_name(("body", "tasks", 0, "params", "zone"))
    'tasks[0].params.zone'
    """
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    first, _, rest = path.partition(".")
    return rest if first in {"body", "query", "path", "header"} and rest else path


def invalid(found: Sequence[Any]) -> ParamsError:
    """Pydantic's list of errors as one error that names the first field and mentions the others. Values are not repeated."""
    rows = [(field_name(row["loc"]), str(row["msg"]).removeprefix("Value error, ")) for row in found]
    field, message = rows[0] if rows else ("body", "is not valid")
    others = ", ".join(sorted({name for name, _ in rows[1:6]} - {field}))
    return ParamsError(f"{field}: {message}", field=field, hint=f"also wrong: {others}" if others else None)


def invalid_model(error: ValidationError) -> ParamsError:
    """The same for a model that was validated by hand."""
    return invalid(error.errors(include_url=False, include_context=False, include_input=False))


async def _handle(request: Request, error: Exception) -> Response:
    request_id = str(request.scope.get("aihub.request_id", ""))
    return respond(error, path=request.url.path, request_id=request_id)


def install(app: FastAPI) -> None:
    """Answer every error of an app with a problem. What nobody foresaw is caught further out, by `aihub.serve.edge`."""
    for kind in (AihubError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _handle)
