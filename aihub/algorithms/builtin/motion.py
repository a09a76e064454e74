"""Stage `motion`: boxes around what moves before a still camera. A running background, no network."""

from __future__ import annotations

import math

import cv2
import numpy as np
from cv2.typing import MatLike
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.grey import small_grey
from aihub.types import AnyResult, Detections, Frame, Predictor

LABELS = ("moving",)
LEAST_CONTRAST = (28.0, 6.0)
"""Grey levels by which something must differ from the background, at sensitivity 0 and 1."""
NOISE_FACTOR = (8.0, 3.0)
"""The same in mean deviations of the pixel: leaves and water move all the time."""
SETTLING_S = 8.0
"""Time constant with which still ground follows slow changes of light."""
ABSORBING_S = 30.0
"""Time constant with which what keeps moving in one place becomes ground."""
STOPPED_S = 3.0
"""Time constant with which a thing that stopped becomes ground."""
RECENT_S = 0.4
"""Time constant of the mean picture by which stirring is told from keeping still."""
STIRRED = 0.05
"""Share of a thing's pixels that must stir for it to be moving."""
SWEEPING = 0.5
"""When more of the picture changed at once, the light or the camera did: the ground is learnt anew."""
RELIT = 0.1
"""When more than this changed, and another light explains all but this much, it was the light."""
OUTAGE_S = 10.0
"""After a longer gap between frames nothing is known of the ground."""
MOST_BOXES = 50


class MotionParams(StageParams):
    """How little counts as motion."""

    sensitivity: float = Field(0.5, ge=0, le=1, description="From 0, only the obvious, to 1, the faintest.")
    min_area: float = Field(
        0.0005, ge=0, le=1, description="Least size of what moves, as a share of the picture's area."
    )
    warm_up: float = Field(
        1.5,
        ge=0,
        le=600,
        description="Seconds of looking before anything is reported, at the start and after a change of light.",
    )


