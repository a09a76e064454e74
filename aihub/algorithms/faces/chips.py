"""Faces cut out upright, all eyes in the same place: what embeddings are made from.

A chip is reached by turning, scaling and moving, never by bending: the least-squares fit of five points (eyes, tip of the nose,
corners of the mouth) to the places where the makers of a model had them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from aihub.types import Image

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

POINTS = 5
"""Eye on the left of the picture, eye on the right, tip of the nose, corners of the mouth left and right, as YuNet gives them."""
_COARSE = 0.7
"""Scale below which the picture is made smaller first, each pixel the mean of those it stands for."""
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class ChipForm:
    """Where a model wants the five points.

    Attributes:
        side: pixels of a chip's edge.
        points: `(5, 2)` x, y in pixels of the chip.
    """

    side: int
    points: F64


_MEAN_FACE = np.array(
    [(0.22546, 0.21602), (0.75479, 0.21602), (0.490127, 0.515625), (0.254149, 0.780233), (0.726104, 0.780233)]
)
"""dlib's mean face (`get_face_chip_details`): the mean of each eye's six points, tip of the nose, corners of the mouth."""

DLIB_150 = ChipForm(150, (_MEAN_FACE + 0.25) / 1.5 * 150)
"""150 x 150, a quarter of the face's size around it."""
ARC_112 = ChipForm(
    112,
    np.array([(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]),
)  # fmt: skip
"""112 x 112, as ArcFace and OpenCV's FaceRecognizerSF have it."""


def transforms(points: npt.NDArray[np.floating], form: ChipForm) -> F64:
    """The way from the picture to each chip.

    Args:
        points: `(N, 5, 2)` pixels of the picture.
        form: of the chips.

    Returns:
        `(N, 2, 3)` affine matrices: turn, scale and move. Points that all fall on one place give a chip around it.
    """
    here = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    there = form.points[:, 0] + 1j * form.points[:, 1]
    centre, target = here.mean(axis=1), there.mean()
    spread = here - centre[:, None]
    power = (np.abs(spread) ** 2).sum(axis=1)
    turn = (spread.conj() * (there - target)).sum(axis=1) / np.maximum(power, _LEAST)
    turn = np.where((power < _LEAST) | (np.abs(turn) < _LEAST), 1.0, turn)
    move = target - turn * centre
    rows = [np.stack([turn.real, -turn.imag, move.real], 1), np.stack([turn.imag, turn.real, move.imag], 1)]
    return np.stack(rows, axis=1)


def cut(image: Image, ways: F64, side: int) -> Iterator[Image]:
    """The chips, `(side, side, 3)` uint8 BGR each; what lies outside the picture is black."""
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], np.float64)
    for way in ways:
        scale = float(np.hypot(way[0, 0], way[1, 0]))
        source, matrix = image, way
        if scale < _COARSE:
            source, matrix = _smaller(image, way, scale, corners)
        chip = cv2.warpAffine(source, matrix, (side, side), flags=cv2.INTER_LINEAR)
        yield np.asarray(chip, np.uint8)


def _smaller(image: Image, way: F64, scale: float, corners: F64) -> tuple[Image, F64]:
    """The part of the picture that a chip shows, at about the size of the chip, and the way from there."""
    back = cv2.invertAffineTransform(way)
    around = corners @ back[:, :2].T + back[:, 2]
    height, width = image.shape[:2]
    x1, y1 = np.clip(np.floor(around.min(axis=0)), 0, (width - 1, height - 1)).astype(int).tolist()
    x2, y2 = np.ceil(around.max(axis=0)).astype(int).tolist()
    x2, y2 = max(min(x2, width), x1 + 1), max(min(y2, height), y1 + 1)
    size = (max(round((x2 - x1) * scale), 1), max(round((y2 - y1) * scale), 1))
    part = cv2.resize(image[y1:y2, x1:x2], size, interpolation=cv2.INTER_AREA)
    grown = np.array([(x2 - x1) / size[0], (y2 - y1) / size[1]])
    matrix = way.copy()
    matrix[:, 2] += way[:, :2] @ (np.array([x1, y1]) + (grown - 1) / 2)
    matrix[:, :2] = way[:, :2] * grown
    return np.asarray(part, np.uint8), matrix
