"""A keyword spotter: from one second of sound to a share for each label, with the spectra inside the graph.

Two bodies listen, and stay as they are: the first six layers of YAMNet, which has heard two million clips, and DS-CNN of MLPerf
Tiny, which has heard two thousand people say the ten commands. A few hundred clips of our own are too few to learn from how
people differ; they teach the head alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from aihub.algorithms.sound.mel import mel_bands
from aihub.types import SAMPLE_RATE
from models.recipes.ds_cnn import cosines
from models.recipes.record import noted
from models.recipes.sounds import LABELS, UNKNOWN, WINDOW

TURN = 512
"""Samples of the Fourier transform."""
YAMNET_LAYERS, DS_CNN_LAYERS = 11, 9
"""Convolutions that are taken over."""
LOUD, MOMENT = 0.3, 320
"""What the loudest fiftieth of a second is brought to (root of the mean square), and its samples: a click is shorter."""
INPUT, OUTPUT = "samples", "shares"
OPSET = 17


class Spectrum(nn.Module):
    """(n, 16000) samples -> (n, 1, frames, bands) log mel magnitudes.

    The table of the Fourier transform is written as what computes it: the runtime folds it when it loads the graph, and the
    file stays small.

    Args:
        frame, step: samples of a frame, and from one to the next.
        bands: how many.
        lowest, highest: Hz.
        floor: added before the logarithm.
    """

    def __init__(
        self, frame: int, step: int, bands: int, lowest: float, highest: float, floor: float
    ) -> None:
        super().__init__()
        kept = math.ceil(highest * TURN / SAMPLE_RATE) + 1  # what lies above goes into no band
        self.frame, self.step, self.floor = frame, step, floor
        self.register_buffer("bins", torch.arange(kept, dtype=torch.float32)[:, None])
        self.register_buffer("moments", torch.arange(frame, dtype=torch.float32)[None])
        self.register_buffer(
            "mel", torch.from_numpy(mel_bands(bands, TURN // 2 + 1, lowest, highest)[:kept].T.copy())
        )

    def forward(self, samples: Tensor) -> Tensor:
        """See the class."""
        angle = torch.fmod(self.bins * self.moments, TURN) * (2 * math.pi / TURN)
        window = 0.5 - 0.5 * torch.cos(self.moments * (2 * math.pi / self.frame))
        table = torch.cat((torch.cos(angle) * window, torch.sin(angle) * window))
        parts = functional.conv1d(samples[:, None], table[:, None], stride=self.step)
        real, imaginary = parts.split(len(self.bins), 1)
        made = torch.log(self.mel @ torch.sqrt(real * real + imaginary * imaginary) + self.floor)
        return made.transpose(1, 2)[:, None]


def layers_of(path: Path, count: int) -> nn.Sequential:
    """The first convolutions of an ONNX file as they stand there, each with what is not below zero.

    Args:
        path: of the file; weights in 8 bits are widened.
        count: of convolutions.

    Raises:
        FileNotFoundError: it is not there.
    """
    graph = onnx.load(str(path)).graph
    held = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            quantised, scale, zero = (held[name] for name in node.input)
            held[node.output[0]] = (quantised.astype(np.float32) - zero.astype(np.float32)) * scale
    made: list[nn.Module] = []
    for node in [node for node in graph.node if node.op_type == "Conv"][:count]:
        said = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        weight, bias = (torch.from_numpy(held[name].copy()) for name in node.input[1:3])
        top, left, bottom, right = said.get("pads", (0, 0, 0, 0))
        groups = said.get("group", 1)
        conv = nn.Conv2d(weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), tuple(said.get("strides", (1, 1))), groups=groups)  # fmt: skip
        conv.load_state_dict({"weight": weight, "bias": bias})
        made += [nn.ZeroPad2d((left, right, top, bottom)), conv, nn.ReLU()]
    return nn.Sequential(*made)


class Ears(nn.Module):
    """What is heard, by networks that others trained: (n, 16000) samples -> (n, 256, 12, 8) and (n, 64, 25, 5).

    Every window is brought to one loudness first: loudness does not count. A click is louder than any word, so no single sample decides.

    Args:
        yamnet, ds_cnn: their ONNX files.

    Raises:
        FileNotFoundError: one of them is not there.
    """

    def __init__(self, yamnet: Path, ds_cnn: Path) -> None:
        super().__init__()
        self.wide, self.narrow = Spectrum(400, 160, 64, 125.0, 7500.0, 1e-3), Spectrum(480, 320, 40, 20.0, 4000.0, 1e-6)  # fmt: skip
        self.register_buffer("cosines", torch.from_numpy(cosines(40, 10).copy()))
        self.sounds = layers_of(yamnet, YAMNET_LAYERS)
        self.commands = layers_of(ds_cnn, DS_CNN_LAYERS)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        loud = self.levelled(samples)
        return self.sounds(self.wide(loud * 0.5)), self.commands(self.narrow(loud) @ self.cosines)

    def levelled(self, samples: Tensor) -> Tensor:
        """(n, samples), all equally loud, in [-1, 1]."""
        moments = functional.avg_pool1d((samples * samples)[:, None], MOMENT, MOMENT // 2)
        loudest = torch.sqrt(moments.amax(2)) + 1e-6
        return torch.clamp(samples * (LOUD / loudest), -1.0, 1.0)


def _fresh(before: int, after: int, kernel: int, padding: int = 0) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, padding=padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())


class Head(nn.Module):
    """What was heard -> logits: pitch and time together, then time.

    Args:
        labels: how many.
    """

    def __init__(self, labels: int = len(LABELS)) -> None:
        super().__init__()
        self.narrow = nn.Sequential(nn.Dropout2d(0.1), _fresh(256, 40, 1), _fresh(40, 40, 3, 1))
        self.folded = nn.Sequential(nn.Conv2d(40, 40, (1, 8), groups=40, bias=False), _fresh(40, 64, 1))
        self.lasting = nn.Sequential(nn.Conv2d(64, 64, (7, 1), padding=(3, 0), groups=64, bias=False), _fresh(64, 64, 1))  # fmt: skip
        self.commands = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(64, 64, (1, 5), groups=64, bias=False), _fresh(64, 64, 1))  # fmt: skip
        self.drop = nn.Dropout(0.4)
        self.head = nn.Linear(5 * 64, labels)

    def forward(self, sounds: Tensor, commands: Tensor) -> Tensor:
        """(n, 256, 12, 8) and (n, 64, 25, 5) -> (n, labels)."""
        made = self.folded(self.narrow(sounds))
        made = made + self.lasting(made)
        more = self.commands(commands)
        both = [
            made.mean((2, 3)),
            made.amax((2, 3)),
            more.mean((2, 3)),
            more.amax((2, 3)),
            commands.mean((2, 3)),
        ]
        return self.head(self.drop(torch.cat(both, 1)))


class Spotter(nn.Module):
    """As it is served: (n, 16000) samples -> (n, labels) shares that sum to 1, the mean of what its heads say.

    Args:
        ears: what all heads hear.
        heads: each learned by itself, from other fresh weights.
        doubt: is taken off the logit of `unknown`: training shows it nonsense far more often than people talk it.
    """

    def __init__(self, ears: Ears, heads: Sequence[Head], doubt: float = 0.0) -> None:
        super().__init__()
        self.ears, self.heads = ears, nn.ModuleList(heads)
        self.register_buffer("lowered", doubt * (torch.arange(len(LABELS)) == LABELS.index(UNKNOWN)))

    def forward(self, samples: Tensor) -> Tensor:
        """See the class."""
        heard = self.ears(samples)
        return torch.stack([torch.softmax(head(*heard) - self.lowered, 1) for head in self.heads]).mean(0)


def shares_of(net: Spotter, windows: np.ndarray) -> np.ndarray:
    """(n, labels) shares of (n, 16000) samples."""
    with torch.no_grad():
        made: np.ndarray = net.eval()(torch.from_numpy(np.asarray(windows, np.float32))).numpy()
    return made


def export(net: Spotter, path: Path, notes: dict[str, str]) -> None:
    """Write an ONNX file.

    Args:
        net: trained.
        path: of the file.
        notes: free texts that go into it; `labels` among them, comma between.
    """
    served = net.cpu().float().to(memory_format=torch.contiguous_format).eval()
    torch.onnx.export(
        served, (torch.zeros((2, WINDOW)),), str(path), dynamo=False, opset_version=OPSET,
        input_names=[INPUT], output_names=[OUTPUT], do_constant_folding=False,
        dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
    )  # fmt: skip
    noted(path, notes)
