"""YOLOX-nano by hand, so that real clips reach tracker and rules without the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from aihub.types import Detections, Frame, Image
from aihub.types.geometry import box_iou

SIZE = 416
PERSON, CAR = 0, 2
STRIDES = (8, 16, 32)


class Yolox:
    """People and cars in a picture; confidence from 0.1."""

    def __init__(self, weights: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        cells = [np.mgrid[: SIZE // s, : SIZE // s][::-1].reshape(2, -1).T for s in STRIDES]
        self._cell = np.concatenate(cells)
        self._stride = np.concatenate([np.full((len(c), 1), s) for c, s in zip(cells, STRIDES, strict=True)])

    def __call__(self, image: Image) -> Detections:
        height, width = image.shape[:2]
        scale = min(SIZE / height, SIZE / width)
        square = np.full((SIZE, SIZE, 3), 114, np.uint8)
        small = cv2.resize(image, (int(width * scale), int(height * scale)))
        square[: small.shape[0], : small.shape[1]] = small
        name = self._session.get_inputs()[0].name
        (raw,) = self._session.run(None, {name: square.transpose(2, 0, 1)[None].astype(np.float32)})
        rows = raw[0]
        scores = rows[:, 4:5] * rows[:, [5 + PERSON, 5 + CAR]]
        classes, scores = scores.argmax(axis=1), scores.max(axis=1)
        centre, half = (rows[:, :2] + self._cell) * self._stride, np.exp(rows[:, 2:4]) * self._stride / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1) / scale
        kept = _nms(boxes, scores, classes)
        boxes = np.clip(boxes[kept], 0, [width, height, width, height]).astype(np.float32)
        return Detections(
            boxes, scores[kept].astype(np.float32), classes[kept].astype(np.int32), ("person", "car")
        )


def _nms(
    boxes: npt.NDArray[np.float64], scores: npt.NDArray[np.float32], classes: npt.NDArray[np.intp]
) -> list[int]:
    kept: list[int] = []
    for row in np.argsort(-scores):
        if scores[row] < 0.1:
            break
        rivals = [k for k in kept if classes[k] == classes[row]]
        if not rivals or box_iou(boxes[row : row + 1], boxes[rivals]).max() < 0.5:
            kept.append(int(row))
    return kept


def clip(path: Path, fps: float, frames: int = 100_000) -> Iterator[Frame]:
    """The clip's first `frames` frames, thinned to about `fps` a second, stamped with the clip's own time."""
    video = cv2.VideoCapture(str(path))
    rate = video.get(cv2.CAP_PROP_FPS)
    every = max(1, round(rate / fps))
    for k in range(frames):
        if not video.grab():
            break
        if k % every == 0:
            image = video.retrieve()[1].astype(np.uint8, copy=False)
            yield Frame(image, path.stem, k // every, captured_at=1.7e9 + k / rate, monotonic=1000 + k / rate)
    video.release()
