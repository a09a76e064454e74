"""A predictor that asks on somebody's behalf: their deadline and their bill go with every question of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

from aihub.types import Bill, Detections, Frame, Predictor, Tensor


class OnBehalf:
    """Satisfies `Predictor`. Stages, drop-ins among them, need to know neither who pays nor how long that one waits.

    Args:
        predictor: whatever runs the models.
        bill: where runs are put down; None leaves detections to the bill of their frame, and raw runs to nobody.
        deadline: `time.monotonic()` after which no run need start; None sets no limit beyond the stage's own.
    """

    __slots__ = ("_bill", "_deadline", "_predictor")

    def __init__(
        self, predictor: Predictor, *, bill: Bill | None = None, deadline: float | None = None
    ) -> None:
        self._predictor, self._bill, self._deadline = predictor, bill, deadline

    def detect(
        self,
        model: str,
        frame: Frame,
        *,
        confidence: float = 0.1,
        source: str = "",
        deadline: float | None = None,
    ) -> Future[Detections]:
        """See `Predictor.detect`."""
        if self._bill is not None and frame.bill is not self._bill:
            frame = replace(frame, bill=self._bill)  # with its memo: what is known of it stays shared
        return self._predictor.detect(
            model, frame, confidence=confidence, source=source, deadline=self._sooner(deadline)
        )

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        source: str = "",
        deadline: float | None = None,
        bill: Bill | None = None,
    ) -> Future[dict[str, Tensor]]:
        """See `Predictor.run`."""
        return self._predictor.run(
            model, inputs, source=source, deadline=self._sooner(deadline), bill=bill or self._bill
        )

    def metadata(self, model: str) -> Mapping[str, str]:
        """See `Predictor.metadata`."""
        return self._predictor.metadata(model)

    def missing(self, models: Sequence[str]) -> list[str]:
        """See `Predictor.missing`."""
        return self._predictor.missing(models)

    def _sooner(self, deadline: float | None) -> float | None:
        if deadline is None or self._deadline is None:
            return deadline if self._deadline is None else self._deadline
        return min(deadline, self._deadline)
