"""Stages and cards made for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import Field

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.base import Stage, StageParams
from aihub.types import AlgorithmCard, AnyResult, Detections, Findings, Frame, Observation, Predictor, Quality

MakeAlgorithm = Callable[..., Algorithm]


class CountingParams(StageParams):
    tag: str = ""


class Counting(Stage[CountingParams]):
    """Remembers how many frames this instance has seen, and that in its result."""

    name = "test-counting"
    stateful = True
    made: int = 0

    def __init__(self, params: CountingParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        type(self).made += 1
        self.frames = 0

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        self.frames += 1
        return Quality(False, 0.0, {"frames": float(self.frames)})


class ShiftParams(StageParams):
    by: float = Field(1.0, ge=-10, le=10)


class Shift(Stage[ShiftParams]):
    """Pure: moves boxes, so that the result tells which stages it went through."""

    name = "test-shift"

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        things = found if isinstance(found, Detections) else Detections.empty(("thing",))
        return Detections(
            things.xyxy * np.float32(2) + np.float32(self.params.by),
            things.confidence,
            things.class_id,
            things.labels,
        )


class TallyParams(StageParams):
    zone: tuple[tuple[float, float], ...] = ()


class Tally(Stage[TallyParams]):
    """Stateful rule: the sum of all rows so far."""

    name = "test-tally"
    stateful = True

    def __init__(self, params: TallyParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self.total = 0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        things = found if isinstance(found, Detections) else Detections.empty(("thing",))
        self.total += len(things)
        observations = (Observation("total", "thing", 1.0),) if self.total > 3 else ()
        return Findings(things, observations, {"total": float(self.total)})


class FailingParams(StageParams):
    at: str = "process"
    on_purpose: bool = False


class Failing(Stage[FailingParams]):
    """Fails where it is told to."""

    name = "test-failing"

    def __init__(self, params: FailingParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._fail("init")

    def begin(self, frame: Frame) -> None:
        self._fail("begin")

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        self._fail("process")
        return Quality(False, 0.0)

    def _fail(self, here: str) -> None:
        if self.params.at == here:
            if self.params.on_purpose:
                from aihub.errors import QueueFullError

                raise QueueFullError("queue is full")
            raise ZeroDivisionError("a bug")


def card_body(stages: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """The body of a sound card with these stages."""
    return {
        "id": "test-card",
        "title": {"en": "Test", "zh": "测试"},
        "summary": "For tests.",
        "domain": "tests",
        "input": ["image", "video"],
        "stages": stages,
        "examples": [{"media": "drawn:blank", "expect": {"none": True}, "evidence": "synthetic"}],
        "intended_use": "Tests.",
        "limits": "Tests.",
        **fields,
    }


def make_algorithm(predictor: Predictor, *stages: dict[str, Any], **fields: Any) -> Algorithm:
    return Algorithm(AlgorithmCard.model_validate(card_body(list(stages), **fields)), predictor)


@pytest.fixture
def write_card(tmp_path: Path) -> Callable[..., Path]:
    """Writes a card below `tmp_path/cards` and returns its path."""

    def write(name: str, stages: list[dict[str, Any]], **fields: Any) -> Path:
        path = tmp_path / "cards" / "tests" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(card_body(stages, **{"id": name, **fields})), encoding="utf-8")
        return path

    return write
