"""Which box found which thing, and average precision: pycocotools' arithmetic in columns.

Boxes are matched as COCO does: class by class and picture by picture, the surest first, each to the thing it overlaps most
among those still free, at most 100 boxes of a class in a picture. Whatever a threshold takes away later are the least sure
ones, so the matching holds at every threshold.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from aihub.errors import ConfigError
from aihub.evaluation.detections import Found
from aihub.evaluation.truth import F64, Mask, Rows, Truth

IOU = 0.5
"""Overlap (intersection over union) from which a box has found a thing."""
MOST_BOXES = 100
"""Boxes of one class in one picture that are looked at, the surest first."""
NEVER = -1.0
"""Confidence at which a thing is found that nothing found."""


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Who found whom at an overlap of 0.5, and the curves; D found boxes, B true boxes, K classes.

    Attributes:
        right: `(D,)` True for a box that found a thing nobody surer had found.
        counted: `(D,)` False for a box over a crowd, or beyond the hundred surest: neither right nor wrong.
        found_at: `(B,)` confidence of the box that found the thing; -1 when none did.
        ap50: `(K,)` average precision at IoU 0.5; NaN for a class that is in no picture.
        ap: `(K,)` the same over IoU 0.5, 0.55 .. 0.95.
        precision: `(K, 101)` best precision at or beyond recall 0, 0.01 .. 1 (COCO's curve at IoU 0.5); NaN as above.
        threshold: `(K, 101)` confidence that gives it; 0 where that recall is not reached.
    """

    right: Mask
    counted: Mask
    found_at: F64
    ap50: F64
    ap: F64
    precision: F64
    threshold: F64


def match(truth: Truth, found: Found) -> Matches:
    """Match found boxes to true ones.

    Args:
        truth: pictures and true boxes.
        found: found boxes, under the same labels.

    Raises:
        ConfigError: pycocotools is not installed.
    """
    assessor = _assessed(truth, found)
    precision = _absent_is_nan(assessor.eval["precision"][..., 0, 0])  # (T, R, K)
    absent = np.isnan(precision).all(axis=1)
    ap = np.where(absent, np.nan, np.nan_to_num(precision).mean(axis=1))  # (T, K)
    curve = precision[0].T
    right, counted = np.zeros(len(found.confidence), np.bool_), np.zeros(len(found.confidence), np.bool_)
    found_at = np.full(len(truth.picture), NEVER)
    for one in assessor.evalImgs:
        if one is None:
            continue
        rows = np.array(one["dtIds"], np.intp) - 1
        hit, ignored = one["dtMatches"][0] > 0, one["dtIgnore"][0].astype(np.bool_)
        right[rows] = hit & ~ignored
        counted[rows] = ~ignored
        by = one["gtMatches"][0].astype(np.intp) - 1
        things = np.array(one["gtIds"], np.intp) - 1
        found_at[things[by >= 0]] = found.confidence[by[by >= 0]]
    threshold = np.where(np.isnan(curve), np.nan, assessor.eval["scores"][0, :, :, 0, 0].T)
    return Matches(right, counted, found_at, ap[0], ap.mean(axis=0), curve, threshold)


def _absent_is_nan(values: npt.NDArray[Any]) -> F64:
    return cast("F64", np.where(values < 0, np.nan, values))


def _assessed(truth: Truth, found: Found) -> Any:
    """pycocotools' own object, evaluated and accumulated. It prints as it goes, which is not for our output."""
    coco, assess = require()
    sides = (truth.xyxy, found.xyxy)
    areas = (truth.area, np.prod(found.xyxy[:, 2:] - found.xyxy[:, :2], axis=1))
    crowds = (truth.crowd, np.zeros(len(found.xyxy), np.bool_))
    with redirect_stdout(io.StringIO()):
        books = []
        for boxes, picture, class_id, area, crowd in zip(
            sides,
            (truth.picture, found.picture),
            (truth.class_id, found.class_id),
            areas,
            crowds,
            strict=True,
        ):
            book = coco()
            book.dataset = _dataset(truth, boxes, picture, class_id, area, crowd)
            book.createIndex()
            books.append(book)
        for row, score in zip(books[1].dataset["annotations"], found.confidence.tolist(), strict=True):
            row["score"] = score
        assessor = assess(*books, "bbox")
        assessor.params.areaRng, assessor.params.areaRngLbl = [[0, 1e10]], ["all"]
        assessor.params.maxDets = [MOST_BOXES]
        assessor.evaluate()
        assessor.accumulate()
    return assessor


def _dataset(
    truth: Truth, xyxy: F64, picture: Rows, class_id: Rows, area: F64, crowd: Mask
) -> dict[str, list[dict[str, Any]]]:
    """What pycocotools reads. Numbers of boxes and pictures start at 1: it takes 0 for no match."""
    xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
    rows = zip(xywh.tolist(), picture.tolist(), class_id.tolist(), area.tolist(), crowd.tolist(), strict=True)
    return {
        "images": [{"id": at + 1} for at in range(len(truth.pictures))],
        "categories": [{"id": at + 1} for at in range(len(truth.labels))],
        "annotations": [
            {
                "id": at,
                "image_id": of + 1,
                "category_id": kind + 1,
                "bbox": box,
                "area": size,
                "iscrowd": int(many),
            }
            for at, (box, of, kind, size, many) in enumerate(rows, 1)
        ],
    }


def require() -> tuple[Any, Any]:
    """pycocotools' `COCO` and `COCOeval`.

    Raises:
        ConfigError: it is not installed; says how to.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise ConfigError(
            "measuring a model needs pycocotools, which is not installed",
            hint="pip install 'aihub[evaluate]'",
        ) from error
    return COCO, COCOeval
