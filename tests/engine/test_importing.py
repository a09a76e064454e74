"""Graphs from elsewhere: their family told from their outputs, the form of their input from a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from aihub.engine.importing import best_card, card_of, guess, read_ports
from aihub.engine.postprocess import probabilities
from aihub.errors import InputError
from aihub.plugins import data_folder
from aihub.types import Detections, Frame, InputSpec, Task

SPEC = InputSpec(name="images", size=(640, 640))
COCO = 80


@pytest.mark.parametrize(
    ("shapes", "classes", "decoder", "params"),
    [
        ({"o": (1, 8400, 85)}, 80, "yolox", {}),  # one row a cell
        ({"o": (1, 25200, 85)}, 80, "yolov5", {}),  # three anchors a cell
        ({"o": (1, 84, 8400)}, 80, "yolov8", {}),  # planes, no objectness
        ({"o": (1, 56, 8400)}, 1, "yolov8", {"points": 17}),  # a pose head
        ({"o": (1, 300, 6)}, 80, "end-to-end", {}),  # finished boxes
        ({"logits": (1, 300, 80), "pred_boxes": (1, 300, 4)}, 80, "detr", {"logits": "logits", "boxes": "pred_boxes"}),
        ({"dets": (1, 100, 4), "labels": (1, 100, 3)}, 3, "detr", {"logits": "labels", "boxes": "dets"}),
        ({"o": (1, 85, 22, 22)}, 80, "fastestdet", {}),  # one map
    ],
)  # fmt: skip
def test_a_family_is_told_from_its_outputs(
    shapes: dict[str, tuple[int, ...]], classes: int, decoder: str, params: dict[str, object]
) -> None:
    family = guess(Task.OBJECT_DETECTION, shapes, SPEC, classes)[0]
    assert (family.decoder, family.params) == (decoder, params)
    assert family.because


@pytest.mark.parametrize(
    ("shapes", "classes"),
    [
        ({"o": (1, 8400, 85)}, 3),  # the labels are not those of the graph
        ({"o": (1, 1000)}, 1000),  # a classifier is no detector
        ({"boxes": (1, 300, 4), "scores": (1, 200, 80)}, 80),  # not of the same things
        ({}, 1),  # nothing comes out
    ],
)
def test_what_fits_no_family_is_not_guessed(shapes: dict[str, tuple[int, ...]], classes: int) -> None:
    assert guess(Task.OBJECT_DETECTION, shapes, SPEC, classes) == []


def test_a_classifier_is_told_by_one_score_a_label() -> None:
    (family,) = guess(Task.IMAGE_CLASSIFICATION, {"o": (1, 3)}, SPEC, 3)
    assert family.decoder is None
    assert guess(Task.IMAGE_CLASSIFICATION, {"o": (1, 4)}, SPEC, 3) == []


def _graph(shape: list[int | str], *, inputs: int = 1) -> bytes:
    """Means of its colours, as a classifier of three labels: which plane is the brightest."""
    names = [f"in{index}" for index in range(inputs)]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
    axes = numpy_helper.from_array(np.array([2, 3], np.int64), "axes")
    node = helper.make_node("ReduceMean", [names[0], "axes"], ["out"], keepdims=0)
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])
    graph = helper.make_graph([node], "means", ports, [out], [axes])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


@pytest.mark.parametrize(
    ("shape", "inputs", "size", "field"),
    [
        ([1, 1, 64, 64], 1, None, "file"),  # grey
        ([2, 3, 64, 64], 1, None, "file"),  # two pictures at once
        ([1, 3, 64, 64], 2, None, "file"),  # two inputs
        ([1, 3, "h", "w"], 1, None, "size"),  # no size said
        ([1, 3, 64, 64], 1, (32, 32), "size"),  # another size said
        ([1, 3, "h", "w"], 1, (8, 8), "size"),  # too small to show anything
    ],
)
def test_a_graph_that_takes_no_picture_is_refused(
    shape: list[int | str], inputs: int, size: tuple[int, int] | None, field: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_ports(_graph(shape, inputs=inputs), size)
    assert caught.value.field == field


def test_the_size_may_be_said_where_the_graph_leaves_it_open() -> None:
    spec, shapes = read_ports(_graph([1, 3, "h", "w"]), (48, 64))
    assert (spec.size, spec.layout, shapes) == ((48, 64), "nchw", {"out": (1, 3)})


def test_the_order_of_colours_is_found_out_on_a_picture() -> None:
    """Its labels are in the order of its planes, so that only RGB calls a red picture red."""
    model = _graph([1, 3, 32, 32])
    spec, shapes = read_ports(model)
    (family,) = guess(Task.IMAGE_CLASSIFICATION, shapes, spec, 3)
    card = card_of("means", model, Task.IMAGE_CLASSIFICATION, ["red", "green", "blue"], "MIT", spec, family)
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 2] = 255
    card, trials = best_card(card, model, family, Frame(red))
    found = trials[0].found
    assert isinstance(found, dict)
    assert max(found.items(), key=lambda row: row[1])[0] == "red"
    assert card.input is not None
    assert card.input.color == "rgb"


def test_scores_become_probabilities() -> None:
    assert probabilities(np.array([0.2, 0.8], np.float32)).tolist() == pytest.approx([0.2, 0.8])
    made = probabilities(np.array([1000.0, 0.0, -5.0], np.float32))
    assert made.sum() == pytest.approx(1)
    assert made[0] == pytest.approx(1)


@pytest.mark.weights
@pytest.mark.media
@pytest.mark.parametrize(
    ("file", "decoder", "color", "resize"),
    [
        ("yolox_nano_coco.onnx", "yolox", "bgr", "letterbox"),
        ("nanodet_m_416_coco.onnx", "nanodet", "bgr", "letterbox"),
        ("fastestdet_coco.onnx", "fastestdet", "bgr", "stretch"),
    ],
)
def test_real_detectors_are_guessed_as_their_makers_say(
    mirror: Path, media: Path, file: str, decoder: str, color: str, resize: str
) -> None:
    card_file = data_folder("models") / "object-detection" / "yolox-nano.yaml"
    labels = yaml.safe_load(card_file.read_text(encoding="utf-8"))["labels"]
    model = (mirror / "models" / "detect" / file).read_bytes()
    spec, shapes = read_ports(model)
    family = guess(Task.OBJECT_DETECTION, shapes, spec, len(labels))[0]
    image = cv2.imread(str(media / "images" / "coco" / "000000373353.jpg"))
    card = card_of("it", model, Task.OBJECT_DETECTION, labels, "Apache-2.0", spec, family)
    card, trials = best_card(card, model, family, Frame(np.asarray(image, np.uint8)))
    assert card.input is not None
    assert (card.decoder, card.input.color, card.input.resize) == (decoder, color, resize)
    assert isinstance(trials[0].found, Detections)
    assert "car" in trials[0].found.names()
