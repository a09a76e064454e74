"""Waiting for a model: never longer than a stage has time."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import TypeVar

from aihub.errors import DeadlineError

T = TypeVar("T")


def waited(run: Future[T], until: float, model: str, patience_s: float) -> T:
    """What a run of a model gives.

    Args:
        run: asked for before.
        until: `time.monotonic()` after which nobody waits.
        model: name or role, for the error.
        patience_s: seconds that the stage allows, for the error.

    Raises:
        DeadlineError: it did not answer in time.
        AihubError: whatever the run ended with.
    """
    try:
        return run.result(max(until - time.monotonic(), 0.0))
    except TimeoutError as error:
        raise DeadlineError(f"model {model!r} did not answer in {patience_s:g} s") from error
