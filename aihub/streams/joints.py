"""What the rules over poses share: COCO's 17 joints by name, and what can be told from them. All vectorised over people."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aihub.errors import ConfigError
from aihub.streams.ruling import F64, Mask
from aihub.types import Detections

NOSE, EYES, EARS, SHOULDERS, ELBOWS, WRISTS = 0, (1, 2), (3, 4), (5, 6), (7, 8), (9, 10)
HIPS, KNEES, ANKLES = (11, 12), (13, 14), (15, 16)
JOINTS = 17
SURE = 0.3
"""Score from which a joint is where it is said to be."""


def joints_of(found: Detections, rule: str) -> npt.NDArray[np.float32]:
    """`(N, 17, 3)` x, y, score; an empty one for nobody.

    Raises:
        ConfigError: the stages before gave no poses.
    """
    if found.keypoints is None and not len(found):
        return np.zeros((0, JOINTS, 3), np.float32)
    if found.keypoints is None or found.keypoints.shape[1:] != (JOINTS, 3):
        raise ConfigError(f"rule {rule!r} needs poses: put the stage `pose` before it")
    return found.keypoints


def hands_up(joints: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """`(N, 17, 3)` -> `(N,)` hands above the head, 0 to 2, of people whose trunk is upright; y grows downwards."""
    head = joints[:, :5]
    known = head[..., 2] >= SURE
    eyes = np.where(known, head[..., 1], np.inf).min(axis=1)
    shoulders, hips = joints[:, SHOULDERS, 1].mean(axis=1), joints[:, HIPS, 1].mean(axis=1)
    upright = (shoulders < hips) & (joints[:, SHOULDERS, 2].mean(axis=1) >= SURE)
    limit = np.where(np.isfinite(eyes), np.minimum(eyes, shoulders), np.nan)
    wrists, elbows = joints[:, WRISTS], joints[:, ELBOWS]
    up = (wrists[..., 2] >= SURE) & (wrists[..., 1] < limit[:, None])
    up &= (wrists[..., 1] < elbows[..., 1]) & upright[:, None]
    count: npt.NDArray[np.int64] = up.sum(axis=1)
    return count


def feet(joints: npt.NDArray[Any], boxes: npt.NDArray[Any]) -> F64:
    """`(N,)` y of the lower foot, pixels: by the ankles where they are sure, else by the lower edge of the box."""
    ankles = joints[:, ANKLES]
    sure: Mask = ankles[..., 2] >= SURE
    lowest = np.where(sure, ankles[..., 1], -np.inf).max(axis=1)
    y: F64 = np.where(sure.any(axis=1), lowest, boxes[:, 3]).astype(np.float64)
    return y
