"""Whether a face is fit to be compared: its size, sharpness, pose and light, from five landmarks and the upright chip."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from aihub.algorithms.faces.chips import ARC_112, cut, transforms
from aihub.types import Image

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

_NOSE_OUT = 0.60
"""How far the tip of the nose stands before the eyes, in distances between the eyes."""
_NOSE_DOWN, _NOSE_OUT_DOWN = 0.53, 0.54
"""Where the tip of the nose is between eyes and mouth of a face that looks into the camera, and how far before them it stands."""
_ROUNDING = 1.0
"""Steps of one grey level are what rounding makes of a soft slope, not detail."""
_FACE = (slice(24, 104), slice(24, 88))
"""Rows and columns of a 112 x 112 chip that are face and nothing else."""


def poses(points: F32) -> F64:
    """Roll, yaw and pitch of faces from their five points.

    A weak-perspective reading: how far the tip of the nose lies off the middle between the eyes, and between eyes and mouth,
    tells how far the head is turned and raised; some ten degrees are the error from face to face.

    Args:
        points: `(N, 5, 2)` pixels.

    Returns:
        `(N, 3)` degrees: roll (> 0 clockwise on the picture), yaw (> 0 to the right of the picture), pitch (> 0 down).
    """
    place = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    across = place[:, 1] - place[:, 0]
    roll = np.angle(across, deg=True)
    upright = (place - place[:, :2].mean(axis=1, keepdims=True)) * np.exp(-1j * np.angle(across))[:, None]
    nose, mouth = upright[:, 2], upright[:, 3:5].mean(axis=1)
    yaw = np.degrees(np.arctan2(nose.real, _NOSE_OUT * np.maximum(np.abs(across), 1e-3)))
    down = np.maximum(np.abs(mouth.imag), 1e-3)
    pitch = np.degrees(np.arctan((nose.imag / down - _NOSE_DOWN) / _NOSE_OUT_DOWN))
    return np.stack([roll, yaw, pitch], axis=1)


def eye_distances(points: F32) -> F64:
    """`(N, 5, 2)` points -> `(N,)` pixels between the eyes."""
    apart: F64 = np.linalg.norm(points[:, 1] - points[:, 0], axis=1).astype(np.float64)
    return apart


def looks(image: Image, points: F32) -> F64:
    """Sharpness and light of each face.

    Args:
        image: `(H, W, 3)` uint8 BGR.
        points: `(N, 5, 2)` pixels.

    Returns:
        `(N, 4)`: share of the fine detail that a blur takes away (0 for a face that is blurred already, to 1), mean luma, its
        spread, and the difference of the two halves over the mean.
    """
    rows = [_look(chip) for chip in cut(image, transforms(points, ARC_112), ARC_112.side)]
    return np.array(rows, np.float64).reshape(-1, 4)


def _look(chip: Image) -> tuple[float, float, float, float]:
    grey = cv2.cvtColor(chip, cv2.COLOR_BGR2GRAY)[_FACE].astype(np.float32)
    mean = float(grey.mean())
    half = grey.shape[1] // 2
    uneven = abs(float(grey[:, :half].mean()) - float(grey[:, -half:].mean())) / max(mean, 1.0)
    return detail(grey), mean, float(grey.std()), uneven


def detail(grey: F32) -> float:
    """Share of the steps between neighbouring pixels that a blur of three pixels' width takes away, in [0, 1].

    Nothing is lost where nothing is fine (F. Crete et al., The blur effect, 2007): the picture measures itself, so contrast
    and light do not count.
    """
    lost = []
    for axis in (0, 1):
        size = (1, 5) if axis == 0 else (5, 1)
        blurred = cv2.blur(grey, size)
        steps, soft = np.abs(np.diff(grey, axis=axis)), np.abs(np.diff(blurred, axis=axis))
        total = float(steps.sum())
        lost.append(float(np.maximum(steps - soft - _ROUNDING, 0).sum()) / total if total > 0 else 0.0)
    return min(lost)
