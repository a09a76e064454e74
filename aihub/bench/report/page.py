"""Results as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from aihub.bench.results import Result


def write(results: Sequence[Result]) -> str:
    """The page."""
    return f"<html>{len(results)}</html>"
