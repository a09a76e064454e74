"""What a stream host takes before it has streams or models: the floor of every plan's memory."""

from __future__ import annotations

import subprocess
import sys

from aihub.errors import ConfigError

_EMPTY_HOST = """
import psutil
from aihub.bench.streams.hosting import Hosted
from aihub.engine.engine import Engine
print(psutil.Process().memory_info().rss)
"""


def process_mb() -> float:
    """Resident memory of a fresh process that has imported what a stream host runs, megabytes.

    Raises:
        ConfigError: it does not start.
    """
    try:
        said = subprocess.run(
            [sys.executable, "-c", _EMPTY_HOST], capture_output=True, text=True, timeout=120, check=True
        )
    except subprocess.SubprocessError as error:
        raise ConfigError(f"a process that only imports the hub does not start: {error}") from None
    return int(said.stdout.split()[-1]) / 1e6
