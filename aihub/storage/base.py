"""What every group of the repository's methods stands on."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from aihub.errors import NotFoundError, ParamsError
from aihub.storage.database import Database

MAX_PAGE = 1000
"""Most rows one call gives back."""


class KeyNotFoundError(NotFoundError):
    """No API key of that id, or not yours."""

    kind = "key"


class SinkNotFoundError(NotFoundError):
    """No sink of that id, or not yours."""

    kind = "sink"


class TenantNotFoundError(NotFoundError):
    """No tenant of that id."""

    kind = "tenant"


class FeedbackNotFoundError(NotFoundError):
    """No feedback of that id, or not yours."""

    kind = "feedback"


class Store:
    """Base of the method groups; `Repository` joins them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """An insert that knows `on_conflict_do_update`, which SQLAlchemy offers by dialect only."""
        return postgresql.insert(table) if self._database.dialect == "postgresql" else sqlite.insert(table)


def page_size(limit: int) -> int:
    """`limit` within what one call may give.

    Raises:
        ParamsError: less than 1 or more than `MAX_PAGE`.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise ParamsError(f"limit must be between 1 and {MAX_PAGE}, but is {limit}", field="limit")
    return limit


def to_cursor(position: list[Any]) -> str:
    """An opaque cursor of a position in an order."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def from_cursor(cursor: str, kinds: tuple[type, ...]) -> list[Any]:
    """The position behind a cursor, checked: it comes back from outside.

    Raises:
        ParamsError: not a cursor of that list.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        position = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise ParamsError("this is not a cursor", field="cursor") from error
    fits = isinstance(position, list) and len(position) == len(kinds)
    if not fits or not all(isinstance(value, kind) for value, kind in zip(position, kinds, strict=True)):
        raise ParamsError("this is not a cursor of that list", field="cursor")
    return list(position)
