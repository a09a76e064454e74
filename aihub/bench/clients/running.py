"""Start a client of this package in a process of its own, and read what it tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from aihub.errors import AihubError

BEYOND_S = 120.0
"""How much longer than it asks a client may take: to start, and for the last answers."""
KEY = "AIHUB_BENCH_KEY"
"""Environment variable of the key: a command line is for all to see."""


def client(name: str, given: Sequence[str], seconds: float, *, key: str = "", stdin: str = "") -> Any:
    """Run `aihub.bench.clients.NAME`; the JSON that it prints.

    Args:
        name: of the module.
        given: its arguments.
        seconds: how long it asks.
        key: of the hub.
        stdin: what it reads.

    Raises:
        AihubError: it failed, or did not end in time.
    """
    command = [sys.executable, "-m", f"aihub.bench.clients.{name}", *given]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False,
                              timeout=seconds + BEYOND_S, env=os.environ | {KEY: key})  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise AihubError(f"the client {name} did not end in {error.timeout:.0f} s") from error
    if done.returncode:
        raise AihubError(f"the client {name} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)
