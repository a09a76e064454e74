"""Who calls over gRPC, and how long that caller will wait."""

from __future__ import annotations

import urllib.parse
from typing import Any

from aihub.errors import DeadlineError
from aihub.serve.security import Caller, Door


def key_of(context: Any) -> str:
    """The API key in the metadata of a call: `authorization: Bearer KEY`, else `x-api-key: KEY`; empty without one.

    Space around a value is not part of it: some clients leave what followed the colon on their command line.
    """
    given = context.invocation_metadata() or ()
    found = {name: value.strip() for name, value in given if isinstance(value, str)}
    scheme, _, token = found.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else found.get("x-api-key", "")


def address_of(peer: str) -> str:
    """The address in what gRPC calls a peer.

    >>> address_of("ipv4:10.1.2.3:50123"), address_of("ipv6:%5B::1%5D:50123")
    ('10.1.2.3', '::1')
    """
    scheme, _, rest = urllib.parse.unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if scheme in ("ipv4", "ipv6") else scheme


async def caller_of(door: Door, context: Any) -> Caller:
    """Who calls.

    Raises:
        UnauthorizedError, RateLimitError, StorageError: see `Door.caller`.
    """
    return await door.caller(key_of(context), address_of(context.peer()))


def timeout_of(context: Any, most_s: float) -> float:
    """Seconds that a call may take, in (0, most_s]: until the client's deadline, capped.

    Raises:
        DeadlineError: the deadline has passed.
    """
    left: float | None = context.time_remaining()
    if left is None:
        return most_s
    if left <= 0:
        raise DeadlineError("the deadline of the call has passed")
    return min(left, most_s)
