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
    """An observation `track/ID/turn-N` for three seconds once a track has driven back for long enough, with the `angle`.

    The turning point is the place farthest from where the remembered way begins; after a turn a track's way begins there.
    Measures: `turns` since the start.
    """

    name = "u-turn"
    stateful = True

    def __init__(self, params: UTurnParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        columns = [("size", "f8"), ("turns", "i8"), ("turned", "f8"), ("angle", "f8")]
        self._trails = Trails(params.window, [*FRAMES, *columns])
        self._turns = 0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        ids = ids_of(objects)
        # in heights of the picture, so that angles are those one sees
        places = np.asarray(bottom_centre(objects.xyxy) / frame.height, np.float64)
        rows = self._trails.update(ids, places, now)
        table = self._trails.ledger.table
        longer = (objects.xyxy[:, 2:] - objects.xyxy[:, :2]).max(axis=1, initial=0) / frame.height
        table["size"][rows] = np.maximum(table["size"][rows], longer)  # seen from the front it is shorter
        tip = self._tip(rows, now)
        angle, there = self._angle(rows, tip, now)
        where = table["place"][rows, tip] * (frame.height / frame.width, 1.0)
        back = there & (angle >= self.params.angle) & self._region.holds(np.tile(np.clip(where, 0, 1), 2))
        new = consecutive(self._trails, rows, back, self.params.inertia)
        self._begin_anew(rows[new], tip[new], angle[new], now)
        telling = (table["turns"][rows] > 0) & (now - table["turned"][rows] <= HOLD_S)
        observations = tuple(
            observe(
                frame,
                objects,
                k,
                f"track/{ids[k]}/turn-{row['turns']}",
                {"angle": round(float(row["angle"]), 1)},
            )
            for k in np.flatnonzero(telling).tolist()
            for row in [table[rows[k]]]
        )
        return Findings(objects, observations, {"count": float(len(objects)), "turns": float(self._turns)})

    def _begin_anew(self, rows: Rows, tip: Rows, angle: F64, now: float) -> None:
        table = self._trails.ledger.table
        table["turns"][rows] += 1
        table["turned"][rows], table["angle"][rows], table["frames"][rows] = now, angle, 0
        forgotten = np.arange(SAMPLES)[None] < tip[:, None]
        table["at"][rows] = np.where(forgotten, np.nan, table["at"][rows])
        self._turns += len(rows)

    def _first(self, rows: Rows, use: Mask) -> F64:
        first: F64 = self._trails.ledger.table["place"][rows, np.argmax(use, axis=1)]
        return first

    def _tip(self, rows: Rows, now: float) -> Rows:
        """`(N,)` number of the sample that is farthest from the first."""
        use = self._trails.window(rows, now, self.params.window)
        apart = self._trails.ledger.table["place"][rows] - self._first(rows, use)[:, None]
        distance = np.where(use, np.hypot(*apart.transpose(2, 0, 1)), -1.0)
        tip: Rows = SAMPLES - 1 - np.argmax(distance[:, ::-1], axis=1)
        return tip

    def _angle(self, rows: Rows, tip: Rows, now: float) -> tuple[F64, Mask]:
        """Degrees between the way there and the way back `(N,)`, and whether both are long enough."""
        table = self._trails.ledger.table
        first = self._first(rows, self._trails.window(rows, now, self.params.window))
        far = table["place"][rows, tip]
        out, home = far - first, table["place"][rows, -1] - far
        lengths = np.stack([np.hypot(*out.T), np.hypot(*home.T)])
        least = np.maximum(self.params.travel * table["size"][rows], 1e-9)
        long: Mask = np.logical_and(*(lengths >= least))
        cosine = np.divide((out * home).sum(axis=1), lengths.prod(axis=0), out=np.ones(len(rows)), where=long)
        return np.degrees(np.arccos(np.clip(cosine, -1, 1))), long
