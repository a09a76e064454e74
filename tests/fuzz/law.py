"""What holds for everything that reads bytes from outside: it gives a value within its bounds, or refuses with words that help."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from aihub.errors import AihubError, CardError

T = TypeVar("T")

LONGEST_MESSAGE = 2000
"""Characters of an error: what was sent may be quoted, but not sent back."""


def read_or_refused(read: Callable[[], T], *, named: bool) -> T | None:
    """What `read` gives, or None where it refuses as it should. Every other exception passes: it is a finding.

    Args:
        read: the decoder under test, with its input bound.
        named: whether a refusal must say which field is wrong.
    """
    try:
        return read()
    except AihubError as error:
        judge(error, named=named)
        return None


def judge(error: AihubError, *, named: bool) -> None:
    """Whether a refusal says what is wrong, where, and in few words."""
    assert error.message.strip(), f"{type(error).__name__} says nothing"
    assert len(str(error)) <= LONGEST_MESSAGE, f"{len(str(error))} characters: {str(error)[:100]!r}..."
    assert error.field or not named, f"no field: {error!r}"
    assert not isinstance(error, CardError) or error.where, "which card?"
    assert len(error.field or "") <= LONGEST_MESSAGE, "the name of the field has no bound"
