"""Stages that hold a zone against how it usually looks: its structure, its colour, its lights at night."""

from __future__ import annotations

import math
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage
from aihub.algorithms.builtin.picture_quality import clearness
from aihub.algorithms.builtin.scene_memory import DETAILED, UNLIKE, MemoryParams, Remembering
from aihub.algorithms.cells import F32, in_cells, likeness, scene_slopes, strength
from aihub.algorithms.colours import small_colours
from aihub.algorithms.grey import small_grey
from aihub.types import AnyResult, Detections, Frame, Predictor, Quality

Point = tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]]
Mask = npt.NDArray[np.bool_]

WHOLE: tuple[Point, ...] = ((0, 0), (1, 0), (1, 1), (0, 1))


class ZoneParams(MemoryParams):
    """A part of the picture that is remembered."""

    zone: tuple[Point, ...] = Field(WHOLE, min_length=3, description="Polygon in relative coordinates.")


def zone_mask(zone: tuple[Point, ...], height: int, width: int) -> Mask:
    """Which pixels of a picture lie in a zone; at least one does."""
    corners = np.array(zone, np.float64) * (width, height)
    mask = cv2.fillPoly(
        np.zeros((height, width), np.uint8), [np.round(corners * 16).astype(np.int32)], 1, shift=4
    )
    inside = np.asarray(mask, np.uint8) > 0
    if not inside.any():
        row, column = min(int(corners[0, 1]), height - 1), min(int(corners[0, 0]), width - 1)
        inside[row, column] = True
    return inside


class ZoneChangeParams(ZoneParams):
    """Settings of `zone-change`."""

    share: float = Field(0.35, gt=0, lt=1, description="Share of the zone that must look different.")


class ZoneChange(Remembering[ZoneChangeParams]):
    """The zone does not look as it did: something was opened, fell, was put there or taken away.

    Structure is compared cell by cell, as `shifted-view` does, so that light counts little. The first looks are the reference.
    """

    name = "zone-change"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Share of the zone's cells that show something else against the limit."""
        now, seen = frame.monotonic, scene_slopes(frame)
        both: F32 = np.stack(seen)
        known = self._reference.known
        if not self._reference.fits(both, now) or known is None:
            return Quality(False, 0.0, {"changed_share": 0.0})
        before = (known[0], known[1])
        inside = in_cells(zone_mask(self.params.zone, *seen[0].shape).astype(np.float32))
        cells = inside > min(0.4, float(inside.max()) / 2)
        had, has = strength(before), strength(seen)
        # a blank cell that stays blank is the same; one that won or lost its structure is not
        other = ((had > DETAILED) | (has > DETAILED)) & (likeness(before, seen) < UNLIKE)
        changed = float(other[cells].mean())
        score = clearness(changed, self.params.share, 1.0)
        self._reference.follow(
            both, now, strange=changed > self.params.share / 3, accept_s=self.params.accept
        )
        return Quality(score >= 0.5, score, {"changed_share": changed})


class ZoneColourParams(ZoneParams):
    """Settings of `zone-colour`."""

    change: float = Field(
        9.0, gt=0, le=100, description="Change of colour, in units of CIE Lab, from which a place counts."
    )
    share: float = Field(0.2, gt=0, lt=1, description="Share of the zone that must have changed.")


