"""How well `vest-missing` tells a vest by colour alone, on labelled trunks of people at work.

    python -m benchmarks.vests --data DIR [--json]

DIR is the set `construction_site` of the training data (or another in COCO form with `safety_vest` and `no_safety_vest`). The part
`train` was looked at when the two shares were chosen; `val` and `test` were not. The labelled box is taken as the trunk, so that
the detector of people plays no part. A vest is missed where the share is at or below `none`: that is what would raise an alarm.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from aihub.algorithms.builtin.protective import HighVisibilityParams, vivid_share

LABELS = {"safety_vest": "worn", "no_safety_vest": "not worn"}


def said(share: float, params: HighVisibilityParams) -> str:
    """What the stage says of a trunk."""
    return "yes" if share >= params.share else "no" if share <= params.none else "unknown"


def count(data: Path, split: str) -> dict[str, dict[str, int]]:
    """Answers by what is labelled."""
    truth = json.loads((data / f"{split}.json").read_text(encoding="utf-8"))
    names = {row["id"]: row["name"] for row in truth["categories"]}
    files = {row["id"]: row["file_name"] for row in truth["images"]}
    params, rows = HighVisibilityParams(), {label: Counter[str]() for label in LABELS.values()}
    for row in truth["annotations"]:
        label = LABELS.get(names[row["category_id"]])
        if label is None:
            continue
        path = data / "images" / Path(files[row["image_id"]]).name
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            sys.exit(f"{path} cannot be read")
        left, top, width, height = (max(0, round(value)) for value in row["bbox"])
        part = np.asarray(image[top : top + max(height, 1), left : left + max(width, 1)], np.uint8)
        rows[label][said(vivid_share(part), params)] += 1
    return {label: dict(counts) for label, counts in rows.items()}


def main() -> None:
    """Parse, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = {split: count(asked.data, split) for split in ("train", "val", "test")}
    if asked.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for split, rows in found.items():
        for label, counts in rows.items():
            sys.stdout.write(f"{split:6} {label:9} said: {counts}\n")


if __name__ == "__main__":
    main()
