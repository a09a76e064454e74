"""Tiny data sets: as columns for arithmetic by hand, and as folders for all that reads files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aihub.evaluation import Answers, Picture, Report, Rule, Truth, agree, measure
from aihub.testing import boxes
from aihub.types import Detections

Box = tuple[float, float, float, float]
Thing = tuple[str, Box]
Answer = Sequence[tuple[str, float, Box]]

SIDE = 400
"""Pixels; every picture is square."""


def truth_of(
    things: Sequence[Sequence[Thing]],
    labels: Sequence[str] = ("fire",),
    *,
    crowd: Sequence[bool] | None = None,
    sources: Sequence[str] | None = None,
    incomplete: Sequence[str] = (),
) -> Truth:
    """A data set of pictures with these things in them; boxes are x1, y1, x2, y2."""
    rows = [(at, label, box) for at, picture in enumerate(things) for label, box in picture]
    xyxy = np.array([box for _, _, box in rows], np.float64).reshape(-1, 4)
    of = np.array([at for at, _, _ in rows], np.intp)
    named = sources or [""] * len(things)
    return Truth(
        name="tiny",
        split="test",
        pictures=tuple(
            Picture(f"{at:03}.jpg", Path(f"{at:03}.jpg"), SIDE, SIDE, named[at]) for at in range(len(things))
        ),
        labels=tuple(labels),
        xyxy=xyxy,
        picture=of,
        class_id=np.array([list(labels).index(label) for _, label, _ in rows], np.intp),
        area=np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1),
        crowd=np.array(crowd if crowd is not None else [False] * len(rows), np.bool_),
        bare=np.bincount(of, minlength=len(things)) == 0,
        incomplete=frozenset(incomplete),
    )


def report_of(
    truth: Truth,
    answers: Sequence[Answer],
    *,
    rule: Rule | None = None,
    model_labels: Sequence[str] | None = None,
    mapping: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
) -> Report:
    """The report of a model that gives these answers, label, confidence and box, one for each picture."""
    known = tuple(model_labels or truth.labels)
    found: tuple[Detections, ...] = tuple(boxes(*answer, labels=known) for answer in answers)
    naming = agree(truth, known, mapping or {}, labels)
    return measure(Answers(found, 1.0, 0.5), truth, naming, model="scripted", rule=rule or Rule())


def coco(
    pictures: Mapping[str, Sequence[tuple[str, Sequence[float]]]], labels: Sequence[str] = ("person", "dog")
) -> dict[str, Any]:
    """The COCO form of pictures by name, with label and x, y, width, height of each thing; 64 x 48 pixels."""
    ids = {name: at for at, name in enumerate(pictures, 5)}
    return {
        "images": [{"id": ids[name], "file_name": name, "width": 64, "height": 48} for name in pictures],
        "annotations": [
            {"id": at, "image_id": ids[name], "category_id": list(labels).index(label) + 1, "bbox": list(box),
             "area": box[2] * box[3], "iscrowd": 0}
            for at, (name, (label, box)) in enumerate((name, row) for name, rows in pictures.items() for row in rows)
        ],
        "categories": [{"id": at, "name": label} for at, label in enumerate(labels, 1)],
    }  # fmt: skip


def write_data(folder: Path, body: Any, split: str = "test", *, draw: bool = True) -> Path:
    """A folder with the JSON, and a grey picture of 64 x 48 for each that it lists."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{split}.json").write_text(
        body if isinstance(body, str) else json.dumps(body), encoding="utf-8"
    )
    if draw:
        for image in body["images"]:
            path = folder / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))
    return folder
