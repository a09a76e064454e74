"""The engine as LoadGen asks it, over an engine that is not there."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest

from aihub.bench.mlperf.engine_system import KEPT, EngineSystem, packed
from aihub.engine.engine import Engine
from aihub.errors import CapacityError


class Counting:
    """Doubles its input in threads; notes how many runs were there at once."""

    def __init__(self, fails_from: int = 1 << 30) -> None:
        self.pool, self.lock = ThreadPoolExecutor(4), threading.Lock()
        self.there = self.most = self.asked = 0
        self.fails_from = fails_from

    def run(self, model: str, inputs: dict[str, Any]) -> Future[dict[str, Any]]:
        with self.lock:
            self.asked += 1
            self.there += 1
            self.most = max(self.most, self.there)
            if self.asked > self.fails_from:
                failed: Future[dict[str, Any]] = Future()
                failed.set_exception(CapacityError("full"))
                return failed
        return self.pool.submit(self._work, inputs)

    def _work(self, inputs: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.there -= 1
        return {"y": 2 * inputs["x"]}


def issued(engine: Counting, count: int, *, answers: bool = True) -> dict[int, bytes | Exception]:
    library = [{"x": np.full((1, 3), index, np.float32)} for index in range(10)]
    system = EngineSystem(cast("Engine", engine), "m", library, flying=5, answers=answers)
    seen: dict[int, bytes | Exception] = {}
    done = threading.Event()

    def answer(at: int, data: bytes | Exception) -> None:
        assert at not in seen
        seen[at] = data
        if len(seen) == count:
            done.set()

    system.issue([index % 10 for index in range(count)], answer)
    assert done.wait(20)
    return seen


def test_every_sample_has_its_own_answer_and_the_queue_stays_short() -> None:
    engine = Counting()
    seen = issued(engine, 2000)
    assert engine.most <= 5
    for at, data in seen.items():
        assert isinstance(data, bytes)
        assert np.frombuffer(data, np.float32).tolist() == [2.0 * (at % 10)] * 3


def test_a_performance_run_hands_nothing_over() -> None:
    assert set(issued(Counting(), 20, answers=False).values()) == {b""}


@pytest.mark.parametrize("fails_from", [0, 7])
def test_a_failure_is_told_for_all_that_wait(fails_from: int) -> None:
    seen = issued(Counting(fails_from), 5000)
    assert any(isinstance(data, CapacityError) for data in seen.values())
    assert len(seen) == 5000


def test_an_answer_is_thinned_out_and_holds_numbers_only() -> None:
    outputs = {"big": np.arange(10 * KEPT, dtype=np.float16), "text": np.array(["a"], np.object_)}
    row = np.frombuffer(packed(outputs), np.float32)
    assert len(row) == KEPT
    assert packed({"text": outputs["text"]}) == b""
    assert packed({"none": np.zeros((0, 4), np.float32)}) == b""
