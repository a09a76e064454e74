"""A detector that begins with what a permissive one has learned: YOLOX-nano's body from its ONNX file, heads of our own."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from onnx.utils import Extractor
from onnx2torch import convert
from torch import Tensor, nn

from aihub.types import InputSpec

STRIDES = (8, 16, 32)
SIZE = 416
"""Pixels a side of the picture that the donor takes; letterboxed, BGR, 0 to 255."""

PAD = 114
INPUT = InputSpec(name="images", size=(SIZE, SIZE), layout="nhwc", pad=PAD)
"""The same as the engine and model cards say it."""

PRIOR = -4.6
"""Bias of fresh scores, log-odds of 1 in 100: nearly every cell is empty, and training shall not begin by learning that."""


class Detector(nn.Module):
    """A body with one tower for classes and one for boxes at each stride, and a 1 x 1 convolution upon each.

    Args:
        body: (n, 3, 416, 416) -> class and box features of each stride in turn.
        channels: of those features.
        classes: what it tells apart.
    """

    def __init__(self, body: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.body, self.classes = body, classes
        kinds = [nn.Conv2d(channels, classes, 1) for _ in STRIDES]
        self.boxes = nn.ModuleList(nn.Conv2d(channels, 4, 1) for _ in STRIDES)
        self.objects = nn.ModuleList(nn.Conv2d(channels, 1, 1) for _ in STRIDES)
        for head in kinds:
            nn.init.normal_(head.weight, std=0.01)
            nn.init.constant_(head.bias, PRIOR)
        self.kinds = nn.ModuleList(kinds)
        cells, strides = grid()
        self.register_buffer("cells", cells, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, 416, 416) -> (n, 3549, 5 + classes): x, y, log w, log h in strides from the cell; log-odds of object and classes."""
        features = self.body(pictures)
        levels = []
        for at in range(len(STRIDES)):
            of_kinds, of_boxes = features[2 * at], features[2 * at + 1]
            parts = (self.boxes[at](of_boxes), self.objects[at](of_boxes), self.kinds[at](of_kinds))
            levels.append(torch.cat(parts, 1).flatten(2))
        return torch.cat(levels, 2).transpose(1, 2)

    def corners(self, raw: Tensor) -> Tensor:
        """(..., 3549, 5 + classes) -> (..., 3549, 4): x1, y1, x2, y2 in pixels of the 416 px picture."""
        centre = (raw[..., :2] + self.cells) * self.strides
        half = torch.exp(raw[..., 2:4].clamp(max=6.0)) * self.strides / 2
        return torch.cat((centre - half, centre + half), -1)


def grid() -> tuple[Tensor, Tensor]:
    """Column and row of each cell, (3549, 2), and its stride in pixels, (3549, 1)."""
    cells, strides = [], []
    for stride in STRIDES:
        side = torch.arange(SIZE // stride, dtype=torch.float32)
        rows, columns = torch.meshgrid(side, side, indexing="ij")
        cells.append(torch.stack((columns, rows), -1).reshape(-1, 2))
        strides.append(torch.full((side.numel() ** 2, 1), float(stride)))
    return torch.cat(cells), torch.cat(strides)


def from_donor(path: Path, classes: int) -> Detector:
    """A detector with everything of the donor but its classes.

    Args:
        path: YOLOX-nano as ONNX, with the names of its own exporter.
        classes: of the new detector.

    Raises:
        KeyError: it is another graph.
    """
    graph = onnx.load(str(path))
    weights = {value.name: value for value in graph.graph.initializer}
    readers = {node.input[1]: node for node in graph.graph.node if node.op_type == "Conv"}
    cuts = [
        readers[f"head.{kind}_preds.{at}.weight"].input[0]
        for at in range(len(STRIDES))
        for kind in ("cls", "reg")
    ]
    body = convert(Extractor(graph).extract_model(["images"], cuts))
    channels = numpy_helper.to_array(weights["head.reg_preds.0.weight"]).shape[1]
    made = Detector(body, channels, classes)
    for name, heads in (("reg", made.boxes), ("obj", made.objects)):
        for at, head in enumerate(heads):
            learned = {part: weights[f"head.{name}_preds.{at}.{part}"] for part in ("weight", "bias")}
            head.load_state_dict(
                {
                    part: torch.from_numpy(numpy_helper.to_array(value).copy())
                    for part, value in learned.items()
                }
            )
    return made
