"""Stage `ground-changes`: what was put down before a still camera, and what was taken away. Two pictures of the ground, no network.

The ground as it was learnt is held against the picture of what keeps still now (two backgrounds of different speed, after
Porikli, "Detection of temporarily static regions by processing video at different frame rates", AVSS 2007). What differs
between the two was left there or was taken away; which of the two, its outline says: a thing brings its edges along.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.ground_light import same_light
from aihub.algorithms.builtin.ground_regions import LABELS, Regions
from aihub.algorithms.grey import small_grey
from aihub.types import AnyResult, Detections, Frame, Predictor
from aihub.types.geometry import box_iou

Mask = npt.NDArray[np.bool_]

LIVELY = (
    "person", "bicycle", "car", "motorcycle", "bus", "train", "truck", "boat", "bird", "cat", "dog", "horse", "sheep",
    "cow",
)  # fmt: skip
"""What comes and goes by itself: where it is, nobody knows the ground, and it is never what was left."""
LEAST_CONTRAST = (30.0, 8.0)
"""Grey levels by which something must differ from the ground, at sensitivity 0 and 1."""
NOISE_FACTOR = 5.0
"""The same in mean deviations of the pixel."""
WARM_UP_S = 1.0
"""Seconds for which a place must be clear before its ground is known: the mean of all that it showed in that time."""
FOLLOWING_S = 8.0
"""Time constant with which the ground follows slow changes of light."""
ABSORBING_S = 7200.0
"""Time constant with which what was left becomes ground."""
FADING_S = 10.0
"""Time constant with which a shadow becomes ground."""
RECENT_S = 0.4
"""Time constant of the mean picture by which stirring is told from keeping still."""
STANDING_S = 2.0
"""Time constant of the picture of what keeps still."""
SETTLED_S = 1.5
"""Seconds for which something must keep still before it is reported."""
MOST_S = 3.0
"""Stillness is counted up to here, so that what goes is forgotten soon."""
GOING = 4.0
"""Times as fast as it grew, stillness goes where the ground shows again; a quarter as fast where something stirs."""
SWEEPING = 0.5
"""When more of the picture changed at once, the camera did: the ground is learnt anew."""
OUTAGE_S = 15.0
"""After a longer gap between frames nothing is known of the ground."""
AROUND = 0.1
"""Share of a box by which the place of somebody reaches beyond it: shadows, bags, feet."""
FAR_AROUND = 0.4
"""The same while the ground under them is not known yet: what an arm hid must not be taken for ground."""
SAME_THING_IOU = 0.3


class GroundChangesParams(StageParams):
    """How little counts. Keep the defaults where you can: equal settings are one ground a stream."""

    sensitivity: float = Field(0.5, ge=0, le=1, description="From 0, only the obvious, to 1, the faintest.")
    min_area: float = Field(
        0.0006,
        ge=0,
        le=1,
        description="Least size of what was left or taken, as a share of the picture's area.",
    )
    lively: float = Field(
        0.25, ge=0, le=1, description="Confidence from which people, vehicles and animals hide the ground."
    )


class GroundChanges(Stage[GroundChangesParams]):
    """What was found before, and rows labelled `left` and `removed`, in pixels of the frame.

    A row comes once the thing has kept still for 1.5 seconds, and stays for as long as it stands. `attributes` names what
    the detector takes it for (`{"thing": "suitcase"}`), where it knows. A single picture shows no change. Works on the
    shared grey picture of 320 pixels; some 2 MB a stream.
    """

    name = "ground-changes"
    stateful = True

    def __init__(self, params: GroundChangesParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        nothing: MatLike = np.zeros((0, 0), np.float32)
        self._ground = self._noise = self._recent = self._standing = self._still = self._clear = nothing
        self._last = 0.0
        low, high = LEAST_CONTRAST
        self._contrast = low + (high - low) * params.sensitivity
        self._regions = Regions(params.min_area)
        self._labels: tuple[tuple[str, ...], tuple[str, ...]] = ((), LABELS)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class."""
        things = found if isinstance(found, Detections) else Detections.empty()
        now, picture = frame.monotonic, cv2.blur(small_grey(frame), (3, 3)).astype(np.float32)
        hidden = self._hidden(frame, things, picture.shape, AROUND)
        unclear = self._hidden(frame, things, picture.shape, FAR_AROUND)
        elapsed, self._last = now - self._last, now
        if picture.shape != self._ground.shape or not 0 <= elapsed <= OUTAGE_S:
            self._learn_anew(picture)
            return self._with(things, Detections.empty(LABELS))
        self._discover(picture, unclear, elapsed)
        known = _clear_for(self._clear)
        self._ground = same_light(self._ground, picture, known & ~hidden)
        change = cv2.absdiff(picture, self._ground)
        limit: MatLike = np.maximum(self._noise * np.float32(NOISE_FACTOR), np.float32(self._contrast))
        differs = (change > limit) & known & ~hidden
        if differs.mean() > SWEEPING:
            self._learn_anew(picture)
            return self._with(things, Detections.empty(LABELS))
        stirs = np.asarray(cv2.absdiff(picture, self._recent) > limit)
        self._age(picture, limit, differs, stirs, hidden, elapsed)
        self._follow(picture, change, known & ~differs & ~hidden & ~stirs, elapsed)
        settled = self._still >= SETTLED_S
        changes, lit = self._regions.find(frame, self._standing, self._ground, settled, limit)
        fading = _share(elapsed, FADING_S)
        cv2.accumulateWeighted(self._standing, self._ground, fading, mask=lit.astype(np.uint8))
        return self._with(things, changes)

    def _hidden(self, frame: Frame, things: Detections, shape: tuple[int, ...], around: float) -> Mask:
        """Pixels of the small picture where somebody is."""
        lively = things[things.confidence >= self.params.lively].select(LIVELY)
        cover = np.zeros(shape, np.uint8)
        boxes = lively.xyxy.astype(np.float64)
        margin = (boxes[:, 2:] - boxes[:, :2]) * around
        scale = np.array([shape[1] / frame.width, shape[0] / frame.height])
        first = np.floor((boxes[:, :2] - margin) * scale).astype(int)
        last = np.ceil((boxes[:, 2:] + margin) * scale).astype(int)
        for (x1, y1), (x2, y2) in zip(first.tolist(), last.tolist(), strict=True):
            cv2.rectangle(cover, (x1, y1), (x2, y2), 1, cv2.FILLED)
        return np.asarray(cover > 0)

    def _learn_anew(self, picture: MatLike) -> None:
        self._ground, self._recent, self._standing = picture.copy(), picture.copy(), picture.copy()
        self._noise, self._still, self._clear = (np.zeros_like(picture) for _ in range(3))

    def _discover(self, picture: MatLike, unclear: Mask, elapsed: float) -> None:
        """Learn ground that is not known yet, where nobody is; whoever comes by in that time sets its clock back."""
        learning = ~_clear_for(self._clear)
        self._clear[learning & unclear] = 0
        learning &= ~unclear
        if not learning.any():
            return
        clear = self._clear[learning] + np.float32(elapsed)
        weight, seen = np.float32(elapsed) / np.maximum(clear, np.float32(1e-3)), picture[learning]
        self._clear[learning] = clear
        off = np.abs(seen - self._ground[learning]) * (weight < 1)
        self._noise[learning] += (off - self._noise[learning]) * weight
        self._ground[learning] += (seen - self._ground[learning]) * weight
        self._standing[learning] = self._ground[learning]

    def _age(
        self, picture: MatLike, limit: MatLike, differs: Mask, stirs: Mask, hidden: Mask, elapsed: float
    ) -> None:
        """Count for how long each pixel has shown the same thing that is not the ground."""
        shows = ~stirs & ~hidden
        same = np.asarray(cv2.absdiff(picture, self._standing) <= limit)
        steady, ground = differs & shows, ~differs & ~hidden
        another = steady & ~same
        grown = np.where(steady & same, np.float32(elapsed), np.float32(0))
        grown[ground] = -GOING * elapsed
        grown[stirs & differs] = -elapsed / GOING
        self._still = np.asarray(np.clip(self._still + grown, 0, MOST_S), np.float32)
        self._still[another] = 0
        gone = another | (ground & shows)
        self._standing[gone] = picture[gone]
        kept = (steady & same).astype(np.uint8)
        cv2.accumulateWeighted(picture, self._standing, _share(elapsed, STANDING_S), mask=kept)
        cv2.accumulateWeighted(picture, self._recent, _share(elapsed, RECENT_S))

    def _follow(self, picture: MatLike, change: MatLike, ground: Mask, elapsed: float) -> None:
        seen = ground.astype(np.uint8)
        cv2.accumulateWeighted(picture, self._ground, _share(elapsed, FOLLOWING_S), mask=seen)
        cv2.accumulateWeighted(change, self._noise, _share(elapsed, FOLLOWING_S), mask=seen)
        stands = (self._still >= SETTLED_S).astype(np.uint8)
        cv2.accumulateWeighted(self._standing, self._ground, _share(elapsed, ABSORBING_S), mask=stands)

    def _with(self, things: Detections, changes: Detections) -> Detections:
        """Rows of both, under the labels of both."""
        if things.labels is not self._labels[0]:
            more = tuple(label for label in LABELS if label not in things.labels)
            self._labels = (things.labels, (*things.labels, *more))
        labels = self._labels[1]
        ids = np.array([labels.index(label) for label in LABELS], np.int32)[changes.class_id]
        attributes: tuple[dict[str, str], ...] = ({},) * len(things)
        return replace(
            things,
            xyxy=np.concatenate([things.xyxy, changes.xyxy]),
            confidence=np.concatenate([things.confidence, changes.confidence]),
            class_id=np.concatenate([things.class_id, ids]),
            labels=labels,
            track_id=None,
            keypoints=None,
            attributes=attributes + _called(things, changes),
        )


def _called(things: Detections, changes: Detections) -> tuple[dict[str, str], ...]:
    """What the detector takes each change for."""
    if not len(things) or not len(changes):
        return ({},) * len(changes)
    same = box_iou(changes.xyxy, things.xyxy)
    best, names = same.argmax(axis=1), things.names()
    return tuple(
        {"thing": names[thing]} if same[row, thing] >= SAME_THING_IOU else {}
        for row, thing in enumerate(best.tolist())
    )


def _clear_for(seconds: MatLike) -> Mask:
    """Where the ground is known."""
    return np.asarray(seconds >= WARM_UP_S - 1e-3)


def _share(elapsed: float, constant: float) -> float:
    """Weight of the newest picture in a running mean with that time constant."""
    return 1 - math.exp(-elapsed / constant)
