"""Graphs of other libraries as models of the hub: an ONNX file, and the card beside it.

python -m models.recipes.exports torchvision mobilenet_v3_small --labels labels.txt --license BSD-3-Clause --out build/scenes
python -m models.recipes.exports transformers PekingU/rtdetr_v2_r18vd --license Apache-2.0 --out build/detr
python -m models.recipes.exports ultralytics yolo11n.pt --license AGPL-3.0 --out build/yolo

`--weights random` makes a graph of random weights, for tests of speed and of the way itself; its card says so. Ultralytics' code and
weights are AGPL-3.0: the hub needs neither, its package is no part of the extra `recipes`, and a hub serves such weights only
where `AIHUB_ALLOW_LICENSES` names that licence.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from torch import Tensor, nn

from aihub.engine.importing import IMAGENET, Family, card_of, guess, read_ports
from aihub.types import InputSpec, ModelCard, Task

OPSET = 17
INPUT = "images"
RANDOM = "random"
SEED = 7


@dataclass(frozen=True)
class Exported:
    """A graph and what its card needs to know.

    Attributes:
        model: the ONNX file.
        net: the same as a module, on the CPU, in evaluation.
        task: what it is for.
        labels: in the order of its outputs.
        family: how it is fed and read.
        source: where the weights are from.
    """

    model: bytes
    net: nn.Module
    task: Task
    labels: tuple[str, ...]
    family: Family
    source: str


def from_torchvision(name: str, weights: str, labels: Sequence[str], size: int = 224) -> Exported:
    """A classifier of torchvision.

    Args:
        name: as `torchvision.models.get_model` knows it.
        weights: `random`, a file with a state dict, or a name of torchvision's own weights, which it downloads.
        labels: of the classes; those of the weights where torchvision tells them.
        size: side of the input, pixels.
    """
    from torchvision import models

    torch.manual_seed(SEED)
    known = None if weights == RANDOM or Path(weights).is_file() else models.get_weight(weights)
    names = tuple(labels) or tuple(known.meta["categories"] if known is not None else ())
    net = models.get_model(name, weights=known, **({} if known is not None else {"num_classes": len(names)}))
    if Path(weights).is_file():
        net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    family = Family(None, f"torchvision {name}", usual=IMAGENET, resize="stretch")
    model = _onnx(net.eval(), (size, size), ["scores"])
    return Exported(model, net, Task.IMAGE_CLASSIFICATION, names, family, f"torchvision {name}, {weights}")


class _Boxes(nn.Module):
    """A detector of transformers, without its other outputs."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, H, W) in 0..1 -> logits `(n, Q, C)` and relative boxes `(n, Q, 4)`."""
        found = self.net(pixel_values=images)
        return found.logits, found.pred_boxes


def from_transformers(source: str, size: int = 640, net: nn.Module | None = None) -> Exported:
    """A detector of the DETR kind with independent classes (RT-DETR, RT-DETRv2, D-FINE).

    Args:
        source: folder or name of a published model, which transformers downloads.
        size: side of the input, pixels.
        net: the model itself, where it is here already.
    """
    if net is None:
        from transformers import AutoModelForObjectDetection

        net = AutoModelForObjectDetection.from_pretrained(source)
    labels = tuple(name for _, name in sorted(net.config.id2label.items()))
    params = {"logits": "logits", "boxes": "pred_boxes"}
    family = Family("detr", f"transformers {type(net).__name__}", params, resize="stretch", iou=1.0)
    boxes = _Boxes(net).eval()
    # One picture a run: what is traced of these nets holds for the batch that was shown, and gives others wrong boxes.
    model = _onnx(boxes, (size, size), ["logits", "pred_boxes"], batch=1)
    return Exported(model, boxes, Task.OBJECT_DETECTION, labels, family, f"transformers {source}")


def from_ultralytics(source: str, size: int = 640) -> Exported:
    """A detector of ultralytics (AGPL-3.0), by its own exporter.

    Args:
        source: `.pt` file, or a `.yaml` of an architecture for random weights.
        size: side of the input, pixels.
    """
    from ultralytics import YOLO

    yolo = YOLO(source)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's older exporter, which theirs uses
        place = Path(folder) / "model.pt"
        yolo.save(str(place))
        file = Path(
            YOLO(str(place)).export(format="onnx", imgsz=size, opset=OPSET, simplify=False, dynamic=False)
        )
        model = file.read_bytes()
    labels = tuple(name for _, name in sorted(yolo.names.items()))
    spec, shapes = read_ports(model, (size, size))
    families = guess(Task.OBJECT_DETECTION, shapes, spec, len(labels))
    if not families:
        raise ValueError(f"no decoder reads {shapes}")
    return Exported(
        model, yolo.model.float().eval(), Task.OBJECT_DETECTION, labels, families[0], f"ultralytics {source}"
    )


def _onnx(net: nn.Module, size: tuple[int, int], outputs: list[str], batch: int = 2) -> bytes:
    example = torch.zeros((batch, 3, *size))
    free = {name: {0: "n"} for name in (INPUT, *outputs)} if batch > 1 else {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracers warn of every shape that they take for a constant
        file = Path(folder) / "graph.onnx"
        torch.onnx.export(
            net, (example,), str(file), dynamo=False, opset_version=OPSET, input_names=[INPUT], output_names=outputs,
            dynamic_axes=free,
        )  # fmt: skip
        return file.read_bytes()


def card_for(name: str, made: Exported, license_id: str) -> ModelCard:
    """The card of an exported graph, which lies beside it as `NAME.onnx`."""
    spec, _ = read_ports(made.model)
    form = spec.model_dump() | made.family.usual | {"resize": made.family.resize}
    card = card_of(
        name, made.model, made.task, made.labels, license_id, InputSpec.model_validate(form), made.family
    )
    artifact = card.artifact.model_copy(update={"source": made.source})
    random = RANDOM in made.source or made.source.endswith(".yaml")
    limits = "Random weights: for tests of speed only, what it says means nothing." if random else ""
    return card.model_copy(update={"artifact": artifact, "summary": f"{made.source}.", "limits": limits})


def write(folder: Path, card: ModelCard, model: bytes) -> Path:
    """Both files; the card's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{card.name}.onnx").write_bytes(model)
    path = folder / f"{card.name}.yaml"
    body = card.model_dump(mode="json", exclude_defaults=True)
    path.write_text(yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    reader = argparse.ArgumentParser(prog="python -m models.recipes.exports")
    reader.add_argument("library", choices=("torchvision", "transformers", "ultralytics"))
    reader.add_argument("source")
    reader.add_argument(
        "--weights", default=RANDOM, help="of torchvision: random, a file, or a name of its weights"
    )
    reader.add_argument("--labels", type=Path, help="file with one label a line")
    reader.add_argument("--size", type=int)
    reader.add_argument("--license", required=True, help="SPDX id of the weights' licence")
    reader.add_argument("--name", default="")
    reader.add_argument("--out", type=Path, required=True)
    given = reader.parse_args(arguments)
    labels = given.labels.read_text(encoding="utf-8").split("\n") if given.labels else []
    labels = [label.strip() for label in labels if label.strip()]
    size = {} if given.size is None else {"size": given.size}
    if given.library == "torchvision":
        made = from_torchvision(given.source, given.weights, labels, **size)
    elif given.library == "transformers":
        made = from_transformers(given.source, **size)
    else:
        made = from_ultralytics(given.source, **size)
    name = given.name or Path(given.source).stem.replace("_", "-").lower()
    path = write(given.out, card_for(name, made, given.license), made.model)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
