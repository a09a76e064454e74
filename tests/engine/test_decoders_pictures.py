"""Decoders on real pictures with real weights: what people see on them is found."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from aihub.engine.preprocess import prepare
from aihub.types import Frame, Image
from aihub.types.geometry import box_iou
from tests.engine.bare import Bare, picture

ANNOTATED = [  # boxes drawn by people (COCO annotations)
    ("yolox-nano", "000000000034.jpg", "zebra", [1, 20, 442, 399]),
    ("yolox-nano", "000000000036.jpg", "person", [168, 163, 478, 628]),
    ("yolox-nano", "000000000036.jpg", "umbrella", [0, 50, 458, 480]),
    ("yolox-nano", "000000000030.jpg", "vase", [238, 156, 404, 351]),
    ("nanodet-m-416", "000000000034.jpg", "zebra", [1, 20, 442, 399]),
    ("nanodet-m-416", "000000000036.jpg", "person", [168, 163, 478, 628]),
    ("nanodet-m-416", "000000000009.jpg", "broccoli", [250, 229, 566, 474]),
    ("fastestdet", "000000000034.jpg", "zebra", [1, 20, 442, 399]),
    ("fastestdet", "000000000036.jpg", "person", [168, 163, 478, 628]),
    ("fastestdet", "000000000030.jpg", "potted plant", [205, 31, 460, 355]),
]


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize(("name", "file", "label", "box"), ANNOTATED)
def test_coco_detectors_find_what_people_marked(
    name: str, file: str, label: str, box: list[float], media: Path, mirror: Path
) -> None:
    found = Bare(name, mirror).detect(picture(media / "images/coco" / file), 0.45).select([label])
    assert len(found) >= 1
    assert box_iou(found.xyxy[:1], np.array([box], np.float32))[0, 0] > 0.65


@pytest.mark.media
@pytest.mark.weights
def test_a_street_has_its_people_cars_and_the_bus(media: Path, mirror: Path) -> None:
    found = Bare("yolox-nano", mirror).detect(picture(media / "images/coco/000000373353.jpg"), 0.45)
    names = found.names()
    assert names.count("bus") == 1
    assert names.count("person") >= 4
    assert names.count("car") >= 4
    assert set(names) <= {"person", "car", "bus", "truck", "motorcycle", "traffic light"}


FACES = [
    ("yunet-640", 0.6),
    ("yunet-320", 0.7),
    ("ultralight-320", 0.8),
    ("ultralight-640", 0.9),
    ("retinaface-mobilenet", 0.9),
]
TWO_MEN = np.array([[761, 396, 934, 638], [1137, 364, 1321, 608]], np.float32)  # as seen by eye


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize(("name", "confidence"), FACES)
def test_faces_are_found_with_eyes_above_mouths(
    name: str, confidence: float, media: Path, mirror: Path
) -> None:
    model = Bare(name, mirror)
    pair = model.detect(picture(media / "images/faces/test_obama_and_biden.jpg"), confidence)
    assert 2 <= len(pair) <= 3, "the two men, and a girl at the edge turned aside"
    assert (box_iou(TWO_MEN, pair.xyxy).max(axis=1) > 0.7).all()
    crowd = model.detect(picture(media / "images/coco/000000005001.jpg"), confidence)
    assert 12 <= len(crowd) <= 20
    if pair.keypoints is not None:
        best = pair[:2]
        assert best.keypoints is not None
        right_eye, left_eye, nose, *mouth = best.keypoints.transpose(1, 0, 2)
        assert (right_eye[:, 0] < left_eye[:, 0]).all()
        assert (np.maximum(right_eye[:, 1], left_eye[:, 1]) < nose[:, 1]).all()
        assert all((corner[:, 1] > nose[:, 1]).all() for corner in mouth)


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize("name", ["yunet-320", "yunet-640"])
def test_yunet_agrees_with_opencv(name: str, media: Path, mirror: Path) -> None:
    model = Bare(name, mirror)
    assert model.card.input is not None
    image = picture(media / "images/coco/000000005001.jpg")
    pixels, placement = prepare(Frame(image), model.card.input)
    height, width = model.card.input.size
    theirs = cv2.FaceDetectorYN.create(
        str(mirror / str(model.card.artifact.mirror)), "", (width, height), 0.5, model.card.iou, 5000
    )
    _, faces = theirs.detect(np.ascontiguousarray(pixels))
    faces = faces[np.argsort(-faces[:, 14])]
    ours = model.detect(image, 0.5)
    assert len(ours) == len(faces) >= 12
    boxes = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:4]], axis=1)
    edge = np.array([width, height, width, height])
    assert np.abs(placement.to_model(ours.xyxy) - boxes.clip(0, edge)).max() < 0.01
    assert np.abs(ours.confidence - faces[:, 14]).max() < 1e-4
    assert ours.keypoints is not None
    marks = ours.keypoints[..., :2] * np.array(placement.scale) + placement.offset
    assert np.abs(marks - faces[:, 4:14].reshape(-1, 5, 2)).max() < 0.01


@pytest.mark.media
@pytest.mark.weights
def test_bare_faces_wear_no_mask_and_a_drawn_one_is_seen(media: Path, mirror: Path) -> None:
    model = Bare("face-mask-aizoo", mirror)
    image = picture(media / "images/faces/train_biden_biden2.jpg")
    bare = model.detect(image, 0.6)
    assert bare.names() == ["no-mask"]
    assert box_iou(bare.xyxy, np.array([[436, 141, 869, 777]], np.float32))[0, 0] > 0.7
    masked = image.copy()
    outline = [[453, 476], [650, 463], [852, 476], [834, 618], [731, 786], [557, 786], [471, 618]]
    cv2.fillPoly(masked, [np.array(outline, np.int32)], (230, 200, 150))
    for y in (580, 630, 680):  # pleats
        cv2.line(masked, (500, y), (800, y), (195, 170, 127), 4)
    masked = np.asarray(cv2.GaussianBlur(masked, (0, 0), 4), np.uint8)
    assert model.detect(masked, 0.6).names() == ["mask"]


def street_with_plate(media: Path, plate: str, width: int) -> tuple[Image, list[int]]:
    """A street picture with a dark boot and a real plate on it, and where the plate is."""
    street = picture(media / "images/coco/000000373353.jpg").copy()
    crop = picture(media / "images/plates_cn" / plate)
    crop = np.asarray(cv2.resize(crop, (width, width * crop.shape[0] // crop.shape[1])), np.uint8)
    x, y, bottom = 120, 330, 330 + crop.shape[0]
    cv2.rectangle(street, (x - 60, y - 90), (x + width + 60, bottom + 30), (60, 60, 60), -1)
    street[y:bottom, x : x + width] = crop
    return street, [x, y, x + width, bottom]


@pytest.mark.media
@pytest.mark.weights
@pytest.mark.parametrize("name", ["hyperlpr-y5fu-640", "hyperlpr-y5fu-320"])
@pytest.mark.parametrize("plate", ["plate_03.jpg", "plate_10.jpg", "plate_16.jpg"])
def test_plates_are_found_with_their_corners(name: str, plate: str, media: Path, mirror: Path) -> None:
    model = Bare(name, mirror)
    assert not len(model.detect(picture(media / "images/coco/000000373353.jpg"), 0.4)), (
        "no legible plate there"
    )
    image, box = street_with_plate(media, plate, 141)
    found = model.detect(image, 0.4)
    assert found.names() == ["single-row"]
    assert box_iou(found.xyxy, np.array([box], np.float32))[0, 0] > 0.75
    assert found.keypoints is not None
    x1, y1, x2, y2 = box
    corners = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]  # clockwise from the top left
    assert np.abs(found.keypoints[0, :, :2] - corners).max() < 12
