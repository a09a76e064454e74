"""Stages that put right what a detector says of road users: who is on foot, and one kind for one thing."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.types import AnyResult, Detections, Frame
from aihub.types.geometry import box_iou

ABREAST = 0.5
"""Share of a person's width that lies over what is ridden."""
SADDLE = 0.4
"""How far above the wheels' ground a rider's feet are at most, in heights of the rider's box."""


def _things(stage: str, found: AnyResult | None) -> Detections:
    if not isinstance(found, Detections):
        kind = "nothing: it cannot come first" if found is None else type(found).__name__.lower()
        raise StageError(f"stage {stage!r} works on detections, not {kind}")
    return found


class OnFootParams(StageParams):
    """What people ride."""

    rides: tuple[str, ...] = Field(
        ("bicycle", "motorcycle", "horse"), description="What makes a rider of who sits on it."
    )


class OnFoot(Stage[OnFootParams]):
    """People who are on foot: those who sit on something are left out, and so is everything that is no person.

    A rider's box lies for at least half of its width over the box of what is ridden, reaches above it, and ends a little
    above its wheels. Somebody who stands close behind a bicycle is taken for its rider.
    """

    name = "on-foot"

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:  # noqa: ARG002 - looks at `found`
        """Rows of `found` that are people on foot."""
        things = _things(self.name, found)
        people, rides = things.select(("person",)), things.select(self.params.rides).xyxy[None]
        x1, y1, x2, y2 = (people.xyxy[:, side : side + 1] for side in range(4))
        over = np.minimum(x2, rides[..., 2]) - np.maximum(x1, rides[..., 0])
        rider = over >= ABREAST * (x2 - x1)
        rider &= (y1 < rides[..., 1]) & (y2 > rides[..., 1]) & (y2 <= rides[..., 3])
        rider &= rides[..., 3] - y2 <= SADDLE * (y2 - y1)
        return people[np.flatnonzero(~rider.any(axis=1))]


class OneKindParams(StageParams):
    """When two boxes are one thing."""

    overlap: float = Field(
        0.7, gt=0, le=1, description="Intersection over union from which two boxes are one thing."
    )


class OneKind(Stage[OneKindParams]):
    """One box for one thing: where boxes of several kinds lie upon each other, the surest stays."""

    name = "one-kind"

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:  # noqa: ARG002 - looks at `found`
        """Rows of `found` over which no surer one lies, in their order."""
        things = _things(self.name, found)
        order = np.lexsort((things.class_id, -things.confidence))
        rank = np.empty(len(things), np.intp)
        rank[order] = np.arange(len(things))
        surer = rank[None, :] < rank[:, None]
        covered = (box_iou(things.xyxy, things.xyxy) >= self.params.overlap) & surer
        return things[np.flatnonzero(~covered.any(axis=1))]
