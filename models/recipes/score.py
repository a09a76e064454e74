"""Average precision, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from models.recipes.pictures import Picture

Found = tuple[np.ndarray, np.ndarray, np.ndarray]


def average_precision(found: Sequence[Found], pictures: Sequence[Picture], classes: int) -> dict[str, float]:
    """`map50`, `map`, and `ap50_{class}` for each class.

    Args:
        found: for each picture corners (k, 4), scores (k,) and classes (k,).
        pictures: what is on them.
        classes: how many there are.
    """
    truth, answers = COCO(), COCO()
    marks: list[dict[str, object]] = []
    for at, picture in enumerate(pictures):
        for (x1, y1, x2, y2), kind in zip(picture.boxes.tolist(), picture.kinds.tolist(), strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            marks.append({"id": len(marks) + 1, "image_id": at, "category_id": kind, "bbox": box,
                          "area": box[2] * box[3], "iscrowd": 0})  # fmt: skip
    frame = {
        "info": {},
        "images": [{"id": at} for at in range(len(pictures))],
        "categories": [{"id": kind, "name": str(kind)} for kind in range(classes)],
    }
    rows = [
        {"image_id": at, "category_id": int(kind), "bbox": [x1, y1, x2 - x1, y2 - y1], "score": float(score)}
        for at, (boxes, scores, kinds) in enumerate(found)
        for (x1, y1, x2, y2), score, kind in zip(boxes.tolist(), scores, kinds, strict=True)
    ]
    if not rows:
        return {"map50": 0.0, "map": 0.0} | {f"ap50_{kind}": 0.0 for kind in range(classes)}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.dataset = frame | {"annotations": marks}
        truth.createIndex()
        answers = truth.loadRes(rows)
        figures = COCOeval(truth, answers, "bbox")
        figures.evaluate()
        figures.accumulate()
        figures.summarize()
    by_class = figures.eval["precision"][0, :, :, 0, 2]
    of_class = {f"ap50_{kind}": _mean(by_class[:, kind]) for kind in range(classes)}
    return {"map50": float(figures.stats[1]), "map": float(figures.stats[0])} | of_class


def _mean(values: np.ndarray) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else 0.0
