"""What every kind of model does with a request: how long it may take, its parameters, and waiting for an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect

from aihub.errors import DeadlineError, InputError
from aihub.serve.workers import Gone
from aihub.types import AlgorithmCard

T = TypeVar("T")

_RESERVED = frozenset(
    {
        "sequence_id",
        "sequence_start",
        "sequence_end",
        "priority",
        "timeout",
        "headers",
        "binary_data_output",
    }
)
_RESERVED_PREFIX = "triton_"
_NOT_JSON = object()

BRIEF_S = 0.05
"""Nobody looks whether the client is still there before this much time has passed: most answers come sooner."""


def timeout_of(parameters: Mapping[str, Any], most_s: float) -> float:
    """Seconds that a request may take: its parameter `timeout` in microseconds, never more than `most_s`; 0 says nothing.

    Raises:
        InputError: not a whole number of microseconds.
    """
    value = parameters.get("timeout", 0)
    if type(value) is not int or value < 0:
        raise InputError("timeout must be a whole number of microseconds", field="timeout")
    return min(most_s, value / 1_000_000) if value else most_s


def own_parameters(
    card: AlgorithmCard, parameters: Mapping[str, Any], handled: frozenset[str]
) -> dict[str, Any]:
    """The algorithm's parameters among those of a request; the algorithm's own check names what is wrong with them.

    The protocol knows texts, numbers and truth values only, so lists and polygons may come as text: JSON, or words with
    commas between them where the card wants words.

    Args:
        card: says the types.
        parameters: of the request.
        handled: names that mean something else.
    """
    return {
        name: _typed(card, name, value) if isinstance(value, str) else value
        for name, value in parameters.items()
        if name not in _RESERVED and name not in handled and not name.startswith(_RESERVED_PREFIX)
    }


def _typed(card: AlgorithmCard, name: str, text: str) -> Any:
    kind = card.params[name].type if name in card.params else "string"
    if kind == "string":
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _NOT_JSON
    if kind == "strings":
        return value if isinstance(value, list) else [word for word in text.split(",") if word]
    return text if value is _NOT_JSON else value


async def answered(future: Future[T], timeout_s: float, gone: Gone | None) -> T:
    """Wait for work that is under way elsewhere, without a thread; what nobody waits for any more is cancelled.

    Raises:
        DeadlineError: not there in time.
        ClientDisconnect: `gone` was done first.
    """
    answer = asyncio.wrap_future(future)
    leaving: asyncio.Future[object] | None = None
    try:
        await asyncio.wait({answer}, timeout=timeout_s if gone is None else min(timeout_s, BRIEF_S))
        if gone is not None and not answer.done() and timeout_s > BRIEF_S:
            leaving = asyncio.ensure_future(gone() if callable(gone) else gone)
            both: set[asyncio.Future[Any]] = {answer, leaving}
            await asyncio.wait(both, timeout=timeout_s - BRIEF_S, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        if leaving is not None and leaving.done():
            leaving.exception()  # it was heard: whatever ended it, nobody is there
            raise ClientDisconnect
        raise DeadlineError(f"not done within {timeout_s:g} s")
    finally:
        answer.cancel()
        if leaving is not None:
            leaving.cancel()
