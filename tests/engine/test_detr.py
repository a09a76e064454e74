"""A graph in the form of Hugging Face's DETR exports, with sides that are symbolic, through the whole engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from aihub.engine import Engine, ModelStore
from aihub.types import Frame, InputSpec, ModelCard
from tests.engine.tiny import card_for

HIGH, WIDE = 32, 64


def export() -> bytes:
    """`pixel_values` (batch, 3, height, width) -> one query: the mean of each plane as its logit, and a box left of the middle."""
    weights = [
        numpy_helper.from_array(np.zeros((3, 4), np.float32), "none"),
        numpy_helper.from_array(np.array([0.25, 0.5, 0.5, 1.0], np.float32), "box"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["pixel_values"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["means", "one"], ["logits"]),
        helper.make_node("MatMul", ["means", "none"], ["zeros"]),
        helper.make_node("Add", ["zeros", "box"], ["boxes"]),
        helper.make_node("Unsqueeze", ["boxes", "one"], ["pred_boxes"]),
    ]
    given = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    gives = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, sides])
        for name, sides in (("logits", 3), ("pred_boxes", 4))
    ]
    graph = helper.make_graph(nodes, "detr", [given], gives, weights)
    opsets = [helper.make_opsetid("", 16)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    spec = InputSpec(
        name="pixel_values", size=(HIGH, WIDE), resize="stretch", color="rgb", std=(255.0, 255.0, 255.0)
    )
    made = card_for(tmp_path, "detr", export(), detector="detr")
    return made.model_copy(update={"input": spec, "labels": ("red", "green", "blue"), "iou": 1.0})


@pytest.mark.parametrize(
    ("bgr", "label"), [((0, 0, 255), "red"), ((0, 255, 0), "green"), ((255, 0, 0), "blue")]
)
def test_colours_scale_and_boxes_are_as_upstream_has_them(
    card: ModelCard, tmp_path: Path, bgr: tuple[int, int, int], label: str
) -> None:
    frames = [Frame(np.full((high, wide, 3), bgr, np.uint8)) for high, wide in ((HIGH, WIDE), (100, 300))]
    with Engine(ModelStore([card], cache=tmp_path / "cache"), threads=1) as engine:
        found = [engine.detect("detr", frame, confidence=0.6).result(timeout=20) for frame in frames]
    for one, (high, wide) in zip(found, ((HIGH, WIDE), (100, 300)), strict=True):
        assert one.names() == [label]
        assert one.confidence.tolist() == pytest.approx([1 / (1 + np.exp(-1.0))], abs=1e-5)
        assert np.abs(one.xyxy - [[0, 0, wide / 2, high]]).max() < 0.01
