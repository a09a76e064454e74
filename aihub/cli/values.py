"""`NAME=VALUE` options."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
