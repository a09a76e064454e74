"""Pictures that classic stages share besides the small grey one: small in colour, and grey at full size."""

from __future__ import annotations

import cv2
import numpy as np

from aihub.algorithms.grey import Grey
from aihub.types import Frame, Image


def small_colours(frame: Frame, side: int = 320) -> Image:
    """The frame in colour, its longer side at most `side` pixels; shared by all stages through `frame.memo`.

    Returns:
        `(height, width, 3)` uint8 BGR, at least 1x1. Never written to.
    """
    return frame.memo.get(("colours", side), lambda: _shrink(frame, side))


def full_grey(frame: Frame) -> Grey:
    """The frame in grey at its own size, for what is lost in shrinking: noise, lines, the grid of a codec.

    Returns:
        `(height, width)` uint8 luma. Never written to.
    """
    return frame.memo.get(
        ("full-grey",), lambda: np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), np.uint8)
    )


def _shrink(frame: Frame, side: int) -> Image:
    scale = side / max(frame.height, frame.width)
    if scale >= 1:
        return frame.image
    size = (max(round(frame.width * scale), 1), max(round(frame.height * scale), 1))
    return np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
