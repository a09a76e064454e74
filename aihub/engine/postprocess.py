"""From decoded boxes to results: suppression of doubles, and back to pixels of the frame."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from aihub.engine.decoding import Placement, Rows
from aihub.types import Detections, ModelCard, Tensor
from aihub.types.geometry import Floats, box_area

MAX_CANDIDATES = 3000
"""Best boxes that suppression looks at: bounds the time of a picture (or a floor) that lets everything through."""

_RANKS = np.linspace(1, 0.5, MAX_CANDIDATES, dtype=np.float32)
"""Ranks in place of scores: OpenCV then cannot break ties its own way, and no score is below its threshold of 0."""


SUM = 1e-3
"""How far probabilities may be from one together."""


def nms(
    boxes: Floats, scores: Floats, class_ids: npt.NDArray[np.integer], iou: float, max_det: int = 300
) -> Rows:
    """Greedy suppression within each class: of two boxes that overlap more than `iou`, the weaker goes.

    Args:
        boxes: `(N, 4)` x1, y1, x2, y2, finite.
        scores: `(N,)`, any range; among equals the earlier row wins.
        class_ids: `(N,)` integers; boxes of different classes never suppress each other.
        iou: in (0, 1]; exactly this much overlap is allowed.
        max_det: most rows to keep.

    Returns:
        `(K,)` indices of the rows kept, best first, K <= max_det. At most `MAX_CANDIDATES` best rows are considered.
    """
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    if len(order) < 2:
        return order[:max_det]
    rects = boxes[order].astype(np.float64)
    rects[:, 2:] -= rects[:, :2]
    classes = class_ids[order].astype(np.int32)
    picked = cv2.dnn.NMSBoxesBatched(rects, _RANKS[: len(order)], classes, 0.0, iou)  # type: ignore[arg-type]
    kept = np.sort(np.asarray(picked, np.intp))
    return order[kept[:max_det]]


def finish(found: Detections, card: ModelCard, placement: Placement) -> Detections:
    """What a decoder gave, as the caller wants it.

    Args:
        found: boxes in pixels of the model's input, before suppression.
        card: says how much overlap is allowed.
        placement: where the frame lies in the model's input.

    Returns:
        Doubles suppressed, in pixels of the frame, clipped to it, best first. Boxes that are not finite, or have no
        area within the frame, are left out. Keypoints are moved, not clipped.
    """
    if not len(found):
        return found
    finite = np.isfinite(found.xyxy)
    if not finite.all():
        found = found[np.flatnonzero(finite.all(axis=1))]
    found = found[nms(found.xyxy, found.confidence, found.class_id, card.iou)]
    width, height = placement.size
    boxes = placement.to_frame(found.xyxy)
    np.clip(boxes, 0, np.array([width, height, width, height], np.float32), out=boxes)
    points = None if found.keypoints is None else placement.points_to_frame(found.keypoints)
    placed = replace(found, xyxy=boxes, keypoints=points)
    visible = np.flatnonzero(box_area(boxes) > 0)
    return placed if len(visible) == len(placed) else placed[visible]


def probabilities(scores: Tensor) -> npt.NDArray[np.float64]:
    """A classifier's scores as probabilities: as they are where they are such already, else their softmax.

    Args:
        scores: `(C,)`.
    """
    values = scores.astype(np.float64)
    if (values >= 0).all() and abs(values.sum() - 1) < SUM:
        return np.minimum(values, 1.0)
    powers = np.exp(values - values.max())
    shares: npt.NDArray[np.float64] = np.minimum(powers / powers.sum(), 1.0)
    return shares
