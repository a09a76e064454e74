"""A predictor for work that may wait: it asks again where a camera's frame would have been dropped.

A job needs every frame, and its rules must see each exactly once, so asking again happens below the stages. One model of a frame runs
after the other: a job never has more than one item in the engine, which is what makes it a quiet neighbour of the streams.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

from aihub.errors import AihubError, CapacityError, DeadlineError
from aihub.types import Bill, Detections, Frame, Memo, Predictor, Tensor

T = TypeVar("T")

TRY_S = 30.0
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0


class PatientPredictor:
    """Asks another predictor until it has room.

    Args:
        inner: does the work.
        patience_s: how long one model may refuse one frame, seconds.
        stopped: whether nobody waits for the answer any more.
    """

    def __init__(self, inner: Predictor, *, patience_s: float, stopped: Callable[[], bool]) -> None:
        self._inner = inner
        self._patience_s = patience_s
        self._stopped = stopped

    def detect(
        self,
        model: str,
        frame: Frame,
        *,
        confidence: float = 0.1,
        source: str = "",
        deadline: float | None = None,  # noqa: ARG002 - a job has its own patience
    ) -> Future[Detections]:
        """A future that is done already; see `Predictor.detect`."""

        def ask(first: bool) -> Future[Detections]:
            # A refusal is remembered by the frame like an answer, so that another try needs a memo of its own.
            asked = frame if first else dataclasses.replace(frame, memo=Memo())
            return self._inner.detect(
                model, asked, confidence=confidence, source=source, deadline=time.monotonic() + TRY_S
            )

        return self._settled(ask)

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        source: str = "",
        deadline: float | None = None,  # noqa: ARG002 - a job has its own patience
        bill: Bill | None = None,
    ) -> Future[dict[str, Tensor]]:
        """A future that is done already; see `Predictor.run`."""
        return self._settled(
            lambda _: self._inner.run(
                model, inputs, source=source, deadline=time.monotonic() + TRY_S, bill=bill
            )
        )

    def metadata(self, model: str) -> Mapping[str, str]:
        """See `Predictor.metadata`."""
        return self._inner.metadata(model)

    def missing(self, models: Sequence[str]) -> list[str]:
        """See `Predictor.missing`."""
        return self._inner.missing(models)

    def _settled(self, ask: Callable[[bool], Future[T]]) -> Future[T]:
        made: Future[T] = Future()
        until, wait, first = time.monotonic() + self._patience_s, FIRST_WAIT_S, True
        while True:
            try:
                made.set_result(ask(first).result(TRY_S + 1))
            except (CapacityError, FutureTimeoutError) as error:
                if time.monotonic() + wait < until and not self._stopped():
                    time.sleep(wait)
                    wait, first = min(2 * wait, LONGEST_WAIT_S), False
                    continue
                late = error if isinstance(error, AihubError) else DeadlineError("the model did not answer")
                made.set_exception(late)
            except AihubError as error:
                made.set_exception(error)
            return made
