"""The engine as LoadGen asks it: samples of a library in, outputs out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import numpy as np

from aihub.bench.mlperf.scenarios import Answer
from aihub.bench.runtimes.bare import Feeds
from aihub.engine.engine import Engine
from aihub.types import Tensor

KEPT = 4096
"""Values of an answer at most: every n-th of the outputs. LoadGen keeps all answers of a run in memory and as text."""


class EngineSystem:
    """A model of an engine, as `aihub.bench.mlperf.scenarios.System`.

    Args:
        engine: runs it.
        model: its name.
        library: inputs of each sample.
        flying: most runs that wait in the engine; its own queue refuses at some point, and Offline asks for all at once.
        answers: whether outputs are handed over; else answers are empty, as in a performance run.
    """

    def __init__(
        self, engine: Engine, model: str, library: Sequence[Feeds], *, flying: int, answers: bool = False
    ) -> None:
        self._engine, self._model, self._library = engine, model, library
        self._most, self._answers = flying, answers
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, int, Answer]] = deque()
        self._flying = 0

    @property
    def samples(self) -> int:
        """Size of the library."""
        return len(self._library)

    def issue(self, samples: Sequence[int], answer: Answer) -> None:
        """See `System.issue`."""
        with self._lock:
            self._waiting.extend((at, sample, answer) for at, sample in enumerate(samples))
        self._fly()

    def _fly(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or self._flying >= self._most:
                    return
                at, sample, answer = self._waiting.popleft()
                self._flying += 1
            future = self._engine.run(self._model, self._library[sample])
            future.add_done_callback(partial(self._landed, at, answer))

    def _landed(self, at: int, answer: Answer, future: Future[dict[str, Tensor]]) -> None:
        with self._lock:
            self._flying -= 1
        error = future.exception()
        if error is None:
            answer(at, packed(future.result()) if self._answers else b"")
            self._fly()
            return
        # What failed once fails again, and at once: what waits is not tried, or it would nest as deep as the queue is long.
        with self._lock:
            left = [(at, answer), *((at, answer) for at, _, answer in self._waiting)]
            self._waiting.clear()
        for position, told in left:
            told(position, error if isinstance(error, Exception) else RuntimeError(str(error)))


def packed(outputs: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Outputs as one row of float32, thinned out to at most KEPT values; nothing but numbers is kept."""
    numbers = [value for _, value in sorted(outputs.items()) if np.issubdtype(value.dtype, np.number)]
    if not numbers:
        return b""
    row = np.concatenate([value.astype(np.float32).ravel() for value in numbers])
    return row[:: -(-len(row) // KEPT) or 1].tobytes()
