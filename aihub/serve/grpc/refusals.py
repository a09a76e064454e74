"""Errors as gRPC says them: a status, a sentence, and the same for programs in the trailing metadata."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from aihub.errors import AihubError, CapacityError, NotFoundError, StorageError
from aihub.serve.problems import body_of

logger = logging.getLogger(__name__)

Code = grpc.StatusCode

CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.ABORTED,
    413: Code.INVALID_ARGUMENT,
    415: Code.INVALID_ARGUMENT,
    422: Code.INVALID_ARGUMENT,
    429: Code.RESOURCE_EXHAUSTED,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
"""HTTP status of an error -> what gRPC calls it; INTERNAL for others."""

MAX_SENTENCE = 1000
"""Characters. Clients take 8 KB of trailing metadata, in which text that is not ASCII triples."""

_DETAILS = "grpc-status-details-bin"
_HIDDEN = "the hub failed; its log has the details"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a caller gets instead of an answer.

    Attributes:
        code: gRPC status.
        sentence: what is wrong, and what to do about it.
        trailing: metadata: `retry-after` (s) and `grpc-retry-pushback-ms` where waiting helps, and the details as
            `google.rpc.Status` with `ErrorInfo` (our code, field, hint) and `RetryInfo`.
    """

    code: grpc.StatusCode
    sentence: str
    trailing: tuple[tuple[str, str | bytes], ...]


def refusal(error: BaseException, method: str) -> Refusal:
    """How to say any error. What is the hub's own fault goes to the log with all of it, and the caller learns only that."""
    ours = error if isinstance(error, AihubError) else AihubError(_HIDDEN)
    body = body_of(ours)
    # Elsewhere a model that nobody knows is our own gap; here models are what callers name.
    unknown = isinstance(error, NotFoundError)
    code = Code.NOT_FOUND if unknown else CODES.get(int(body["status"]), Code.INTERNAL)
    if code is Code.INTERNAL:
        logger.error("%s failed", method, exc_info=(type(error), error, error.__traceback__))
        body |= {"detail": _HIDDEN}
    hint = body.get("hint")
    sentence = f"{body['detail']} ({hint})" if hint else str(body["detail"])
    sentence = sentence[:MAX_SENTENCE]
    return Refusal(code, sentence, _trailing(ours, code, sentence, body))


def _trailing(
    error: AihubError, code: grpc.StatusCode, sentence: str, body: dict[str, object]
) -> tuple[tuple[str, str | bytes], ...]:
    info = error_details_pb2.ErrorInfo(reason=str(body["code"]), domain="aihub")
    for name in ("field", "hint"):
        if name in body:
            info.metadata[name] = str(body[name])[:MAX_SENTENCE]
    status = status_pb2.Status(code=code.value[0], message=sentence, details=[_any(info)])
    wait_s = error.retry_after_s if isinstance(error, CapacityError) else 1.0
    if not isinstance(error, CapacityError | StorageError) or code is Code.DEADLINE_EXCEEDED:
        return ((_DETAILS, status.SerializeToString()),)
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(math.ceil(wait_s * 1000))
    status.details.append(_any(error_details_pb2.RetryInfo(retry_delay=delay)))
    return (
        ("retry-after", str(max(1, math.ceil(wait_s)))),
        ("grpc-retry-pushback-ms", str(math.ceil(wait_s * 1000))),
        (_DETAILS, status.SerializeToString()),
    )


def _any(detail: object) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
