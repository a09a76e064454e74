"""Stage `traffic-light`: which lamp of a signal is lit, by colour alone (no network)."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.params import Point
from aihub.types import AnyResult, Frame, Labels

SIDE = 96
"""Pixels of the longer side of what is looked at: a lamp of a near signal is then some twenty."""
VIVID, BRIGHT = 110, 150
"""Least saturation and value (0..255) of a lamp's light; painted, reflecting things are rarely both."""
HUES: dict[str, tuple[tuple[int, int], ...]] = {
    "red": ((0, 9), (170, 180)),
    "yellow": ((12, 36),),
    "green": ((42, 100),),
}
"""OpenCV's half degrees; the green of signals leans to blue (CIE S 004 colour regions, in words)."""
CLEAR = 0.7
"""Share of all vivid light that one colour must have to be the state."""


class TrafficLightParams(StageParams):
    """Where the signal is."""

    light: tuple[Point, ...] = Field(
        min_length=3, description="Polygon close around the lamps, relative coordinates."
    )
    least: float = Field(
        0.01, gt=0, le=1, description="Share of it that must be lit; below, the signal is off."
    )


class TrafficLight(Stage[TrafficLightParams]):
    """`red`, `yellow`, `green`, `off` where nothing is lit, or `unclear` where several colours are; measures give the shares."""

    name = "traffic-light"

    def process(self, frame: Frame, found: AnyResult | None) -> Labels:  # noqa: ARG002 - looks at the picture
        """See the class."""
        return light_state(frame, self.params.light, self.params.least)


def light_state(frame: Frame, light: tuple[Point, ...], least: float) -> Labels:
    """What a signal shows.

    Args:
        frame: the picture.
        light: polygon close around the lamps, relative.
        least: share of the polygon, 0..1, that must be lit.

    Returns:
        One label, its confidence, and the measures `red_share`, `yellow_share`, `green_share` of the polygon's area.
    """
    patch, inside = _patch(frame, light)
    hue, saturation, value = cv2.split(np.asarray(cv2.cvtColor(patch, cv2.COLOR_BGR2HSV)))
    lit = (saturation >= VIVID) & (value >= BRIGHT) & inside
    area = max(int(inside.sum()), 1)
    shares = {
        name: float(sum(int((lit & (hue >= low) & (hue < high)).sum()) for low, high in ranges)) / area
        for name, ranges in HUES.items()
    }
    measures = {f"{name}_share": share for name, share in shares.items()}
    name, share = max(shares.items(), key=lambda row: row[1])
    total = sum(shares.values())
    if total < least:
        return Labels(("off",), (1 - 0.5 * total / least,), measures)
    if share < CLEAR * total:
        return Labels(("unclear",), (1 - share / total,), measures)
    return Labels((name,), (share / total,), measures)


def _patch(frame: Frame, light: tuple[Point, ...]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    corners = np.array(light, np.float64) * (frame.width, frame.height)
    left, top = np.minimum(
        np.floor(corners.min(axis=0)).astype(int), (frame.width - 1, frame.height - 1)
    ).tolist()
    right, bottom = np.ceil(corners.max(axis=0)).astype(int).tolist()
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    part = frame.image[top:bottom, left:right]
    scale = min(SIDE / max(part.shape[:2]), 1.0)
    size = (max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1))
    if scale < 1:
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    inside = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round((corners - (left, top)) * scale - 0.5).astype(np.int32)], 1)
    return part, inside > 0