class Motion(Stage[MotionParams]):
    """Detections labelled `moving`, in pixels of the frame. A single picture shows no motion.

    What differs from the ground and stirs is moving; what differs but keeps still (it stopped, or it left and the ground
    shows) soon becomes ground. Confidence grows with the contrast. Works on the shared grey picture of 320 pixels.
    """

    name = "motion"
    stateful = True

    def __init__(self, params: MotionParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        nothing: MatLike = np.zeros((0, 0), np.float32)
        self._ground = self._noise = self._recent = nothing
        self._since = self._last = 0.0
        self._contrast = _between(LEAST_CONTRAST, params.sensitivity)
        self._factor = _between(NOISE_FACTOR, params.sensitivity)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:  # noqa: ARG002 - a first stage
        """See the class."""
        now = frame.monotonic
        picture: MatLike = cv2.blur(small_grey(frame), (3, 3)).astype(np.float32)
        elapsed, self._last = now - self._last, now
        if picture.shape != self._ground.shape or not 0 <= elapsed <= OUTAGE_S:
            return self._learn_anew(picture, now)
        # automatic exposure lifts the whole picture: what most pixels did is not motion
        lift = float(np.median(picture[::8, ::8] - self._ground[::8, ::8]))
        change = cv2.absdiff(picture, self._ground + np.float32(lift))
        limit: MatLike = np.maximum(self._noise * np.float32(self._factor), np.float32(self._contrast))
        moved = cv2.compare(change, limit, cv2.CMP_GT)
        share = cv2.countNonZero(moved) / moved.size
        if share > (RELIT if abs(lift) < self._contrast / 2 else RELIT / 10) and self._relit(picture):
            return Detections.empty(LABELS)
        if share > SWEEPING:
            return self._learn_anew(picture, now)
        stirred = cv2.compare(cv2.absdiff(picture, self._recent), limit, cv2.CMP_GT)
        self._follow(picture, change, moved, stirred, elapsed)
        if now - self._since < self.params.warm_up:
            return Detections.empty(LABELS)
        return self._boxes(frame, moved, cv2.bitwise_and(moved, stirred), cv2.divide(change, limit))

    def _relit(self, picture: MatLike) -> bool:
        """Whether it is the same ground in another light: then the ground known is put into that light."""
        known, seen = self._ground[::8, ::8].ravel(), picture[::8, ::8].ravel()
        plain = np.ones(len(known), np.bool_)
        for _ in range(3):  # each time without what fits worst: something may move at the same moment
            design = np.stack([known[plain], np.ones(int(plain.sum()))], axis=1)
            (gain, lift), *_ = np.linalg.lstsq(design, seen[plain])
            off = np.abs(seen - gain * known - lift)
            plain = off <= np.quantile(off, 0.7)
        unexplained = np.mean(off > self._contrast)
        lifted = np.abs(seen - known - np.median(seen - known))
        if not gain > 0 or unexplained > min(RELIT, np.mean(lifted > self._contrast) / 2):
            return False
        self._ground = (self._ground * gain + lift).astype(np.float32)
        self._recent = picture.copy()
        return True

    def _learn_anew(self, picture: MatLike, now: float) -> Detections:
        self._ground, self._recent = picture.copy(), picture.copy()
        self._noise, self._since = np.zeros_like(picture), now
        return Detections.empty(LABELS)

    def _follow(
        self, picture: MatLike, change: MatLike, moved: MatLike, stirred: MatLike, elapsed: float
    ) -> None:
        # while warming up the ground is the mean of all that was seen, whatever moved in it
        looking = self._last - self._since
        still = _share(elapsed, min(SETTLING_S, max(looking, elapsed)))
        warm = looking >= self.params.warm_up
        area = cv2.dilate(cv2.bitwise_and(moved, stirred), _REACH)
        cv2.accumulateWeighted(picture, self._ground, still, mask=cv2.bitwise_not(moved))
        cv2.accumulateWeighted(
            picture,
            self._ground,
            _share(elapsed, STOPPED_S) if warm else still,
            mask=cv2.subtract(moved, area),
        )
        cv2.accumulateWeighted(
            picture,
            self._ground,
            _share(elapsed, ABSORBING_S) if warm else still,
            mask=cv2.bitwise_and(moved, area),
        )
        cv2.accumulateWeighted(change, self._noise, still, mask=cv2.bitwise_not(moved))
        cv2.accumulateWeighted(picture, self._recent, _share(elapsed, RECENT_S))

    def _boxes(self, frame: Frame, moved: MatLike, stirred: MatLike, clearness: MatLike) -> Detections:
        solid = cv2.dilate(cv2.morphologyEx(moved, cv2.MORPH_OPEN, _SPECK), _REACH)
        outlines, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        made: list[tuple[float, ...]] = []
        for outline in sorted(outlines, key=cv2.contourArea, reverse=True)[:MOST_BOXES]:
            x, y, width, height = cv2.boundingRect(outline)
            part = (slice(y, y + height), slice(x, x + width))
            area = cv2.countNonZero(moved[part])
            if area < self.params.min_area * moved.size or cv2.countNonZero(stirred[part]) < STIRRED * area:
                continue
            columns, rows = (np.flatnonzero(moved[part].any(axis=axis)) for axis in (0, 1))
            contrast = cv2.mean(clearness[part], mask=moved[part])[0]
            made.append((x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1, contrast))
        if not made:
            return Detections.empty(LABELS)
        table = np.array(sorted(made, key=lambda row: -row[4]), np.float64)
        scale = np.array([frame.width / moved.shape[1], frame.height / moved.shape[0]] * 2)
        confidence = (1 - np.exp(-table[:, 4] / 2)).astype(np.float32)
        boxes = (table[:, :4] * scale).astype(np.float32)
        return Detections(boxes, confidence, np.zeros(len(table), np.int32), LABELS)


def _share(elapsed: float, constant: float) -> float:
    """Weight of the newest picture in a running mean with that time constant."""
    return 1 - math.exp(-elapsed / max(constant, 1e-3))


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share


_SPECK: MatLike = np.ones((3, 3), np.uint8)
_REACH: MatLike = np.ones((9, 9), np.uint8)
