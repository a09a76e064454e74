"""How long a caller will wait: the header `X-Request-Timeout-Seconds`, never more than the hub allows."""

from __future__ import annotations

import math
import re

from starlette.requests import HTTPConnection

from aihub.errors import InputError
from aihub.settings import Settings

HEADER = "X-Request-Timeout-Seconds"
MARGIN_S = 0.1
"""Most seconds by which the hub ends earlier than it was told; see `timeout_of`."""

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}")


def timeout_of(request: HTTPConnection, settings: Settings) -> float:
    """Seconds that a request may take, in (0, settings.infer_timeout_s]: what its header asks for, capped; else all of it.

    Of what the header asks for a twentieth is kept back (0.1 s at most): the answer that it is too late should still come in
    time, and from the hub. Ray Serve reads the same header and would cut in with a bare 408.

    Raises:
        InputError: the header is not one positive decimal number of seconds; names the header.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return settings.infer_timeout_s
    seconds = seconds_from(given[0]) if len(given) == 1 else math.nan
    if not seconds > 0:
        raise InputError(
            f"{HEADER} must be one number of seconds above 0", field=HEADER, hint="for example 2.5"
        )
    return min(seconds - min(MARGIN_S, seconds / 20), settings.infer_timeout_s)


def seconds_from(text: str) -> float:
    """A plain decimal number; not a number where the text is anything else, signs, exponents and `inf` among them."""
    text = text.strip(" \t")
    return float(text) if _NUMBER.fullmatch(text) else math.nan
