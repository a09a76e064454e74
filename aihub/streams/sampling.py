"""Which frames are analysed: a fixed rate, a gate that stays shut while nothing moves, a guard against floods."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from aihub.algorithms.grey import small_grey
from aihub.types import Frame, Image


class RateSampler:
    """Picks frames at a fixed rate on monotonic time.

    Instants are laid on a grid of `1 / fps`; each takes the first frame at or after it. Up to two instants may be
    owed, so that frames that arrive with jitter at the very rate asked for are all taken; older ones are let go, so
    that there is no burst after a gap. Over any time t fewer than `t * fps + 3` frames are taken.
    """

    __slots__ = ("_due", "_period")

    def __init__(self, fps: float) -> None:
        self._period = 1.0 / fps
        self._due: float | None = None

    def wants(self, now: float) -> bool:
        """Whether the frame of this moment, a `time.monotonic()`, is to be analysed."""
        if self._due is None:
            self._due = now
        owed = now - self._due
        if owed < 0:
            return False
        if owed >= 2 * self._period:
            self._due += (owed // self._period - 1) * self._period
        self._due += self._period
        return True


class MotionGate:
    """Lets frames through that differ from a running background, and one every `longest_s` in any case.

    The background follows the picture slowly, so that a parked car becomes part of it; what moves differs by more
    than `level` grey levels on more than `share` of the picture.
    """

    def __init__(
        self, *, level: int = 16, share: float = 0.002, follow: float = 0.05, longest_s: float = 1.0
    ) -> None:
        self._level = level
        self._share = share
        self._follow = follow
        self._longest_s = longest_s
        self._background: npt.NDArray[np.float32] | None = None
        self._passed = self._seen = -math.inf

    def passes(self, frame: Frame) -> bool:
        """Whether something moves in this frame, or it is time for a look anyway. Call once per frame, in order."""
        now = frame.monotonic
        moved = self._moved(small_grey(frame))
        # Due is the last frame that is still in time, if the next one takes as long to come as this one did.
        due = now + (now - self._seen) - self._passed > self._longest_s + 1e-3
        self._seen = now
        if moved or due:
            self._passed = now
        return moved or due

    def _moved(self, picture: Image) -> bool:
        if self._background is None or self._background.shape != picture.shape:
            self._background = picture.astype(np.float32)
            return True
        differs = cv2.absdiff(picture, cv2.convertScaleAbs(self._background))
        cv2.accumulateWeighted(picture, self._background, self._follow)
        _, mask = cv2.threshold(differs, self._level, 1, cv2.THRESH_BINARY)
        return cv2.countNonZero(mask) > self._share * picture.size


class RateGuard:
    """Slows a source that pours out more frames than any camera does.

    A burst after a stall is let through at full speed, since only its newest frame matters; a source that keeps it up
    may not take the processor from all others.
    """

    __slots__ = ("_at", "_burst", "_max_fps", "_spare")

    def __init__(self, max_fps: float, burst_s: float = 5.0) -> None:
        self._max_fps = max_fps
        self._burst = max_fps * burst_s
        self._spare = self._burst
        self._at: float | None = None

    def pause_s(self, now: float) -> float:
        """Count one frame; seconds to wait before the next one is read, mostly 0."""
        if self._at is not None:
            self._spare = min(self._burst, self._spare + (now - self._at) * self._max_fps)
        self._at = now
        self._spare -= 1.0
        return 0.0 if self._spare >= 0 else -self._spare / self._max_fps
