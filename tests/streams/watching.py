"""Rules at work on scenes: made by name, fed frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from aihub.algorithms.base import Stage, stage_type
from aihub.plugins import load_group
from aihub.types import Findings, Texts
from aihub.types.predictor import Predictor
from tests.streams.scenes import Path, frame_at, stands, tracked, walks

load_group("aihub.rules")
NO_MODELS: Any = None
LEFT_HALF = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
MIDDLE = [[0.4, 0.4], [0.6, 0.4], [0.6, 1], [0.4, 1]]
NOWHERE = [[0.9, 0.0], [1, 0.0], [1, 0.1]]
UPWARDS = [[0.5, 1], [0.5, 0]]
ACROSS = walks((0, 0.1, 0.8), (8, 0.9, 0.8))  # reaches x = 0.4 at 3 s, 0.5 at 4 s, 0.6 at 5 s

PARKED = (0.5, 0.8)

Seen = list[tuple[float, Findings]]


def make(rule: str, **params: Any) -> Stage[Any]:
    kind = stage_type(rule)
    predictor: Predictor = NO_MODELS
    return kind(kind.params_type.model_validate(params), predictor)


def watch(rule: str, paths: Iterable[Path], seconds: float, fps: float, **params: Any) -> Seen:
    stage = make(rule, **params)
    seen = []
    for t, frame, found in tracked(list(paths), seconds, fps):
        findings = stage.process(frame, found)
        assert isinstance(findings, Findings)
        seen.append((t, findings))
    return seen


def feed(rule: str, results: Iterable[Any], fps: float = 5, **params: Any) -> Seen:
    """Results one a frame."""
    stage = make(rule, **params)
    made = ((k / fps, stage.process(frame_at(k / fps, k), result)) for k, result in enumerate(results))
    return [(t, findings) for t, findings in made if isinstance(findings, Findings)]


def first(seen: Seen) -> float | None:
    return next((t for t, findings in seen if findings.observations), None)


def keys(seen: Seen) -> list[str]:
    return list(dict.fromkeys(o.key for _, findings in seen for o in findings.observations))


def group(x: float, number: int, y: float = 0.8) -> list[Path]:
    return [stands(x + 0.03 * k, y) for k in range(number)]


def texts(*lines: str) -> Texts:
    quads = np.array(
        [[[10, 20 * k], [90, 20 * k], [90, 20 * k + 16], [10, 20 * k + 16]] for k in range(len(lines))]
    )
    return Texts(quads.astype(np.float32).reshape(-1, 4, 2), lines, np.full(len(lines), 0.9, np.float32))
