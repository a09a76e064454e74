"""How good two algorithms are on the few labelled files among the test media: number plates, and everyday things.

    python -m benchmarks.assets_truth [--json]

Truth is that of the manifest beside the media (`AIHUB_MODEL_MIRROR/manifest.yaml`): what a plate says, and boxes of COCO pictures. Nothing
was tuned on either; both are small, so the figures are rough.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from aihub.algorithms.registry import Registry
from aihub.bench.accuracy import pictures
from aihub.bench.accuracy.assets import read_image
from aihub.engine import Engine, ModelStore
from aihub.plugins import data_folder
from aihub.types import Frame
from aihub.types.geometry import box_iou

GROUND = (0, 24, 60)
"""Pixels of grey put around a plate that was cut out: detectors want some."""
SAME = 0.5
THRESHOLD = 0.4


def listed(folder: Path, task: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Pictures with their labels."""
    manifest = yaml.load((folder / "manifest.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    for entry in manifest["files"]:
        if entry["kind"] == "image" and entry["task"] == task and entry.get("labels"):
            yield folder / entry["path"], entry["labels"]


def plates(folder: Path, engine: Engine) -> dict[str, str]:
    """Exactly read, wrongly read, and all, by the ground around the plate."""
    rows = [(path, labels["plate"]) for path, labels in listed(folder, "plate-recognition")]
    told: dict[str, str] = {}
    for ground in GROUND:
        read = pictures.plates(Registry(engine), engine, rows, ground)
        told[f"plates, {ground} px of ground"] = f"{read.exact} of {read.every} exact, {read.wrong} wrong"
    return told


def things(folder: Path, engine: Engine) -> dict[str, str]:
    """Recall and precision of the detector behind the rules on the labelled COCO pictures, at one threshold for all labels."""
    hits = found = truth = 0
    for path, labels in listed(folder, "object-detection"):
        if not isinstance(labels, dict) or "yolo" not in labels:
            continue
        frame = Frame(read_image(path))
        seen = engine.detect("coco", frame, confidence=THRESHOLD).result(60)
        size = np.array([frame.width, frame.height] * 2, np.float64)
        rows = [(row[0].replace("_", " "), np.array(row[1:], np.float64)) for row in labels["yolo"]]
        boxes = np.array([np.concatenate([r[:2] - r[2:] / 2, r[:2] + r[2:] / 2]) * size for _, r in rows])
        names = [name for name, _ in rows]
        truth, found = truth + len(rows), found + len(seen)
        free = np.ones(len(rows), bool)
        overlap = (
            box_iou(seen.xyxy, boxes.astype(np.float32)) if len(rows) and len(seen) else np.zeros((0, 0))
        )
        for row, label in enumerate(seen.names()):
            able = [
                k
                for k in np.argsort(-overlap[row])
                if free[k] and names[k] == label and overlap[row][k] >= SAME
            ]
            if able:
                free[able[0]] = False
                hits += 1
    return {
        f"everyday things at {THRESHOLD}": f"{hits} of {truth} found, {found - hits} of {found} boxes wrong"
    }


def main() -> None:
    """See the module."""
    reader = argparse.ArgumentParser(prog="python -m benchmarks.assets_truth")
    reader.add_argument("--json", action="store_true")
    given = reader.parse_args()
    mirror = os.environ.get("AIHUB_MODEL_MIRROR", "")
    if not mirror:
        sys.exit("set AIHUB_MODEL_MIRROR: truth and weights lie there")
    with tempfile.TemporaryDirectory() as home:
        store = ModelStore.from_folder(data_folder("models"), cache=Path(home) / "cache", mirror=mirror)
        with Engine(store) as engine:
            told = plates(Path(mirror), engine) | things(Path(mirror), engine)
    if given.json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write("".join(f"{name}: {value}\n" for name, value in told.items()))


if __name__ == "__main__":
    main()
