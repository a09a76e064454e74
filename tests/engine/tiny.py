"""Tiny real graphs, cards for them, and a decoder that reads them: the engine is tested without any weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from onnx import GraphProto, TensorProto, helper, numpy_helper

from aihub.engine.decoding import Decoder, DecoderParams
from aihub.types import Artifact, Detections, InputSpec, ModelCard, Task, Tensor

SIZE = (8, 12)
"""(height, width) of the tiny detector's input."""


class MeanBox(Decoder[DecoderParams]):
    """One box over the whole input, whose confidence is the picture's mean over 255."""

    name = "test-mean-box"

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        height, width = self.size
        box = np.array([[0, 0, width, height]], np.float32)
        means = np.asarray(outputs["mean"], np.float32).reshape(len(outputs["mean"]))
        return [
            self.found(box, np.array([mean / 255]), np.array([0]))
            if mean / 255 >= confidence
            else Detections.empty(self.card.labels)
            for mean in means
        ]


class Faulty(Decoder[DecoderParams]):
    """A drop-in with a bug that shows on bright pictures only."""

    name = "test-faulty"

    def decode(self, outputs: Mapping[str, Tensor], confidence: float) -> list[Detections]:
        if float(np.max(outputs["mean"])) > 200:
            raise IndexError("a bug in a drop-in")
        return [Detections.empty(self.card.labels) for _ in outputs["mean"]]


def mean_graph(size: tuple[int, int] = SIZE) -> bytes:
    """Float `(1, 3, H, W)` -> `(1, 1, 1, 1)`: the mean of all values, through a convolution so that weights exist."""
    weights = numpy_helper.from_array(np.full((1, 3, 1, 1), 1 / 3, np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["grey"]),
        helper.make_node("GlobalAveragePool", ["grey"], ["mean"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *size])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, 1, 1, 1])
    return _model(helper.make_graph(nodes, "mean", [image], [mean], [weights]))


def double_graph(first: str | int = "n", width: str | int = 3) -> bytes:
    """Float `(first, width)` -> twice that."""
    two = numpy_helper.from_array(np.array([2], np.float32), "two")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [first, width])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [first, width])
    model = helper.make_graph([helper.make_node("Mul", ["x", "two"], ["y"])], "double", [x], [y], [two])
    return _model(model, {"unit": "metre"})


def picky_graph() -> bytes:
    """Float `(n, 1)` -> itself repeated n times... through a Gather that fails when any value is out of range."""
    table = numpy_helper.from_array(np.arange(4, dtype=np.float32), "table")
    x = helper.make_tensor_value_info("x", TensorProto.INT64, ["n", 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])
    return _model(
        helper.make_graph([helper.make_node("Gather", ["table", "x"], ["y"])], "picky", [x], [y], [table])
    )


def _model(graph: GraphProto, metadata: dict[str, str] | None = None) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if metadata:
        helper.set_model_props(model, metadata)
    body: bytes = model.SerializeToString()
    return body


def card_for(
    folder: Path,
    name: str,
    model: bytes,
    *,
    detector: str | None = None,
    size: tuple[int, int] = SIZE,
    roles: tuple[str, ...] = (),
    rank: int = 100,
    license: str = "Apache-2.0",  # noqa: A002 - the card's own word
) -> ModelCard:
    """Write the graph to a file of the folder and make its card."""
    path = folder / f"{name}.onnx"
    path.write_bytes(model)
    return ModelCard(
        name=name,
        task=Task.OBJECT_DETECTION,
        summary="A tiny graph.",
        roles=roles,
        rank=rank,
        labels=("thing",),
        artifact=Artifact(
            uri=f"file:{path}",
            sha256=hashlib.sha256(model).hexdigest(),
            bytes=len(model),
            license=license,
        ),
        input=InputSpec(name="image", size=size, resize="stretch") if detector else None,
        decoder=detector,
    )
