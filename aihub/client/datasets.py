"""Feedback as a data set on disk: COCO JSON, pictures, and a file that says what it is.

FOLDER/annotations.json     images carry `event_id`, `feedback_id`, `algorithm` and `verdict`; `source` is the stream
FOLDER/images/ID.jpg        by the id of the feedback
FOLDER/DATASET.yaml         written last: where it is, the rest is whole
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from aihub.client.files import arriving
from aihub.errors import InputError
from aihub.types.feedback import Feedback, KeptPicture, Verdict

IMAGES = "images"
ANNOTATIONS = "annotations.json"
ABOUT = "DATASET.yaml"
LICENCE = "not licensed: the pictures belong to the operator of the hub that they come from, who alone may say who uses them"

NO_PICTURE = "without picture"
NO_BOXES = "without boxes"
OLDER = "said again since"

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def choose(rows: Iterable[Feedback]) -> tuple[list[Feedback], Counter[str]]:
    """What of the feedback can be learned from, and how much cannot, by reason.

    Of several opinions about one event the newest counts. A picture that is not said to be empty must have boxes: without, it
    would be taken for an empty one.

    Args:
        rows: newest first, as the hub lists them.
    """
    chosen: list[Feedback] = []
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    for row in rows:
        reason = _unfit(row, seen)
        seen.add(row.event_id)
        if reason:
            left_out[reason] += 1
        else:
            chosen.append(row)
    return chosen, left_out


def _unfit(row: Feedback, seen: set[str]) -> str:
    if row.event_id in seen:
        return OLDER
    if row.picture is not KeptPicture.STORED:
        return NO_PICTURE
    return NO_BOXES if row.verdict is not Verdict.FALSE and not row.boxes else ""


def as_coco(rows: Iterable[Feedback]) -> dict[str, Any]:
    """Feedback as COCO: oldest first, categories by label. What was falsely seen is a category too, if only of empty pictures."""
    ordered = sorted(rows, key=lambda row: row.id)
    labels = {box.label for row in ordered for box in row.boxes}
    labels |= {row.label for row in ordered if row.verdict is Verdict.FALSE}
    categories = {label: number for number, label in enumerate(sorted(labels), 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, row in enumerate(ordered, 1):
        images.append(
            {
                "id": number, "file_name": f"{IMAGES}/{_name(row)}", "width": row.width, "height": row.height,
                "source": row.stream_id, "event_id": row.event_id, "feedback_id": row.id,
                "algorithm": row.algorithm, "algorithm_version": row.algorithm_version, "verdict": row.verdict.value,
            }
        )  # fmt: skip
        for box in row.boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number, "category_id": categories[box.label],
                    "bbox": list(box.box), "area": box.box[2] * box.box[3], "iscrowd": 0,
                }
            )  # fmt: skip
    return {
        "info": {"description": "feedback on the alarms of an aihub", "version": "1.0"},
        "licenses": [{"id": 1, "name": LICENCE, "url": ""}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": label} for label, number in categories.items()],
    }


class DatasetFolder:
    """A folder that a data set is written to.

    Args:
        path: made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, *, force: bool) -> None:
        """Whether it may be written to; nothing is changed.

        Raises:
            InputError: it is no folder, or not empty without `force`.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is no folder", field="folder")
        if not force and self.path.is_dir() and any(self.path.iterdir()):
            raise InputError(
                f"{self.path} is not empty", field="folder", hint="--force replaces an earlier export in it"
            )

    def begin(self) -> None:
        """Make it, without what an earlier export left; nothing else in it is touched.

        Raises:
            InputError: it cannot be written.
        """
        try:
            (self.path / IMAGES).mkdir(parents=True, exist_ok=True)
            for name in (ABOUT, ANNOTATIONS):
                (self.path / name).unlink(missing_ok=True)
            for old in (self.path / IMAGES).glob("*.jpg"):
                if _ID.fullmatch(old.stem):
                    old.unlink()
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror}", field="folder") from error

    def add(self, row: Feedback, jpeg: bytes) -> None:
        """Write a picture.

        Raises:
            InputError: it cannot be written.
        """
        with arriving(self.path / IMAGES / _name(row)) as file:
            file.write(jpeg)

    def finish(self, rows: Sequence[Feedback], left_out: Counter[str]) -> dict[str, Any]:
        """Write the labels and what the data set is.

        Args:
            rows: of the pictures that were added.
            left_out: how much feedback is not in it, by reason.

        Returns:
            What `DATASET.yaml` says.

        Raises:
            InputError: they cannot be written.
        """
        coco = as_coco(rows)
        labels = json.dumps(coco, ensure_ascii=False, indent=1).encode() + b"\n"
        about = _about(self.path, coco, hashlib.sha256(labels).hexdigest(), left_out)
        for name, data in (
            (ANNOTATIONS, labels),
            (ABOUT, _as_yaml(about)),
        ):
            with arriving(self.path / name) as file:
                file.write(data)
        return about


def _as_yaml(about: dict[str, Any]) -> bytes:
    """As people write it; with escapes where the library would not read back what it wrote, as with some line ends."""
    text = yaml.safe_dump(about, sort_keys=False, allow_unicode=True)
    if yaml.safe_load(text) != about:
        text = yaml.safe_dump(about, sort_keys=False)
    return text.encode()


def _about(path: Path, coco: dict[str, Any], digest: str, left_out: Counter[str]) -> dict[str, Any]:
    names = {row["id"]: row["name"] for row in coco["categories"]}
    boxes = Counter(names[row["category_id"]] for row in coco["annotations"])
    filled = {row["image_id"] for row in coco["annotations"]}
    return {
        "name": path.resolve().name,
        "kind": "images+boxes",
        "licence": LICENCE,
        "form": "JPEG as the hub keeps evidence; COCO JSON, bbox = [x, y, width, height] in pixels of the stored picture",
        "classes": list(names.values()),
        "counts": {
            "images": len(coco["images"]),
            "boxes": len(coco["annotations"]),
            "images without boxes": len(coco["images"]) - len(filled),
            "boxes by class": dict(sorted(boxes.items())),
            "images by verdict": dict(sorted(Counter(row["verdict"] for row in coco["images"]).items())),
            "images by algorithm": dict(sorted(Counter(row["algorithm"] for row in coco["images"]).items())),
        },
        "left_out": dict(sorted(left_out.items())),
        # People say what an alarm was about, not all that is on its picture.
        "not_labelled_throughout": list(names.values()),
        "sha256": {ANNOTATIONS: digest},
    }


def _name(row: Feedback) -> str:
    """Name of a picture's file.

    Raises:
        InputError: the id is none that a hub gives; it must not lead elsewhere.
    """
    if not _ID.fullmatch(row.id):
        raise InputError(f"{row.id!r} is no id of feedback", field="id")
    return f"{row.id}.jpg"
