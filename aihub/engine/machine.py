"""Facts about the machine and this process that decide how models run."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "openvino")


def cores() -> int:
    """Cores this process may use: its affinity, bounded by the container's CPU quota. At least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, min(allowed, _quota(Path("/sys/fs/cgroup/cpu.max")) or allowed))


def _quota(path: Path) -> int | None:
    """Whole cores of a cgroup v2 quota, rounded up; None without one."""
    try:
        quota, period = path.read_text(encoding="ascii").split()
        return None if quota == "max" else max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        return None


def resident_bytes() -> int:
    """Memory of this process that is in RAM now, without what was freed but is still held by the allocator."""
    trim()
    return int(psutil.Process().memory_info().rss)


def trim() -> None:
    """Give freed memory back to the system. Takes some milliseconds."""
    give = _malloc_trim()
    if give is not None:
        give(0)


@lru_cache(maxsize=1)
def _malloc_trim() -> Callable[[int], int] | None:
    """The GNU C library's call that gives freed memory back to the system; other libraries do so by themselves."""
    try:
        give: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return give


@lru_cache(maxsize=1)
def processor() -> tuple[str, str]:
    """Name of the processor and its instruction-set flags."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name") or facts.get("CPU part") or platform.processor() or platform.machine()
    return name, " ".join(sorted((facts.get("flags") or facts.get("Features") or "").split()))


def fingerprint(devices: tuple[str, ...] = ()) -> str:
    """12 hexadecimal digits that change when a measured profile may no longer hold.

    Processor, its flags, the cores of this process, versions of the runtimes, and `devices` (accelerators).
    """
    facts = [processor(), cores(), [version_of(name) for name in RUNTIMES], devices]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution; None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
