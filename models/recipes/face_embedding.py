"""The face embedding: dlib's ResNet of 29 layers, in the public domain, turned from dlib's own file into ONNX. Nothing is learned.

python -m models.recipes.face_embedding --from face_recognition_models-0.3.0.tar.gz --out build/face-embedding

`pip download --no-deps face_recognition_models` brings the archive; the `.dat` file of an installed one does as well. Written to
`--out`: `face-embedding.onnx` and `made.json`. The same file gives the same bytes, whatever machine and day.

A chip of 150 x 150 pixels goes through a convolution of 7 x 7, four groups of blocks (dlib's `alevel4` to `alevel0`), and the
mean of what is left, to 128 numbers. Two sides of a block that differ in size are added where they meet at the top left, and
what is over counts as nothing, as dlib's `add_prev` has it. Batch norms became factors in dlib's file (`affine`); they are
folded into the convolutions here. Weights are kept as float16, which halves the file, and computed with as float32.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from models.recipes.dlib_file import DlibFileError, Layer, layers

NAME = "face-embedding"
INSIDE = "dlib_face_recognition_resnet_model_v1.dat"
SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
SIDE, LENGTH, OPSET = 150, 128, 17
MEAN_RGB, SCALE = (122.782, 117.001, 104.298), 256.0
"""dlib's `input_rgb_image_sized`: what is taken from a pixel, and what it is divided by."""
GROUPS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Filters, blocks, and whether the first block halves the picture; from the picture to the answer."""
NOTES = {
    "license": "CC0-1.0",
    "source": "Davis King, dlib-models, dlib_face_recognition_resnet_model_v1; PyPI face_recognition_models 0.3.0",
    "template": "dlib-resnet-v1",
    "chip": "dlib-150",
    "distance": "0.6",
}
"""What the graph says of itself: whose templates it makes, the chip it wants, and the distance that its maker calls the same."""

F32 = npt.NDArray[np.float32]


@dataclass(slots=True)
class Graph:
    """A graph that grows.

    Attributes:
        learned: layers that are still to be used, in order.
        exact: keep float32 weights.
    """

    learned: Iterator[Layer]
    exact: bool = False
    nodes: list[NodeProto] = field(default_factory=list)
    kept: list[TensorProto] = field(default_factory=list)

    def node(self, kind: str, inputs: Sequence[str], **settings: Any) -> str:
        """Add a node; the name of what it gives."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **settings))
        return name

    def keep(self, name: str, values: npt.NDArray[np.generic]) -> str:
        """Add a constant."""
        self.kept.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weights(self, values: npt.NDArray[np.float64]) -> str:
        """Add weights as they are kept."""
        name = f"w_{len(self.kept)}"
        if self.exact:
            return self.keep(name, values.astype(np.float32))
        return self.node("Cast", [self.keep(name, values.astype(np.float16))], to=TensorProto.FLOAT)

    def convolved(self, given: str, channels: int) -> str:
        """The next convolution of the file, with the factors behind it folded in.

        Raises:
            DlibFileError: what follows in the file is none.
        """
        con, affine = next(self.learned, None), next(self.learned, None)
        if con is None or affine is None or (con.name, affine.name) != ("con_4", "affine_"):
            raise DlibFileError("a convolution with its factors was expected")
        filters, rows, columns, *steps_margins = con.settings
        if (
            con.weights.size != filters * (channels * rows * columns + 1)
            or affine.weights.size != 2 * filters
        ):
            raise DlibFileError(f"{con.weights.size} weights for {filters} filters over {channels} channels")
        weights = con.weights[:-filters].reshape(filters, channels, rows, columns).astype(np.float64)
        gamma, beta = affine.weights.astype(np.float64).reshape(2, filters)
        bias = con.weights[-filters:] * gamma + beta
        down, right, margin_y, margin_x = steps_margins
        return self.node(
            "Conv",
            [given, self.weights(weights * gamma[:, None, None, None]), self.keep(f"b_{len(self.kept)}", bias.astype(np.float32))],
            kernel_shape=[rows, columns],
            strides=[down, right],
            pads=[margin_y, margin_x, margin_y, margin_x],
        )  # fmt: skip

    def padded(self, given: str, *, channels: int = 0, below: int = 0) -> str:
        """Nothing added behind the channels, below and to the right."""
        if not channels and not below:
            return given
        pads = np.array([0, 0, 0, 0, 0, channels, below, below], np.int64)
        return self.node("Pad", [given, self.keep(f"p_{len(self.kept)}", pads)])

    def block(self, given: str, shape: tuple[int, int], filters: int, *, halves: bool) -> tuple[str, tuple[int, int]]:  # fmt: skip
        """Two convolutions beside a shortcut. `shape`: channels and side of what is given, and of what comes out."""
        channels, side = shape
        first = self.node("Relu", [self.convolved(given, channels)])
        second = self.convolved(first, filters)
        if not halves:
            return self.node("Relu", [self.node("Add", [second, given])]), shape
        short = self.node("AveragePool", [given], kernel_shape=[2, 2], strides=[2, 2])
        inner, outer = (side - 3) // 2 + 1, (side - 2) // 2 + 1
        short = self.padded(short, channels=filters - channels)
        second = self.padded(second, below=outer - inner)
        return self.node("Relu", [self.node("Add", [second, short])]), (filters, outer)


