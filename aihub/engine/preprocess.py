"""A frame becomes a model's input: uint8 pixels of the right size, made once per frame for all models that share it."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from aihub.engine.decoding import Placement
from aihub.types import Frame, Image, InputSpec


def prepare(frame: Frame, spec: InputSpec) -> tuple[Image, Placement]:
    """The frame at the model's size. Colour order, mean and scale are the graph's business, so models share it.

    Args:
        frame: any size from 1x1.
        spec: what the model wants.

    Returns:
        `(height, width, 3)` uint8 BGR, contiguous, never to be written to (it is shared, and may be the frame
        itself), and where the frame lies in it.
    """
    key = ("prepared", *spec.size, spec.resize, spec.pad if spec.resize != "stretch" else 0)
    return frame.memo.get(key, lambda: _place(frame.image, spec))


def _place(image: Image, spec: InputSpec) -> tuple[Image, Placement]:
    height, width = image.shape[:2]
    rows, columns = spec.size
    if (height, width) == spec.size:
        return np.ascontiguousarray(image), Placement((1.0, 1.0), (0.0, 0.0), (width, height))
    if spec.resize == "stretch":
        stretched = cast("Image", cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR))
        return stretched, Placement((columns / width, rows / height), (0.0, 0.0), (width, height))
    ratio = min(columns / width, rows / height)
    inner_w = min(columns, max(1, round(width * ratio)))
    inner_h = min(rows, max(1, round(height * ratio)))
    left = top = 0
    if spec.resize == "letterbox-centre":
        left, top = (columns - inner_w) // 2, (rows - inner_h) // 2
    canvas = np.empty((rows, columns, 3), np.uint8)
    canvas[:top], canvas[top + inner_h :] = spec.pad, spec.pad
    canvas[top : top + inner_h, :left], canvas[top : top + inner_h, left + inner_w :] = spec.pad, spec.pad
    inner = canvas[top : top + inner_h, left : left + inner_w]
    cv2.resize(image, (inner_w, inner_h), dst=inner, interpolation=cv2.INTER_LINEAR)
    scale = (inner_w / width, inner_h / height)
    return canvas, Placement(scale, (float(left), float(top)), (width, height))
