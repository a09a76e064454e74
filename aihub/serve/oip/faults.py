"""Errors as this protocol says them: `{"error": "..."}` with the status codes that its servers use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from aihub.errors import AihubError, InputError, NotFoundError, TooLargeError

PREFIX = "/v2"


def speaks_oip(path: str) -> bool:
    """Whether errors of this path are told in the protocol's own form."""
    return path == PREFIX or path.startswith(PREFIX + "/")


def status_in_oip(error: BaseException, status: int) -> int:
    """The protocol's status for an error that elsewhere has this one: wrong input is 400 whatever is wrong with it.

    What HTTP itself has a code for keeps it: 401, 403, 413, 429, 501, 503, 504.
    """
    if isinstance(error, NotFoundError):
        return 404  # models are what callers name here
    if isinstance(error, InputError) and not isinstance(error, TooLargeError):
        return 400
    return status


def oip_answer(error: BaseException, problem: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """A problem (see `aihub.serve.problems`) as a response of this protocol."""
    status = status_in_oip(error, int(problem["status"]))
    said = str(problem["detail"])
    if hint := problem.get("hint"):
        said = f"{said} ({hint})"
    if status == 500:
        said = f"{said}: {problem.get('request_id', '')}"
    body = json.dumps({"error": said}, ensure_ascii=False).encode()
    kept = {
        name: value
        for name, value in headers.items()
        if name.lower() not in ("content-type", "content-length")
    }
    return Response(body, status_code=status, headers=kept, media_type="application/json")


def said_by(error: AihubError) -> str:
    """The text of an error for a list of models: what is wrong and what to do."""
    return f"{error.message} ({error.hint})" if error.hint else error.message
