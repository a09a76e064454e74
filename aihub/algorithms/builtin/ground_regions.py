"""Where the ground changed, region by region, and which kind of change each is."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from aihub.types import Detections, Frame

Mask = npt.NDArray[np.bool_]

WEAKER = 0.4
"""Around what is clear, this share of the difference is enough to belong to the same thing."""
SETTLED_SHARE = 0.5
"""Of what belongs to a thing, so much must have kept still for long enough: half a thing has no outline."""
LABELS = ("left", "removed")
MOST_REGIONS = 40
MOST_AREA = 0.35
"""A region above this share of the picture is no thing: part of the light changed."""
SAME_TEXTURE = 0.8
"""Correlation from which the ground shows through: a shadow or a patch of light lies on it."""
CERTAIN = 0.7
"""Step across an outline, as a share of the difference, from which it is a thing however much it looks like the ground."""
LEAST_TEXTURE = 5.0
"""Deviation in grey levels below which there is no texture to compare."""
LEAST_EDGE = 8.0
"""Step across an outline, in grey levels, below which it is the soft rim of a shadow."""
LEAST_SHARPNESS = 0.35
"""The same as a share of the difference between thing and ground."""
BAND = 2
"""Pixels of the small picture by which an outline is widened to either side."""


class Regions:
    """Boxes around changes.

    Args:
        min_area: least size, as a share of the picture.
    """

    def __init__(self, min_area: float) -> None:
        self._min_area = min_area

    def find(
        self, frame: Frame, standing: MatLike, ground: MatLike, settled: Mask, limit: MatLike
    ) -> tuple[Detections, Mask]:
        """Tell what was left from what was taken, and both from light.

        Args:
            frame: gives the size of the boxes.
            standing: `(H, W)` float32, the picture of what keeps still now.
            ground: `(H, W)` float32, the ground as it was learnt.
            settled: `(H, W)`, where the two differ for long enough.
            limit: `(H, W)` float32, difference that counts, per pixel.

        Returns:
            The rows, surest first, and the `(H, W)` mask of what was only light.
        """
        lit: Mask = np.zeros(settled.shape, np.bool_)
        apart = cv2.absdiff(standing, ground)
        solid = np.asarray(cv2.morphologyEx(settled.astype(np.uint8), cv2.MORPH_OPEN, _SPECK), np.uint8)
        near = np.asarray(cv2.dilate(solid, _NEAR), np.uint8)
        weak = (apart > WEAKER * limit).astype(np.uint8) & near
        body = solid | weak
        number, areas, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(body, _REACH))
        rows: list[tuple[float, ...]] = []
        order = np.argsort(-stats[1:number, cv2.CC_STAT_AREA])[:MOST_REGIONS] + 1
        for region in order.tolist():
            x, y, width, height = stats[region, :4].tolist()
            part = (slice(max(y - 4, 0), y + height + 4), slice(max(x - 4, 0), x + width + 4))
            inside = (body[part] > 0) & (areas[part] == region)
            share = inside.sum() / settled.size
            if (settled[part] & inside).sum() < max(
                self._min_area * settled.size, SETTLED_SHARE * inside.sum()
            ):
                continue
            kind = -1 if share > MOST_AREA else _kind(standing[part], ground[part], inside)
            if kind < 0:
                lit[part] |= inside
                continue
            down, across = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
            clearness = float((np.abs(standing[part] - ground[part]) / limit[part])[inside].mean())
            left, top = part[1].start, part[0].start
            box = (left + across[0], top + down[0], left + across[-1] + 1, top + down[-1] + 1)
            rows.append((*map(float, box), max(clearness, 1.0), float(kind)))
        return _detections(frame, rows, settled.shape), lit


def _kind(standing: MatLike, ground: MatLike, inside: Mask) -> int:
    """0 left, 1 removed, -1 neither: another light on the same ground."""
    after, before = standing[inside], ground[inside]
    height = float(np.abs(after - before).mean())
    now, then = _step(standing, inside), _step(ground, inside)
    sharp = abs(now - then)
    if sharp < max(LEAST_EDGE, LEAST_SHARPNESS * height):
        return -1
    rough = min(before.std(), after.std()) >= LEAST_TEXTURE
    if rough and sharp < CERTAIN * height and np.corrcoef(before, after)[0, 1] >= SAME_TEXTURE:
        return -1
    return 0 if now > then else 1


def _step(picture: MatLike, inside: Mask) -> float:
    """Grey levels by which the picture differs on the two sides of an outline, half of the way around."""
    area = inside.astype(np.uint8)
    zero = {"borderType": cv2.BORDER_CONSTANT, "borderValue": (0,)}
    within = (area - cv2.erode(area, _BAND, **zero)).astype(np.float32)  # type: ignore[call-overload]
    without = (cv2.dilate(area, _BAND, **zero) - area).astype(np.float32)  # type: ignore[call-overload]
    sums = [cv2.boxFilter(one, -1, (2 * BAND + 1,) * 2, normalize=False, borderType=cv2.BORDER_CONSTANT)
            for one in (within, without, picture * within, picture * without)]  # fmt: skip
    outline = (area > cv2.erode(area, _SPECK, **zero)) & (sums[0] > 0.5) & (sums[1] > 0.5)  # type: ignore[call-overload]
    if not outline.any():
        return 0.0
    here, there = sums[2][outline] / sums[0][outline], sums[3][outline] / sums[1][outline]
    return float(np.median(np.abs(here - there)))


def _detections(frame: Frame, rows: list[tuple[float, ...]], shape: tuple[int, ...]) -> Detections:
    if not rows:
        return Detections.empty(LABELS)
    table = np.array(sorted(rows, key=lambda row: -row[4]), np.float64)
    scale = np.array([frame.width / shape[1], frame.height / shape[0]] * 2)
    boxes = (table[:, :4] * scale).astype(np.float32)
    confidence = (1 - 0.6 / table[:, 4]).astype(np.float32)
    return Detections(boxes, confidence, table[:, 5].astype(np.int32), LABELS)


_SPECK: MatLike = np.ones((3, 3), np.uint8)
_NEAR: MatLike = np.ones((25, 25), np.uint8)
_REACH: MatLike = np.ones((7, 7), np.uint8)
_BAND: MatLike = np.ones((2 * BAND + 1, 2 * BAND + 1), np.uint8)
