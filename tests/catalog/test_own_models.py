"""Models of our own: what comes with them, and that what was to stay as it was has stayed so."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from aihub.engine import Engine, ModelStore
from aihub.plugins import data_folder
from aihub.types import Detections, Frame, ModelCard
from aihub.types.geometry import box_iou

MODELS = data_folder("models")
OWN = [card for card in ModelStore.from_folder(MODELS, cache=Path()).cards() if card.recipe]
LARGEST, ALL_TOGETHER = 5_000_000, 30_000_000
"""Bytes: what comes with the project has to stay small."""


def folder_of(card: ModelCard) -> Path:
    (path,) = MODELS.rglob(f"{card.name}.onnx")
    return path.parent


@pytest.mark.parametrize("card", OWN, ids=lambda card: card.name)
def test_a_model_of_our_own_comes_with_what_made_it_and_how_good_it_is(card: ModelCard) -> None:
    folder = folder_of(card)
    made = json.loads((folder / f"{card.name}.made.json").read_text(encoding="utf-8"))
    assert made["recipe"] == card.recipe == card.name
    assert made["sha256"] == card.artifact.sha256
    assert made["sha256"] == hashlib.sha256((folder / f"{card.name}.onnx").read_bytes()).hexdigest()
    assert made["labels"] == list(card.labels)
    assert made["data"], "digests of what it learned from"
    assert not [name for name in made["data"] if name.endswith("test.json")], "a test part was learned from"
    assert made["plan"]["seed"] >= 0
    assert made["versions"]["torch"]
    curve = [
        json.loads(line) for line in (folder / f"{card.name}.curve.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(curve) > 3
    assert json.loads((folder / f"{card.name}.report.json").read_text(encoding="utf-8"))
    assert (folder / f"{card.name}.curve.png").stat().st_size > 1000
    if card.task == "object-detection":
        assert (folder / f"{card.name}.sheet.jpg").stat().st_size > 10_000
    assert card.figures
    assert len(card.limits) > 100
    assert card.artifact.license == "Apache-2.0"


def test_they_are_small() -> None:
    sizes = {card.name: card.artifact.bytes or 0 for card in OWN}
    assert len(sizes) >= 5
    assert max(sizes.values()) <= LARGEST
    assert sum(sizes.values()) <= ALL_TOGETHER


@pytest.mark.parametrize("card", OWN, ids=lambda card: card.name)
def test_notice_names_them(card: ModelCard) -> None:
    notice = Path(__file__).parents[2].joinpath("NOTICE").read_text(encoding="utf-8")
    assert f"{card.name}.onnx" in notice


@pytest.mark.media
@pytest.mark.weights
def test_the_city_detector_knows_all_but_faces_exactly_as_well_as_its_donor(
    media: Path, mirror: Path, tmp_path: Path
) -> None:
    """Every box of YOLOX-nano on real pictures, of a class that both know, is there with the same confidence, and none besides."""
    store = ModelStore.from_folder(MODELS, cache=tmp_path, mirror=str(mirror))
    known = [label for label in store.resolve("city-detector").labels if label != "face"]
    compared = 0
    with Engine(store) as engine:
        for path in sorted((media / "images" / "coco").glob("*.jpg")):
            frame = Frame(np.asarray(cv2.imread(str(path))))
            ours, theirs = (
                engine.detect(name, frame, confidence=0.3).result(timeout=60).select(known)
                for name in ("city-detector", "yolox-nano")
            )
            compared += len(theirs)
            assert unmatched(theirs, ours, surely=0.32) == [], path.name
            assert unmatched(ours, theirs, surely=0.32) == [], path.name
    assert compared > 40


def unmatched(these: Detections, those: Detections, *, surely: float) -> list[tuple[str, float]]:
    """Boxes of the one, a little above the threshold, that the other has not: same class, nearly same place and confidence."""
    if not len(those):
        return [
            (name, float(sure))
            for name, sure in zip(these.names(), these.confidence, strict=True)
            if sure > surely
        ]
    overlap = box_iou(these.xyxy, those.xyxy)
    same = np.array(these.names())[:, None] == np.array(those.names())[None]
    near = np.abs(these.confidence[:, None] - those.confidence[None]) < 0.02
    found = (same & near & (overlap > 0.9)).any(1) if len(these) else np.zeros(0, np.bool_)
    return [
        (name, float(sure))
        for name, sure, there in zip(these.names(), these.confidence, found, strict=True)
        if sure > surely and not there
    ]
