"""Data sets of labelled pictures: COCO JSON to boxes that lie in their pictures."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from aihub.evaluation import read_truth
from tests.fuzz.law import read_or_refused

LONGEST = 4096
WORDS = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"0", b"null", b"true", b"[]", b"{}", b'""', b'"../a.jpg"', b'"/a.jpg"', b'"images/a.jpg"',
    b'"id": 1', b'"image_id": 1', b'"category_id": 1', b'"bbox": [0, 0, 1, 1]', b'"iscrowd": 1', b'"area": 1e400', b"\\u0000", b"\\ud800", b"9" * 400,
)  # fmt: skip

SOUND = {
    "images": [
        {"id": 1, "file_name": "images/a.jpg", "width": 64, "height": 48, "source": "yard"},
        {"id": "b", "file_name": "b.jpg", "width": 32, "height": 32},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1.5, 2, 10, 20], "area": 150, "iscrowd": 0},
        {"id": 2, "image_id": "b", "category_id": 2, "bbox": [0, 0, 32, 32], "iscrowd": 1},
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "烟"}],
}
SMALL = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 1, "height": 1}], "annotations": [], "categories": [],
}  # fmt: skip


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="aihub-fuzz-"))
    (folder / "images").mkdir()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("images/a.jpg", "a.jpg", "b.jpg"):
        (folder / name).touch()  # pictures are read later
    return folder


def check(data: bytes) -> bool:
    """Boxes within their pictures, of labels that are there; or a refusal that names the field."""
    (_folder() / "test.json").write_bytes(data)
    truth = read_or_refused(lambda: read_truth(_folder(), "test"), named=True)
    if truth is None:
        return False
    assert len(truth.bare) == len(truth.pictures) > 0
    size = np.array([(p.width, p.height) for p in truth.pictures], np.float64)[truth.picture]
    assert (truth.xyxy >= 0).all()
    assert (truth.xyxy[:, 2:] <= size).all()
    assert np.isfinite(truth.area).all()
    assert all(0 <= at < len(truth.labels) for at in truth.class_id.tolist())
    assert all(path.is_relative_to(_folder()) for path in (picture.path for picture in truth.pictures))
    return True


def seeds() -> list[bytes]:
    """One with everything in it, and the least there can be."""
    return [json.dumps(SOUND, ensure_ascii=False).encode(), json.dumps(SMALL).encode()]
