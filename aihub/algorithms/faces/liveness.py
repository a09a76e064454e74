"""Whether faces are live or shown on paper or a screen: two small networks that see different parts of the picture (Silent-Face)."""

from __future__ import annotations

import time

import cv2
import numpy as np
import numpy.typing as npt

from aihub.algorithms.faces.asking import PATIENCE_S, Run, outputs_of, rows_of
from aihub.types import Frame, Predictor

NEAR, WIDE = "face-liveness-near", "face-liveness-wide"
SCALES = {NEAR: 2.7, WIDE: 4.0}
"""Role of each network, and how many times the face's box it sees."""
SIDE, LIVE = 80, 1
"""Pixels of its input, and which of its three answers is `live`."""

F32 = npt.NDArray[np.float32]


def live_shares(predictor: Predictor, frame: Frame, boxes: F32) -> F32:
    """How sure it is that each face is live: the mean of the two networks, `(N,)` in [0, 1]. Shared within a frame.

    Args:
        predictor: runs the networks.
        frame: the picture.
        boxes: `(N, 4)` pixels.

    Raises:
        AihubError: a model refused or failed; `DeadlineError` after `PATIENCE_S`.
    """
    key = ("face-liveness", boxes.tobytes())
    return frame.memo.get(key, lambda: _shares(predictor, frame, boxes))


def _shares(predictor: Predictor, frame: Frame, boxes: F32) -> F32:
    if not len(boxes):
        return np.zeros(0, np.float32)
    until = time.monotonic() + PATIENCE_S
    runs: list[tuple[str, Run]] = []
    for model, scale in SCALES.items():
        seen = [_cut(frame, box) for box in surroundings(boxes, scale, frame.width, frame.height)]
        pixels = np.ascontiguousarray(np.stack(seen).transpose(0, 3, 1, 2), dtype=np.float32)
        run = predictor.run(model, {"input": pixels}, source=frame.source, deadline=until, bill=frame.bill)
        runs.append((model, run))
    answers = [rows_of(outputs_of(run, model, until), model, (len(boxes), 3)) for model, run in runs]
    shares: F32 = np.clip(np.mean(answers, axis=0)[:, LIVE], 0, 1).astype(np.float32)
    return shares


def surroundings(boxes: F32, scale: float, width: int, height: int) -> npt.NDArray[np.int64]:
    """Boxes grown about their centres and moved into the picture, as Silent-Face's `CropImage` does it.

    Args:
        boxes: `(N, 4)` pixels.
        scale: how many times as large; less where the picture is too small.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Returns:
        `(N, 4)` whole pixels x1, y1, x2, y2 inside the picture, at least one wide and high.
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0).astype(np.float64)
    room = np.array([max(width - 1, 1), max(height - 1, 1)], np.float64)
    grown = sides * np.minimum((room / sides).min(axis=1), scale)[:, None]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    start = np.clip(centre - grown / 2, 0, np.maximum(room - grown, 0))
    start = np.minimum(np.floor(start), (width - 1, height - 1))
    end = np.clip(np.ceil(start + grown), start + 1, (width, height))
    return np.concatenate([start, end], axis=1).astype(np.int64)


def _cut(frame: Frame, box: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    x1, y1, x2, y2 = box.tolist()
    return np.asarray(cv2.resize(frame.image[y1:y2, x1:x2], (SIDE, SIDE)), np.uint8)
