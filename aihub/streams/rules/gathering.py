"""Rule `gathering`: a group of people close together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import (
    F64,
    WHOLE,
    Box,
    Inertia,
    Region,
    Rows,
    Seconds,
    Streak,
    Zone,
    detections_of,
    hull,
    relative,
)
from aihub.types import AnyResult, Detections, Findings, Frame, Observation, Predictor
from aihub.types.geometry import bottom_centre, overlap_of_smaller

SAME_GROUP = 0.3
"""Share of the smaller region that two groups on successive frames must have in common to be one."""


class GatheringParams(StageParams):
    """Where, how many, how close, for how long."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    threshold: int = Field(5, ge=2, le=1000, description="People in one group.")
    distance: float = Field(
        1.0, gt=0, le=10, description="How far apart neighbours may stand, in heights of the two (mean)."
    )
    dwell: Seconds = Field(10.0, description="Seconds for which the group must last.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames with the group.")


@dataclass(slots=True)
class _Group:
    """A group through time. `number` names it; nobody else ever gets it."""

    number: int
    box: Box
    streak: Streak


class Gathering(Stage[GatheringParams]):
    """An observation `group/N` for every group that has lasted: people of whom each stands close to another.

    Measures: `count` in the zone, `groups` now large enough, `largest` of all groups.
    """

    name = "gathering"
    stateful = True

    def __init__(self, params: GatheringParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._groups: list[_Group] = []
        self._named = 0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        objects, now = detections_of(found, self.name), frame.monotonic
        here = objects[self._region.holds(relative(frame, objects.xyxy))]
        member = self._members(here)
        sizes = np.bincount(member, minlength=1)
        large = [np.flatnonzero(member == k) for k in np.flatnonzero(sizes >= self.params.threshold).tolist()]
        boxes = relative(frame, here.xyxy)
        present = self._follow([hull(boxes[rows]) for rows in large])
        observations = []
        for group in list(self._groups):
            rows = large[present.index(group.number)] if group.number in present else None
            lasting = group.streak.update(now, holds=rows is not None)
            if group.streak.idle:
                self._groups.remove(group)
            if rows is not None and lasting and group.streak.held(now, self.params.dwell):
                observations.append(_observation(group, here[rows], now))
        measures = {"count": float(len(here)), "groups": float(len(large)), "largest": float(sizes.max())}
        return Findings(here, tuple(observations), measures)

    def _members(self, here: Detections) -> Rows:
        """Number of the group of each row: whoever can be reached from neighbour to neighbour has the same."""
        feet, tall = bottom_centre(here.xyxy), here.xyxy[:, 3] - here.xyxy[:, 1]
        apart = np.hypot(*(feet[:, None] - feet[None, :]).transpose(2, 0, 1))
        near = apart <= self.params.distance * (tall[:, None] + tall[None, :]) / 2
        member = np.arange(len(here))
        while True:
            least = np.where(near, member[None, :], len(here)).min(axis=1, initial=len(here))
            least = np.minimum(member, least)
            if np.array_equal(least, member):
                return member
            member = least

    def _follow(self, regions: list[Box]) -> list[int]:
        """Numbers of the groups that the regions continue, oldest first; new ones get a new number."""
        numbers = [0] * len(regions)
        overlap = overlap_of_smaller(_array([group.box for group in self._groups]), _array(regions))
        for place, group in enumerate(self._groups):
            free = [k for k in range(len(regions)) if not numbers[k] and overlap[place, k] >= SAME_GROUP]
            if free:
                best = max(free, key=lambda k, place=place: float(overlap[place, k]))  # type: ignore[misc]
                numbers[best], group.box = group.number, regions[best]
        for k, box in enumerate(regions):
            if not numbers[k]:
                self._named += 1
                numbers[k] = self._named
                self._groups.append(_Group(self._named, box, Streak(self.params.inertia)))
        return numbers


def _array(boxes: list[Box]) -> F64:
    return np.array(boxes or [WHOLE], np.float64).reshape(-1, 4)[: len(boxes)]


def _observation(group: _Group, members: Detections, now: float) -> Observation:
    label = Counter(members.names()).most_common(1)[0][0]
    data = {"count": len(members), "dwell_s": round(now - group.streak.since, 2)}
    return Observation(f"group/{group.number}", label, float(members.confidence.mean()), group.box, data)
