"""`NAME=VALUE` options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aihub.errors import ParamsError


def parse_params(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Parse `NAME=VALUE`; a value that is JSON is read as JSON, anything else is text.

    >>> parse_params(["confidence=0.4", "zone=[[0,0],[1,0],[1,1]]", "word=fire"])
    {'confidence': 0.4, 'zone': [[0, 0], [1, 0], [1, 1]], 'word': 'fire'}
    """
    params: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise ParamsError(f"{pair!r} is not NAME=VALUE", field=name or None)
        try:
            params[name] = json.loads(text)
        except json.JSONDecodeError:
            params[name] = text
    return params


def no_strays(values: Mapping[str, Any], algorithms: Sequence[str], lacks: str) -> None:
    """Refuse `ALGORITHM.NAME` of an algorithm that is not among those named.

    Args:
        values: parameters by their full names.
        algorithms: those named.
        lacks: what another algorithm does not do, for the message.

    Raises:
        ParamsError: names the first.
    """
    for name in values:
        owner, dot, _ = name.partition(".")
        if dot and owner not in algorithms:
            raise ParamsError(
                f"{name!r} is for an algorithm that does not {lacks}",
                field=name,
                hint=f"-a names {', '.join(algorithms)}",
            )


def params_of(algorithm: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters for one algorithm: those without a prefix, and those with its id before the dot.

    >>> params_of("intrusion", {"confidence": 0.4, "intrusion.inertia": 5, "loitering.dwell": 9})
    {'confidence': 0.4, 'inertia': 5}
    """
    own = {name.split(".", 1)[1]: value for name, value in values.items() if name.startswith(f"{algorithm}.")}
    return {name: value for name, value in values.items() if "." not in name} | own
