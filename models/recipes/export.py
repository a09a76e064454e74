"""From weights to a file that anybody can serve: uint8 pictures in, pixels and probabilities out, everything between in the graph."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.recipes.branch import Branched
from models.recipes.donor import INPUT, SIZE, Detector
from models.recipes.record import noted

OUTPUT = "found"
OPSET = 17


class Served(nn.Module):
    """A detector as it is served."""

    def __init__(self, net: Detector | Branched) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """(n, 416, 416, 3) uint8 BGR -> (n, 4 + classes, columns): x, y of the middle, width, height in pixels; probabilities.

        There are 3549 columns, and of two detectors twice as many: each knows the classes of its own only.
        """
        pictures = images.permute(0, 3, 1, 2).float()
        # Turned round nowhere: what convolutions leave lies as it is served, and a copy of it costs as much as one of them.
        if isinstance(self.net, Detector):
            return torch.cat(self._told(*self.net.columns(pictures)), 1)
        (old, known), (new, learned) = (self._told(*parts) for parts in self.net.both(pictures))
        fewer, more = old.shape[-1], new.shape[-1]
        rows = torch.cat((old, new), 2), functional.pad(known, (0, more)), functional.pad(learned, (fewer, 0))
        return torch.cat(rows, 1)

    def _told(self, boxes: Tensor, objects: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
        cells, strides = self.net.cells.T, self.net.strides.T
        middle = (boxes[:, :2] + cells) * strides
        size = torch.exp(boxes[:, 2:]) * strides
        return torch.cat((middle, size), 1), kinds.sigmoid() * objects.sigmoid()


def export(net: Detector | Branched, path: Path, notes: dict[str, str]) -> None:
    """Write an ONNX file.

    Args:
        net: trained.
        path: of the file.
        notes: free texts that go into it, such as its licence.
    """
    served = Served(net.cpu().float().to(memory_format=torch.contiguous_format)).eval()
    example = torch.zeros((2, SIZE, SIZE, 3), dtype=torch.uint8)
    torch.onnx.export(
        served, (example,), str(path), dynamo=False, opset_version=OPSET,
        input_names=[INPUT.name], output_names=[OUTPUT], dynamic_axes={INPUT.name: {0: "n"}, OUTPUT: {0: "n"}},
    )  # fmt: skip
    noted(path, notes)
