"""Stages that put right what a detector says of road users: who is on foot, one kind for one thing, and only at certain hours."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import AfterValidator, Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.types import AnyResult, Detections, Frame, Predictor
from aihub.types.geometry import box_iou

ABREAST = 0.5
"""Share of a person's width that lies over what is ridden."""
SADDLE = 0.4
"""How far above the wheels' ground a rider's feet are at most, in heights of the rider's box."""
_CLOCK = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$")
_DAY = 24 * 60


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


def _clock(text: str) -> str:
    if not _CLOCK.match(text):
        raise ValueError(f"a time of day is written HH:MM, not {text!r}")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"no time zone is called {text!r}") from error
    return text


Clock = Annotated[str, AfterValidator(_clock)]


class WithinHoursParams(StageParams):
    """From when to when, where."""

    begin: Clock = Field("00:00", description="Time of day from which things count, HH:MM.")
    end: Clock = Field(
        "00:00", description="Time of day up to which; before `begin`: on the next day; equal: always."
    )
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "Asia/Shanghai", description="IANA name of the time zone."
    )


class WithinHours(Stage[WithinHoursParams]):
    """Lets detections through between two times of day, by the time at which the picture was taken; none at other times."""

    name = "within-hours"

    def __init__(self, params: WithinHoursParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._zone = ZoneInfo(params.time_zone)
        self._begin, self._end = (int(at[:2]) * 60 + int(at[3:]) for at in (params.begin, params.end))

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """All of `found`, or none of it."""
        things = _things(self.name, found)
        if self._begin == self._end:
            return things
        # a camera's clock may be anywhere; adding to the epoch knows no year that is out of range on this platform
        taken = (datetime.fromtimestamp(0, self._zone) + timedelta(seconds=frame.captured_at)).astimezone(
            self._zone
        )
        since = (taken.hour * 60 + taken.minute - self._begin) % _DAY
        return things if since < (self._end - self._begin) % _DAY else things[:0]
