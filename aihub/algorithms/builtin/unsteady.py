"""Faults that only time shows: a camera that shakes, light that flickers, pictures that come too seldom."""

from __future__ import annotations

from collections import deque

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.picture_quality import clearness
from aihub.algorithms.cells import F32, Slopes, in_cells, moved_by, scene_slopes
from aihub.algorithms.grey import small_grey
from aihub.types import AnyResult, Frame, Predictor, Quality

OUTAGE_S = 3.0
"""After a longer gap between frames two pictures say nothing about movement."""
MOST_LOOKS = 256
"""Looks that are remembered at most; at 60 a second more than any window here."""


class ShakingParams(StageParams):
    """Settings of `shaking-picture`."""

    shake: float = Field(
        0.005,
        gt=0,
        le=0.5,
        description="Root mean square of the jumps from picture to picture, as a share of its longer side, from which it shakes.",
    )
    window: float = Field(3.0, ge=1, le=60, description="Seconds that are looked at together.")


class ShakingPicture(Stage[ShakingParams]):
    """The whole picture jumps to and fro: wind on the mast, traffic on the bridge, a loose mount.

    How far the picture moved since the last look comes from phase correlation of its edges, and is believed only where the
    two pictures fit better when moved by it; so things that move in the scene do not count. An even pan is not shaking: its
    mean over the window is taken off.
    """

    name = "shaking-picture"
    stateful = True

    def __init__(self, params: ShakingParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._before: Slopes | None = None
        self._jumps: deque[tuple[float, float, float]] = deque(maxlen=MOST_LOOKS)
        self._last = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Size of the jumps in the window against the limit."""
        now, seen = frame.monotonic, scene_slopes(frame)
        elapsed, self._last = now - self._last, now
        before, self._before = self._before, seen
        if before is None or before[0].shape != seen[0].shape or not 0 <= elapsed <= OUTAGE_S:
            self._jumps.clear()
            return Quality(False, 0.0, {"shake": 0.0})
        across, down = moved_by(before, seen)
        side = max(seen[0].shape)
        self._jumps.append((now, across / side, down / side))
        while now - self._jumps[0][0] > self.params.window:
            self._jumps.popleft()
        table = np.array(self._jumps)
        shake, looks = 0.0, len(table)
        if looks >= 4 and now - table[0, 0] >= 0.6 * self.params.window:
            away = table[:, 1:] - table[:, 1:].mean(axis=0)
            jumps = np.hypot(away[:, 0], away[:, 1])
            # one jump is a knock: without the two largest it must still shake
            shake = float(np.sqrt(np.mean(np.sort(jumps)[: max(looks - 2, 1)] ** 2)))
        score = clearness(shake, self.params.shake, 8 * self.params.shake)
        return Quality(score >= 0.5, score, {"shake": shake})


class FlickeringParams(StageParams):
    """Settings of `flickering-picture`."""

    swing: float = Field(
        4.0,
        gt=0,
        le=100,
        description="Root mean square of the change of brightness from picture to picture, in grey levels, from which it flickers.",
    )
    window: float = Field(4.0, ge=1, le=60, description="Seconds that are looked at together.")
    reversals: float = Field(
        1.0,
        gt=0,
        le=30,
        description="Turns from brighter to darker or back, a second, that it takes at least.",
    )


class FlickeringPicture(Stage[FlickeringParams]):
    """The whole picture gets brighter and darker again and again: lamps, a failing power supply, an exposure that hunts.

    From look to look the change of brightness is taken in each cell, and the median over the cells that are neither black
    nor white: what moves is in some cells only. One way only, as at dusk, is not flicker.
    """

    name = "flickering-picture"
    stateful = True

    def __init__(self, params: FlickeringParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._before: F32 = np.zeros((0, 0), np.float32)
        self._steps: deque[tuple[float, float]] = deque(maxlen=MOST_LOOKS)
        self._last = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Changes of brightness in the window against the limit."""
        now = frame.monotonic
        seen = frame.memo.get(("cell-means",), lambda: in_cells(small_grey(frame).astype(np.float32)))
        elapsed, self._last = now - self._last, now
        before, self._before = self._before, seen
        if before.shape != seen.shape or not 0 <= elapsed <= OUTAGE_S:
            self._steps.clear()
            return Quality(False, 0.0, {"swing": 0.0, "reversals_per_s": 0.0})
        fit = (before > 12) & (before < 243) | (seen > 12) & (seen < 243)
        step = float(np.median((seen - before)[fit])) if fit.any() else 0.0
        self._steps.append((now, step))
        while now - self._steps[0][0] > self.params.window:
            self._steps.popleft()
        table = np.array(self._steps)
        span = now - table[0, 0]
        if len(table) < 6 or span < 0.6 * self.params.window:
            return Quality(False, 0.0, {"swing": 0.0, "reversals_per_s": 0.0})
        large = table[np.abs(table[:, 1]) >= self.params.swing / 3, 1]
        turns = float(np.count_nonzero(np.diff(np.sign(large))) / span)
        swing = float(np.sqrt(np.mean(table[:, 1] ** 2)))
        score = clearness(swing, self.params.swing, 8 * self.params.swing)
        if turns < self.params.reversals:
            score = min(score, 0.4999)
        return Quality(score >= 0.5, score, {"swing": swing, "reversals_per_s": turns})


class FrameRateParams(StageParams):
    """Settings of `frame-rate`."""

    fps: float = Field(2.0, gt=0, le=60, description="Least pictures a second.")
    window: float = Field(10.0, ge=1, le=600, description="Seconds over which they are counted.")


class FrameRate(Stage[FrameRateParams]):
    """Pictures come too seldom: an overloaded camera, a thin line, a recorder that skips.

    Counts the frames that are analysed, by the time at which they were decoded. Says nothing before half the window is full.
    """

    name = "frame-rate"
    stateful = True

    def __init__(self, params: FrameRateParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._times: deque[float] = deque(maxlen=4096)
        self._begun: float | None = None

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Frames a second in the window against the limit."""
        now = frame.monotonic
        if self._begun is None or (self._times and now < self._times[-1]):
            self._times.clear()
            self._begun = now
        self._times.append(now)
        # one that is older stays: the gap up to now is part of the window
        while len(self._times) > 2 and self._times[1] <= now - self.params.window:
            self._times.popleft()
        known = now - self._begun
        if len(self._times) < 2 or known < self.params.window / 2:
            return Quality(False, 0.0, {"known_s": known})
        times = np.array(self._times)
        rate = float((len(times) - 1) / max(times[-1] - times[0], 1e-6))
        score = clearness(rate, self.params.fps * (1 - 1e-6), 0.0)
        return Quality(
            score >= 0.5, score, {"frames_per_s": rate, "longest_gap_s": float(np.diff(times).max())}
        )
