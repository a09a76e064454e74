"""Errors where OpenAI's clients look for them: a problem with the member `error` beside its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PATHS = ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/models")

_CODES = {
    "unauthorized": "invalid_api_key",
    "algorithm-not-found": "model_not_found",
    "rate-limit": "rate_limit_exceeded",
}
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def speaks_openai(path: str) -> bool:
    """Whether callers of this path are OpenAI's clients."""
    return path in PATHS or path.startswith("/v1/models/")


def error_of(problem: Mapping[str, Any]) -> dict[str, Any]:
    """The member `error` for a problem: `{"message", "type", "param", "code"}`."""
    status, code = int(problem["status"]), str(problem["code"])
    message = str(problem["detail"])
    if hint := problem.get("hint"):
        message = f"{message} ({hint})"
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"message": message, "type": kind, "param": problem.get("field"), "code": _CODES.get(code, code)}
