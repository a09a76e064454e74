"""Rule `unattended`: a machine runs, and nobody is with it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.grey import small_grey
from aihub.errors import ParamsError
from aihub.streams.ruling import OUTAGE_S, Inertia, Region, Seconds, Streak, Zone, detections_of, relative
from aihub.types import AnyResult, Detections, Findings, Frame, Observation, Predictor
from aihub.types.geometry import overlap_of_smaller

CONTRAST = 14
"""Grey levels by which a pixel must change from one analysed frame to the next."""
RUNNING_S = 1.5
"""Time constant of the share of the machine that changes: wheels stand still for a moment as cameras see them."""


class UnattendedParams(StageParams):
    """Where the machine is, where its people stand, for how long."""

    machine: Zone = Field(description="Polygon around the part that moves while it runs.")
    zone: Zone = Field((), description="Polygon where somebody attends it; none for the whole picture.")
    moving: float = Field(0.02, gt=0, le=1, description="Share of the machine that changes between frames while it runs.")  # fmt: skip
    dwell: Seconds = Field(30.0, description="Seconds of running with nobody in the zone.")
    inertia: Inertia = Field(3, description="Consecutive analysed frames running and unattended before the clock starts.")  # fmt: skip


class Unattended(Stage[UnattendedParams]):
    """An observation `zone`, labelled `machine`, while the machine runs and nobody is there, after `dwell` seconds; `unattended_s` in data.

    It runs while a share of the pixels within `machine` keeps changing; what changes while somebody is before it is not counted.
    Measures: `count` of people in the zone, `moving` share, `running` 0 or 1.
    """

    name = "unattended"
    stateful = True

    def __init__(self, params: UnattendedParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        if not params.machine:
            raise ParamsError("machine: a polygon around the machine is needed", field="machine")
        self._region = Region(params.zone)
        self._place = Region(params.machine)
        self._alone = Streak(params.inertia)
        self._before: npt.NDArray[np.uint8] | None = None
        self._mask: npt.NDArray[np.uint8] = np.zeros((0, 0), np.uint8)
        self._last = 0.0
        self._share = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        people, now = detections_of(found, self.name), frame.monotonic
        boxes = relative(frame, people.xyxy)
        here = people[self._region.holds(boxes)]
        hidden = (
            bool((overlap_of_smaller(boxes, np.array([self._place.box])) > 0).any()) if len(boxes) else False
        )
        self._look(frame, hidden=hidden)
        running = self._share >= self.params.moving
        holds = self._alone.update(now, holds=running and not len(here))
        measures = {"count": float(len(here)), "moving": self._share, "running": float(running)}
        if not holds or not self._alone.held(now, self.params.dwell):
            return Findings(here, measures=measures)
        return Findings(here, (self._observation(now, here),), measures)

    def _observation(self, now: float, here: Detections) -> Observation:  # noqa: ARG002 - nobody is there
        data = {"unattended_s": round(now - self._alone.since, 2)}
        return Observation("zone", "machine", min(1.0, self._share / (2 * self.params.moving)), self._place.box, data)  # fmt: skip

    def _look(self, frame: Frame, *, hidden: bool) -> None:
        """Follow the share of the machine's pixels that change."""
        grey = np.asarray(cv2.blur(small_grey(frame), (3, 3)), np.uint8)
        elapsed, self._last = frame.monotonic - self._last, frame.monotonic
        before, self._before = self._before, grey
        if before is None or before.shape != grey.shape or not 0 < elapsed <= OUTAGE_S:
            self._share, self._mask = 0.0, self._inside(grey.shape)
            return
        if hidden:
            return
        changed = cv2.bitwise_and((cv2.absdiff(grey, before) > CONTRAST).astype(np.uint8), self._mask)
        share = cv2.countNonZero(changed) / max(cv2.countNonZero(self._mask), 1)
        self._share += (share - self._share) * (1 - float(np.exp(-elapsed / RUNNING_S)))

    def _inside(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        assert self._place.polygon is not None  # noqa: S101 - asked when made
        corners = np.round(self._place.polygon * np.array([shape[1] - 1, shape[0] - 1])).astype(np.int32)
        mask = np.zeros(shape[:2], np.uint8)
        cv2.fillPoly(mask, [corners], (1,))
        return mask
