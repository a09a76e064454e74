"""Stage `settle-kind`: what a track is, by all that its detections said, not by the last one alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import Ledger, detections_of
from aihub.types import AnyResult, Detections, Frame, Predictor

FORGET_S = 3.0


class SettleKindParams(StageParams):
    """How long what was said counts."""

    memory: float = Field(5.0, gt=0, le=600, description="Seconds after which a vote counts a third (1/e).")


class SettleKind(Stage[SettleKindParams]):
    """Gives each track the label with most votes; a detection votes for its label with its confidence squared.

    Vans and lorries change their label from frame to frame; their tracks should not. Without track ids nothing is changed.
    """

    name = "settle-kind"
    stateful = True

    def __init__(self, params: SettleKindParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._labels: tuple[str, ...] = ()
        self._tracks = Ledger([])

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class."""
        things, now = detections_of(found, self.name), frame.monotonic
        if things.track_id is None or not things.labels:
            return things
        if things.labels != self._labels:
            self._labels = things.labels
            self._tracks = Ledger([("seen", "f8"), ("votes", "f8", (len(self._labels),))])
        self._tracks.keep(now - self._tracks.table["seen"] <= FORGET_S)
        rows, _ = self._tracks.rows(things.track_id)
        tracks = self._tracks.table
        faded = np.exp(-np.maximum(now - tracks["seen"][rows], 0) / self.params.memory)
        tracks["votes"][rows] *= faded[:, None]
        tracks["votes"][rows, things.class_id] += things.confidence.astype(np.float64) ** 2
        tracks["seen"][rows] = now
        return replace(things, class_id=tracks["votes"][rows].argmax(axis=1).astype(np.int32))
