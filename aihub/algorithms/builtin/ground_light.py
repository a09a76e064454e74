"""The ground in another light: lamps, clouds and automatic exposure change a whole picture, and nothing was put down."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

Mask = npt.NDArray[np.bool_]

STEP = 8
"""Every so many pixels one is looked at."""
LEAST_PIXELS = 12
LEAST_TEXTURE = 6.0
"""Deviation in grey levels below which the ground cannot tell a gain from a lift."""
MOST_GAIN = 3.0
MOST = 0.7
"""Share of the pixels, those that fit best, by which the light is told."""


def same_light(ground: MatLike, picture: MatLike, seen: Mask) -> MatLike:
    """The ground under the light of the picture: one gain and one lift for all of it, fitted to most of what is seen.

    Args:
        ground: `(H, W)` float32 grey levels.
        picture: `(H, W)` float32.
        seen: `(H, W)`, where the ground is known and nobody stands before it.

    Returns:
        `(H, W)` float32; the same ground where too little is seen.
    """
    chosen = seen[::STEP, ::STEP]
    known, now = ground[::STEP, ::STEP][chosen], picture[::STEP, ::STEP][chosen]
    if len(known) < LEAST_PIXELS:
        return ground
    gain, lift = 1.0, float(np.median(now - known))
    if known.std() >= LEAST_TEXTURE:
        most = round(len(known) * MOST)
        for _ in range(3):  # each time without what fits worst: something may stand there
            plain = np.argpartition(np.abs(now - gain * known - lift), most - 1)[:most]
            gain, lift = _line(known[plain], now[plain])
    if not 1 / MOST_GAIN <= gain <= MOST_GAIN:
        gain, lift = 1.0, float(np.median(now - known))
    return np.asarray(np.clip(ground * np.float32(gain) + np.float32(lift), 0, 255), np.float32)


def _line(known: MatLike, now: MatLike) -> tuple[float, float]:
    """Slope and height of the straight line through points, by least squares."""
    middle, level = float(known.mean()), float(now.mean())
    across = known - middle
    spread = float(across @ across)
    gain = float(across @ (now - level)) / spread if spread > 0 else 1.0
    return gain, level - gain * middle
