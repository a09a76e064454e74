"""Moved to `aihub.bench.hub`."""

from aihub.bench.hub import RunningHub, resident_mb, running_hub

__all__ = ["RunningHub", "resident_mb", "running_hub"]