def convert(data: bytes, *, exact: bool = False) -> onnx.ModelProto:
    """dlib's file -> ONNX: chips `(n, 150, 150, 3)` uint8 RGB in, `embedding` `(n, 128)` float32 out.

    Args:
        data: content of the `.dat` file.
        exact: keep float32 weights, for comparison.

    Raises:
        DlibFileError: it is not that network.
    """
    graph = Graph(layers(data), exact)
    colours = graph.node(
        "Cast", [graph.node("Transpose", ["chips"], perm=[0, 3, 1, 2])], to=TensorProto.FLOAT
    )
    mean = graph.keep("mean", np.array(MEAN_RGB, np.float32).reshape(1, 3, 1, 1))
    centred = graph.node("Sub", [colours, mean])
    scaled = graph.node("Mul", [centred, graph.keep("scale", np.array(1 / SCALE, np.float32))])
    seen = graph.node("Relu", [graph.convolved(scaled, 3)])
    seen = graph.node("MaxPool", [seen], kernel_shape=[3, 3], strides=[2, 2])
    shape = (32, ((SIDE - 7) // 2 + 1 - 3) // 2 + 1)
    for filters, blocks, halves in GROUPS:
        for index in range(blocks):
            seen, shape = graph.block(seen, shape, filters, halves=halves and index == 0)
    last = next(graph.learned, None)
    if last is None or last.name != "fc_2" or last.settings != (LENGTH, shape[0]):
        raise DlibFileError("the network does not end in 128 numbers")
    mean_of_all = graph.node("Flatten", [graph.node("GlobalAveragePool", [seen])])
    graph.node(
        "MatMul", [mean_of_all, graph.weights(last.weights.reshape(shape[0], LENGTH).astype(np.float64))]
    )
    graph.nodes[-1].output[0] = "embedding"
    return _model(graph)


def _model(graph: Graph) -> onnx.ModelProto:
    chips = helper.make_tensor_value_info("chips", TensorProto.UINT8, ["n", SIDE, SIDE, 3])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", LENGTH])
    whole = helper.make_graph(graph.nodes, NAME, [chips], [embedding], graph.kept)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="aihub")  # fmt: skip
    helper.set_model_props(model, NOTES)
    onnx.checker.check_model(model, full_check=True)
    return model


def read(path: Path) -> bytes:
    """The `.dat` file, or the one inside an archive of the package.

    Raises:
        DlibFileError: it is not there, or not the file that is known.
    """
    data = path.read_bytes()
    if path.name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(path) as archive:
            member = next((one for one in archive if one.name.endswith(f"/{INSIDE}")), None)
            opened = None if member is None else archive.extractfile(member)
            data = b"" if opened is None else opened.read()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise DlibFileError(f"{path} has no {INSIDE} with sha256 {SHA256}, but {found}")
    return data


def main() -> None:
    """Convert, write, say what was made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="given", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--exact", action="store_true", help="float32 weights: twice the size")
    asked = parser.parse_args()
    try:
        model = convert(read(asked.given), exact=asked.exact)
    except (DlibFileError, OSError, tarfile.TarError) as error:
        sys.exit(str(error))
    asked.out.mkdir(parents=True, exist_ok=True)
    data = model.SerializeToString(deterministic=True)
    (asked.out / f"{NAME}.onnx").write_bytes(data)
    made = {
        "recipe": NAME,
        "from": {INSIDE: SHA256},
        "weights": "float32" if asked.exact else "float16",
        "versions": {package: version(package) for package in ("onnx", "numpy")},
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    text = json.dumps(made, indent=1) + "\n"
    (asked.out / "made.json").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
