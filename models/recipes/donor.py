"""A detector that begins with what a permissive one has learned: YOLOX-nano's body from its ONNX file, heads of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import onnx
import torch
import yaml
from onnx import numpy_helper
from onnx.utils import Extractor
from onnx2torch import convert
from torch import Tensor, nn

from aihub.types import InputSpec
from models.recipes.fusing import with_silu

CARD = Path(__file__).parent.parent / "object-detection" / "yolox-nano.yaml"
STRIDES = (8, 16, 32)
SIZE = 416
"""Pixels a side of the picture that the donor takes; letterboxed, BGR, 0 to 255."""

PAD = 114
INPUT = InputSpec(name="images", size=(SIZE, SIZE), layout="nhwc", pad=PAD)
"""The same as the engine and model cards say it."""

PRIOR = -4.6
"""Bias of fresh scores, log-odds of 1 in 100: nearly every cell is empty, and training shall not begin by learning that."""


def _rare(channels: int, classes: int) -> nn.Conv2d:
    """A fresh last convolution that begins by finding nothing."""
    head = nn.Conv2d(channels, classes, 1)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.constant_(head.bias, PRIOR)
    return head


class Detector(nn.Module):
    """A body with one tower for classes and one for boxes at each stride, and a 1 x 1 convolution upon each.

    Args:
        body: gives class and box features of each stride in turn, of pictures (n, 3, 416, 416) or of what another has made of them.
        channels: of those features.
        classes: what it tells apart.
    """

    def __init__(self, body: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.body, self.classes = body, classes
        self.boxes = nn.ModuleList(nn.Conv2d(channels, 4, 1) for _ in STRIDES)
        self.objects = nn.ModuleList(_rare(channels, 1) for _ in STRIDES)
        self.kinds = nn.ModuleList(_rare(channels, classes) for _ in STRIDES)
        cells, strides = grid()
        self.register_buffer("cells", cells, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def forward(self, *seen: Tensor) -> Tensor:
        """(n, 3, 416, 416), or whatever the body takes -> (n, 3549, 5 + classes).

        x, y, log w, log h in strides from the cell; log-odds of object and classes.
        """
        return torch.cat(self.columns(*seen), 1).transpose(1, 2)

    def columns(self, *seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same as convolutions leave it: (n, 4, 3549), (n, 1, 3549) and (n, classes, 3549)."""
        features = self.body(*seen)
        levels = [
            (boxes(features[2 * at + 1]), objects(features[2 * at + 1]), kinds(features[2 * at]))
            for at, (boxes, objects, kinds) in enumerate(
                zip(self.boxes, self.objects, self.kinds, strict=True)
            )
        ]
        boxes, objects, kinds = (
            torch.cat([one.flatten(2) for one in part], 2) for part in zip(*levels, strict=True)
        )
        return boxes, objects, kinds

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


class Donor:
    """YOLOX-nano as ONNX, with the names of its own exporter.

    Args:
        path: of the file.

    Raises:
        KeyError: it is another graph.
    """

    def __init__(self, path: Path) -> None:
        self._graph = onnx.load(str(path))
        self._weights = {value.name: value for value in self._graph.graph.initializer}
        self._makers = {node.output[0]: node for node in self._graph.graph.node}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self._graph.graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self.channels = int(self._array("head.reg_preds.0.weight").shape[1])

    def part(self, inputs: Sequence[str], outputs: Sequence[str]) -> nn.Module:
        """What lies between some values of the graph; weights are copies."""
        return with_silu(convert(Extractor(self._graph).extract_model(list(inputs), list(outputs))))

    def features(self, *kinds: str) -> list[str]:
        """Names of the values that the last convolutions read, stride by stride; kinds are `cls` and `reg`."""
        return [self._reads(f"head.{kind}_preds.{at}.weight") for at in range(len(STRIDES)) for kind in kinds]

    def stems(self) -> list[str]:
        """Names of the values that both towers of a stride begin with."""
        found = []
        for feature in self.features("reg"):
            name = self._above(feature)
            while sum(node.op_type == "Conv" for node in self._readers[name]) < len(("class", "box")):
                name = self._above(name)
            found.append(name)
        return found

    def halvings(self) -> list[str]:
        """Names of the values that a convolution of stride 2 reads, from the picture down: textures at strides 2, 4, 8, 16, ..."""
        return [
            str(node.input[0])
            for node in self._graph.graph.node
            if node.op_type == "Conv" and _stride(node) > 1
        ]

    def lend(self, heads: Detector, inherited: Mapping[int, int]) -> None:
        """Give all last convolutions, of classes only some: `heads`' index -> the donor's."""
        for at in range(len(STRIDES)):
            heads.boxes[at].load_state_dict(self._learned("reg", at))
            heads.objects[at].load_state_dict(self._learned("obj", at))
            known = self._learned("cls", at)
            for part, values in heads.kinds[at].state_dict().items():
                values[list(inherited)] = known[part][list(inherited.values())]

    def _learned(self, name: str, at: int) -> dict[str, Tensor]:
        parts = ("weight", "bias")
        return {
            part: torch.from_numpy(self._array(f"head.{name}_preds.{at}.{part}").copy()) for part in parts
        }

    def _array(self, name: str) -> npt.NDArray[np.float32]:
        return numpy_helper.to_array(self._weights[name])

    def _reads(self, weight: str) -> str:
        return str(self._readers[weight][0].input[0])

    def _above(self, name: str) -> str:
        """The first value that this one is made of."""
        return next(str(one) for one in self._makers[name].input if one in self._makers)


def _stride(node: onnx.NodeProto) -> int:
    return next((int(one.ints[0]) for one in node.attribute if one.name == "strides"), 1)


def from_donor(path: Path, classes: int, inherited: Mapping[int, int] = MappingProxyType({})) -> Detector:
    """A detector with everything of the donor but its classes.

    Args:
        path: see `Donor`.
        classes: of the new detector.
        inherited: its classes that the donor knows -> the donor's index of each. The others are fresh.
    """
    donor = Donor(path)
    made = Detector(donor.part(["images"], donor.features("cls", "reg")), donor.channels, classes)
    donor.lend(made, inherited)
    return made


def donor_labels() -> list[str]:
    """What the donor tells apart, in its order."""
    card = yaml.safe_load(CARD.read_text(encoding="utf-8"))
    return [str(label) for label in card["labels"]]