class ZoneColour(Remembering[ZoneColourParams]):
    """The zone has another colour than it had: dye, algae, mud, a discharge.

    Only hue and saturation are compared, for brightness changes with the hour; and where there is picture around the zone,
    what changed there too, with the light or the camera's white balance, is taken off.
    """

    name = "zone-colour"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Share of the zone that changed colour against the limit."""
        now, seen = frame.monotonic, frame.memo.get(("soft-tints",), lambda: _soft_tints(frame))
        known = self._reference.known
        if not self._reference.fits(seen, now) or known is None:
            return Quality(False, 0.0, {"changed_share": 0.0, "colour_change": 0.0})
        inside = zone_mask(self.params.zone, *seen.shape[:2])
        step = seen - known
        around = step[~inside]
        if len(around) >= 0.1 * inside.size:
            step = step - np.median(around, axis=0)
        size = np.hypot(step[..., 0], step[..., 1])[inside]
        changed = float(np.mean(size > self.params.change))
        score = clearness(changed, self.params.share, 1.0)
        self._reference.follow(
            seen, now, strange=changed > self.params.share / 2, accept_s=self.params.accept
        )
        return Quality(
            score >= 0.5, score, {"changed_share": changed, "colour_change": float(np.median(size))}
        )


def _soft_tints(frame: Frame) -> F32:
    """a and b of CIE Lab, smoothed, `(height, width, 2)`: glitter and ripples are evened out."""
    soft = cv2.blur(small_colours(frame), (7, 7))
    lab = np.asarray(cv2.cvtColor(soft, cv2.COLOR_BGR2LAB), np.float32)
    return lab[..., 1:] - np.float32(128)


LABELS = ("light",)
MOST_LIGHTS = 50
OUTAGE_S = 15.0


class NightLightsParams(ZoneParams):
    """Settings of `night-lights`."""

    dark: float = Field(50.0, ge=1, le=255, description="Median luma of the picture below which it is night.")
    contrast: float = Field(
        40.0, ge=1, le=255, description="Grey levels by which a light stands out from what is around it."
    )
    dwell: float = Field(
        10.0, ge=0, le=86400, description="Seconds for which a light must shine in its place."
    )


class NightLights(Stage[NightLightsParams]):
    """Detections labelled `light`: lights at night that are not usually there, and stay.

    Where lights shine is remembered; those of the first looks are usual, and what shines for long becomes so. By day nothing
    is found and nothing learned. Headlights move on before the dwell is over.
    """

    name = "night-lights"
    stateful = True

    def __init__(self, params: NightLightsParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        nothing: F32 = np.zeros((0, 0), np.float32)
        self._usual, self._shining, self._seen = nothing, nothing, nothing
        self._night = self._last = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:  # noqa: ARG002 - a first stage
        """See the class."""
        grey, now = small_grey(frame, 480), frame.monotonic
        if self._usual.shape != grey.shape or now < self._last:
            self._usual, self._shining, self._seen = (np.zeros(grey.shape, np.float32) for _ in range(3))
            self._night, self._last = 0.0, now
        elapsed, self._last = min(now - self._last, OUTAGE_S), now
        if float(np.median(grey)) >= self.params.dark:
            self._shining[:] = 0
            return Detections.empty(LABELS)
        self._night += elapsed
        lit = _lights(grey, self.params.contrast) & zone_mask(self.params.zone, *grey.shape)
        self._seen = np.where(lit, np.float32(0), self._seen + np.float32(elapsed))
        # a light that flickers is still the same for a second
        self._shining = np.where(self._seen <= 1.0, self._shining + np.float32(elapsed) * lit, np.float32(0))
        learning = self._night <= self.params.learn
        share = 1.0 if learning else 1 - math.exp(-elapsed / self.params.memory)
        self._usual = (
            np.maximum(self._usual, lit)
            if learning
            else self._usual + np.float32(share) * (lit - self._usual)
        )
        near = np.asarray(cv2.dilate(self._usual, _NEAR), np.float32)
        fresh = (self._shining >= self.params.dwell) & (near < 0.5) & (self._seen <= 1.0)
        return _boxes(frame, fresh, grey)


def _lights(grey: npt.NDArray[np.uint8], contrast: float) -> Mask:
    around = (
        cv2.medianBlur(cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), 9)
        if min(grey.shape) >= 8
        else grey
    )
    ground = np.asarray(cv2.resize(around, grey.shape[::-1], interpolation=cv2.INTER_LINEAR), np.int16)
    return np.asarray(grey.astype(np.int16) - ground > contrast)


def _boxes(frame: Frame, lit: Mask, grey: npt.NDArray[np.uint8]) -> Detections:
    if not lit.any():
        return Detections.empty(LABELS)
    spread = cv2.dilate(lit.view(np.uint8), _NEAR)
    count, _, stats, _ = cv2.connectedComponentsWithStats(spread, connectivity=8)
    rows = stats[1:count]
    rows = rows[np.argsort(-rows[:, cv2.CC_STAT_AREA], kind="stable")[:MOST_LIGHTS], :4].astype(np.float64)
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], axis=1)
    scale = np.array([frame.width / grey.shape[1], frame.height / grey.shape[0]] * 2)
    boxes = np.clip(corners * scale, 0, [frame.width, frame.height] * 2).astype(np.float32)
    return Detections(boxes, np.full(len(boxes), 0.8, np.float32), np.zeros(len(boxes), np.int32), LABELS)


_NEAR: npt.NDArray[np.uint8] = np.ones((7, 7), np.uint8)
