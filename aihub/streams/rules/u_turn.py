"""Rule `u-turn`: something has gone one way and now goes back the other."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ground import FRAMES, SAMPLES, Trails, consecutive
from aihub.streams.ruling import (
    F64,
    Inertia,
    Mask,
    Region,
    Rows,
    Zone,
    detections_of,
    ids_of,
    observe,
)
from aihub.types import AnyResult, Findings, Frame, Predictor
from aihub.types.geometry import bottom_centre

HOLD_S = 3.0
"""Seconds for which a finished turn is told: one event, not one frame."""


class UTurnParams(StageParams):
    """Where, how sharp, within what time."""

    zone: Zone = Field((), description="Where the turning point lies; none for the whole picture.")
    angle: float = Field(140.0, ge=90, le=180, description="Degrees between the way there and the way back.")
    travel: float = Field(
        0.8, ge=0.1, le=20, description="Least length of each way, in longer sides of the box."
    )
    window: float = Field(12.0, ge=1, le=120, description="Seconds within which both ways are driven.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames on the way back.")


class UTurn(Stage[UTurnParams]):
    """An observation `track/ID` while a track drives back, with the `angle`; it holds for three seconds, once for a turn.

    The turning point is the place farthest from where the remembered way begins. Measures: `turns` since the start.
    """

    name = "u-turn"
    stateful = True

    def __init__(self, params: UTurnParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._trails = Trails(params.window, [*FRAMES, ("size", "f8"), ("turned", "f8")])
        self._turns = 0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now, ids = (
            detections_of(found, self.name),
            frame.monotonic,
            ids_of(detections_of(found, self.name)),
        )
        places = bottom_centre(objects.xyxy) / np.array([frame.height, frame.height], np.float64)
        rows = self._trails.update(ids, np.asarray(places, np.float64), now)
        table = self._trails.ledger.table
        longer = (objects.xyxy[:, 2:] - objects.xyxy[:, :2]).max(axis=1, initial=0) / frame.height
        table["size"][rows] = np.maximum(table["size"][rows], longer)  # seen from the front it is shorter
        angle, far, there = self._turn(rows, now)
        tip = np.concatenate([far, far], axis=1) * frame.height / np.tile([frame.width, frame.height], 2)
        back = there & (angle >= self.params.angle) & self._region.holds(np.clip(tip, 0, 1))
        lasting = consecutive(self._trails, rows, back, self.params.inertia)
        new = lasting & (table["turned"][rows] == 0)
        self._turns += int(new.sum())
        table["turned"][rows[new]] = now
        telling = lasting & (now - table["turned"][rows] <= HOLD_S)
        table["turned"][rows[~back]] = 0
        observations = tuple(
            observe(frame, objects, k, f"track/{ids[k]}", {"angle": round(float(angle[k]), 1)})
            for k in np.flatnonzero(telling).tolist()
        )
        return Findings(objects, observations, {"count": float(len(objects)), "turns": float(self._turns)})

    def _turn(self, rows: Rows, now: float) -> tuple[F64, F64, Mask]:
        """Degrees between way there and way back `(N,)`, turning point `(N, 2)`, and whether both ways are long enough."""
        table = self._trails.ledger.table
        use = self._trails.window(rows, now, self.params.window)
        place = table["place"][rows]
        first = place[np.arange(len(rows)), np.argmax(use, axis=1)]
        apart = np.where(use, np.hypot(*(place - first[:, None]).transpose(2, 0, 1)), -1.0)
        far = place[np.arange(len(rows)), SAMPLES - 1 - np.argmax(apart[:, ::-1], axis=1)]
        out, home = far - first, place[:, -1] - far
        lengths = np.stack([np.hypot(*out.T), np.hypot(*home.T)])
        long: Mask = (lengths >= self.params.travel * table["size"][rows]).all(axis=0) & (lengths > 0).all(
            axis=0
        )
        cosine = np.divide((out * home).sum(axis=1), lengths.prod(axis=0), out=np.ones(len(rows)), where=long)
        return np.degrees(np.arccos(np.clip(cosine, -1, 1))), far, long
