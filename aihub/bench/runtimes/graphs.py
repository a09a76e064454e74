"""Detector graphs drawn here with random weights: one of the class of YOLO11n (640 px, 2.3 M weights and 5.9 GFLOP; that one has 2.6 M and 6.5), and small ones.

For speed tests only: it finds nothing. Runtimes differ most on graphs of this kind (dense 3 x 3 convolutions with SiLU), and the
well-known ones of this size have licences that this project does not touch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, load_model_from_string, numpy_helper

SIDE = 640
CLASSES = 80
BINS = 16


@dataclass
class Drawing:
    """Nodes and weights so far; counts what they cost."""

    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    parameters: int = 0
    flop: float = 0.0

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; its name."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [*inputs], [name], **attributes))
        return name

    def constant(self, values: object) -> str:
        """Add a constant; its name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def conv(self, x: Plane, out: int, kernel: int = 3, stride: int = 1, *, act: bool = True, groups: int = 1) -> Plane:  # fmt: skip
        """Convolution and SiLU."""
        shape = (out, x.channels // groups, kernel, kernel)
        spread = np.sqrt(2 / np.prod(shape[1:]))
        weights = self.constant((self.random.standard_normal(shape) * spread).astype(np.float32))
        bias = self.constant(np.zeros(out, np.float32))
        y = self.node("Conv", x.name, weights, bias, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                      pads=[kernel // 2] * 4, group=groups)  # fmt: skip
        side = x.side // stride
        self.parameters += int(np.prod(shape)) + out
        self.flop += 2 * float(np.prod(shape)) * side * side
        if act:
            y = self.node("Mul", y, self.node("Sigmoid", y))
        return Plane(y, out, side)

    def join(self, *planes: Plane) -> Plane:
        """Channels of all."""
        name = self.node("Concat", *(plane.name for plane in planes), axis=1)
        return Plane(name, sum(plane.channels for plane in planes), planes[0].side)

    def add(self, a: Plane, b: Plane) -> Plane:
        """Sum."""
        return Plane(self.node("Add", a.name, b.name), a.channels, a.side)

    def csp(self, x: Plane, out: int, half: int, depth: int = 1) -> Plane:
        """Half of the channels go through bottlenecks, the other half past them."""
        past, through = self.conv(x, half, 1), self.conv(x, half, 1)
        kept = [past, through]
        for _ in range(depth):
            through = self.add(through, self.conv(self.conv(through, max(half // 2, 8)), half))
            kept.append(through)
        return self.conv(self.join(*kept), out, 1)

    def wider(self, x: Plane) -> Plane:
        """Twice the side."""
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        return Plane(self.node("Resize", x.name, "", scales, mode="nearest"), x.channels, x.side * 2)


@dataclass(frozen=True)
class Plane:
    """A tensor (n, channels, side, side)."""

    name: str
    channels: int
    side: int


def detector(side: int = SIDE, width: float = 1.0) -> tuple[bytes, Drawing]:
    """The ONNX file, and the drawing with its counts. uint8 (n, side, side, 3) -> (n, 4 + 80, cells): 8400 of 640 px.

    Args:
        side: of the picture, px; a multiple of 32.
        width: share of the channels of the full graph, of which each plane keeps 8 at least; in (0, 1].
    """
    draw = Drawing()

    def wide(channels: int) -> int:
        return max(8, round(channels * width))

    planes = draw.node("Transpose", "images", perm=[0, 3, 1, 2])
    scaled = draw.node("Mul", draw.node("Cast", planes, to=TensorProto.FLOAT), draw.constant(np.float32(1 / 255)))  # fmt: skip
    p2 = draw.conv(draw.conv(Plane(scaled, 3, side), wide(16), 3, 2), wide(32), 3, 2)
    p3 = draw.csp(draw.conv(draw.csp(p2, wide(64), wide(16)), wide(64), 3, 2), wide(128), wide(32))
    p4 = draw.csp(draw.conv(p3, wide(128), 3, 2), wide(128), wide(64), 2)
    p5 = draw.csp(draw.conv(p4, wide(256), 3, 2), wide(256), wide(128), 2)
    pooled = [draw.conv(p5, wide(128), 1)]
    for _ in range(3):
        name = draw.node("MaxPool", pooled[-1].name, kernel_shape=[5, 5], pads=[2] * 4, strides=[1, 1])
        pooled.append(Plane(name, pooled[-1].channels, p5.side))
    p5 = draw.csp(draw.conv(draw.join(*pooled), wide(256), 1), wide(256), wide(64))
    up4 = draw.csp(draw.join(draw.wider(p5), p4), wide(128), wide(32))
    out3 = draw.csp(draw.join(draw.wider(up4), p3), wide(64), wide(16))
    out4 = draw.csp(draw.join(draw.conv(out3, wide(64), 3, 2), up4), wide(128), wide(32))
    out5 = draw.csp(draw.join(draw.conv(out4, wide(128), 3, 2), p5), wide(256), wide(64), 2)
    levels = [_head(draw, plane) for plane in (out3, out4, out5)]
    draw.node("Concat", *levels, axis=2)
    draw.nodes[-1].output[0] = "found"
    graph = helper.make_graph(
        draw.nodes, "drawn",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", side, side, 3])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, ["n", 4 + CLASSES, None])], draw.weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString()), draw


def _head(draw: Drawing, plane: Plane) -> str:
    """Boxes as the mean of a distribution over 16 distances for each side, and probabilities: (n, 84, cells)."""
    box = draw.conv(draw.conv(draw.conv(plane, 64), 64), 4 * BINS, 1, act=False)
    kind = draw.conv(draw.conv(plane, plane.channels, groups=plane.channels), CLASSES, 1)
    kind = draw.conv(draw.conv(kind, CLASSES, groups=CLASSES), CLASSES, 1)
    kind = draw.conv(kind, CLASSES, 1, act=False)
    flat = draw.node("Reshape", box.name, draw.constant(np.array([0, 4, BINS, -1], np.int64)))
    spread = draw.node("Softmax", flat, axis=2)
    weighted = draw.node("Mul", spread, draw.constant(np.arange(BINS, dtype=np.float32).reshape(1, 1, -1, 1)))
    sides = draw.node("ReduceSum", weighted, draw.constant(np.array([2], np.int64)), keepdims=0)
    scores = draw.node("Reshape", draw.node("Sigmoid", kind.name), draw.constant(np.array([0, CLASSES, -1], np.int64)))  # fmt: skip
    return draw.node("Concat", sides, scores, axis=1)


def parsed(model: bytes) -> Any:
    """The graph as `onnx` reads it, for converters that want one."""
    return load_model_from_string(model)
