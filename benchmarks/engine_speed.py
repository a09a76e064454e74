"""Moved to `aihub.bench.bare`."""

from aihub.bench.bare import Bare, bare_session

__all__ = ["Bare", "bare_session"]
