"""Rule `keyframes`: which pictures of a stream tell what happened, and are worth keeping."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.grey import small_grey
from aihub.types import AnyResult, Findings, Frame, Labels, Observation, Predictor

CELLS = (24, 16)
"""Columns and rows in which pictures are compared."""
DIFFERENT = 10.0
"""Grey levels by which a cell differs; the change of the whole picture's light is taken off first."""
SETTLED = 0.5
"""A picture is taken once it changes half as fast as the limit asks: when what came in has arrived."""


class KeyframesParams(StageParams):
    """How different, how often."""

    change: float = Field(
        0.1, gt=0, le=1, description="Share of the picture that must differ from the last one kept."
    )
    shortest: float = Field(2.0, ge=0, le=86400, description="Seconds between two that are kept, at least.")
    longest: float = Field(600.0, gt=0, le=864000, description="Seconds after which one is kept in any case.")


class Keyframes(Stage[KeyframesParams]):
    """An observation `keyframe/N` on each picture that is kept; the first is one.

    A picture is kept when it differs from the last kept one and has come to rest, or changes on and on for twice the shortest
    time, or the longest time is over. `found` says `keep` or `skip`.
    """

    name = "keyframes"
    stateful = True

    def __init__(self, params: KeyframesParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._kept: npt.NDArray[np.float32] | None = None
        self._before: npt.NDArray[np.float32] | None = None
        self._at = 0.0
        self._number = 0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:  # noqa: ARG002 - looks at the frame
        """See the class."""
        now = frame.monotonic
        cells = np.asarray(cv2.resize(small_grey(frame), CELLS, interpolation=cv2.INTER_AREA), np.float32)
        before, self._before = self._before, cells
        change = 1.0 if self._kept is None else difference(cells, self._kept)
        stirring = 0.0 if before is None else difference(cells, before)
        since = now - self._at
        keep = self._kept is None or since >= self.params.longest or since < 0
        if change >= self.params.change and since >= self.params.shortest:
            keep = keep or stirring <= SETTLED * self.params.change or since >= 2 * self.params.shortest
        measures = {"change_share": change, "kept": float(self._number + keep)}
        if not keep:
            return Findings(Labels.of({"skip": 1 - min(change, 1.0)}), measures=measures)
        self._kept, self._at = cells, now
        self._number += 1
        one = Observation(
            f"keyframe/{self._number}", "keyframe", change, None, {"change_share": round(change, 4)}
        )
        return Findings(Labels.of({"keep": change}), (one,), measures)


def difference(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Share of the cells that differ, in [0, 1]."""
    step = one - other
    return float(np.mean(np.abs(step - np.median(step)) > DIFFERENT))
