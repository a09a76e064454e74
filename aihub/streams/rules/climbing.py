"""Rule `climbing`: somebody rises above a line (on a fence, a wall, a railing) without going away from the camera."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.joints import feet, joints_of
from aihub.streams.ruling import F64, Inertia, Ledger, Line, Mask, detections_of, ids_of, observe, relative
from aihub.types import AnyResult, Findings, Frame, Predictor

UNSEEN_S = 3.0
SAME_SIZE = 0.88
"""Share of the height that somebody had on the ground: who goes away shrinks as the feet rise."""
WHOLE_BELOW = 0.985
"""Where a box may end, of the picture's height: who is cut off by its lower edge has feet that nobody saw."""
SLOW = 0.2
"""Weight of a frame in the place where somebody stood."""


class ClimbingParams(StageParams):
    """Where, and how far up."""

    line: Line = Field(((0.0, 0.7), (1.0, 0.7)), description="On the fence, below its top; its ends are those of the fence.")  # fmt: skip
    rise: float = Field(0.4, ge=0.05, le=2, description="How far the feet must have risen, in body heights.")
    inertia: Inertia = Field(2, description="Consecutive analysed frames above the line before it counts.")


class Climbing(Stage[ClimbingParams]):
    """An observation `track/ID` for each whose feet were below the line and are above it, a good part of their height further up,
    while they are not seen smaller than below; `rise` in data, in body heights."""

    name = "climbing"
    stateful = True

    def __init__(self, params: ClimbingParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._people = Ledger([("seen", "f8"), ("ground", "f8"), ("height", "f8"), ("stood", "?"), ("frames", "i8")])  # fmt: skip

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the stages before gave no poses.
        """
        people, now = detections_of(found, self.name), frame.monotonic
        boxes = relative(frame, people.xyxy)
        foot = np.clip(feet(joints_of(people, self.name), people.xyxy) / frame.height, 0, 1)
        height = np.maximum(foot - boxes[:, 1], 1e-6)
        below, above = self._sides((boxes[:, 0] + boxes[:, 2]) / 2, foot)
        self._people.keep(now - self._people.table["seen"] <= UNSEEN_S)
        rows, fresh = self._people.rows(ids_of(people))
        stands = below & (boxes[:, 3] < WHOLE_BELOW)
        self._stand(rows[stands], foot[stands], height[stands])
        table = self._people.table
        table["seen"][rows] = now
        rise = (table["ground"][rows] - foot) / np.maximum(table["height"][rows], 1e-6)
        climbs = above & table["stood"][rows] & ~fresh & (rise >= self.params.rise)
        climbs &= height >= SAME_SIZE * table["height"][rows]
        table["frames"][rows] = np.where(climbs, table["frames"][rows] + 1, 0)
        alarming = climbs & (table["frames"][rows] >= self.params.inertia)
        observations = tuple(
            observe(frame, people, row, f"track/{int(table['track'][rows[row]])}", {"rise": round(float(rise[row]), 2)})
            for row in np.flatnonzero(alarming).tolist()
        )  # fmt: skip
        return Findings(people, observations, {"count": float(len(people)), "above": float(above.sum())})

    def _sides(self, x: F64, foot: F64) -> tuple[Mask, Mask]:
        """Whose feet are below the line, and whose above it; neither for those who are beyond its ends."""
        (x1, y1), (x2, y2) = sorted(self.params.line)
        share = (x - x1) / (x2 - x1) if x2 > x1 else np.full_like(x, 0.5)
        along = (share >= 0) & (share <= 1) if x2 > x1 else np.abs(x - x1) < 0.1
        level = y1 + np.clip(share, 0, 1) * (y2 - y1)
        return along & (foot > level), along & (foot < level)

    def _stand(self, rows: np.ndarray[tuple[int], np.dtype[np.intp]], foot: F64, height: F64) -> None:
        """Where somebody stands, slowly followed, so that one bad box makes no giant."""
        table = self._people.table
        weight = np.where(table["stood"][rows], SLOW, 1.0)
        table["ground"][rows] += (foot - table["ground"][rows]) * weight
        table["height"][rows] += (height - table["height"][rows]) * weight
        table["stood"][rows] = True
