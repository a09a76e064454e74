"""Single pictures through an algorithm: each with fresh state, all under way at the same time."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.base import Stage, StageError
from aihub.algorithms.planner import make_stage, wrap_failure
from aihub.errors import DeadlineError
from aihub.types import AnyResult, Frame, Predictor


def infer(
    algorithm: Algorithm,
    frames: Sequence[Frame],
    params: Mapping[str, Any],
    predictor: Predictor,
    *,
    source: str = "",
    timeout_s: float = 30.0,
) -> list[AnyResult]:
    """Run an algorithm on pictures that have nothing to do with each other.

    Every picture gets stages of its own, so a rule sees it as the only frame there ever was and reports what is
    on it. All first stages begin before any is waited for: the pictures of one request share batches.

    Args:
        algorithm: what to run.
        frames: any number of pictures.
        params: the algorithm's parameters; defaults fill the rest.
        predictor: whatever runs the models.
        source: name of the caller, for fairness between callers; the frames' own where empty.
        timeout_s: seconds for all of it.

    Returns:
        One result a picture, in order.

    Raises:
        ParamsError: a parameter is wrong.
        AihubError: a stage failed on a picture, or the time is over.
    """
    resolved = algorithm.resolve(params)
    deadline = time.monotonic() + timeout_s
    if source:
        frames = [dataclasses.replace(frame, source=source) for frame in frames]
    chains = [[make_stage(kind, settings, predictor) for kind, settings in resolved.stages] for _ in frames]
    for frame, chain in zip(frames, chains, strict=True):
        _guarded(chain[0].name, chain[0].begin, frame)
    return [_finish(chain, frame, deadline) for frame, chain in zip(frames, chains, strict=True)]


def _finish(chain: Sequence[Stage[Any]], frame: Frame, deadline: float) -> AnyResult:
    found: AnyResult | None = None
    for stage in chain:
        if time.monotonic() > deadline:
            raise DeadlineError("the request took longer than it may", hint="send fewer or smaller pictures")
        found = _guarded(stage.name, stage.process, frame, found)
    if found is None:
        raise StageError(f"stage {chain[-1].name!r} gave no result")
    return found


def _guarded(name: str, call: Any, *args: Any) -> Any:
    try:
        return call(*args)
    except Exception as error:
        failure = wrap_failure(name, error)
        if failure is error:
            raise
        raise failure from error
