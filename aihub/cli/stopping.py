"""Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def stop_on_signals(stop: threading.Event | None = None) -> threading.Event:
    """An event that is set by SIGINT or SIGTERM. Call it again after Ray has started: Ray takes SIGTERM."""
    stop = stop or threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop


def interrupting() -> threading.Event:
    """An event that is set by SIGINT, which also raises `KeyboardInterrupt` as ever, to end a wait.

    The exception alone can be lost: raised while something is being finalised, Python prints it and goes on.
    """
    stop = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        stop.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    return stop
