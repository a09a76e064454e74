"""Write a detector's file anew from its own weights, when the export has changed and nothing was learned.

python -m models.recipes.reexport city-detector --weights DIR --out build/city-detector

Written to `--out`: the ONNX file, and `made.json` with its new digest and size. What it finds stays as it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from aihub.settings import settings
from models.recipes.__main__ import CARDS, DONOR, NAMES, begun_as, recipe_of
from models.recipes.branch import Branched
from models.recipes.donor import Detector
from models.recipes.export import export
from models.recipes.recipe import Recipe
from models.recipes.record import written

PREFIX = "net."
"""Of a detector's weights in its file; see `export.Served`."""


def weights_of(path: Path) -> dict[str, Tensor]:
    """Weights in a file that `export` wrote, by their names in the detector."""
    found = onnx.load(str(path)).graph.initializer
    return {
        one.name.removeprefix(PREFIX): torch.from_numpy(numpy_helper.to_array(one).copy())
        for one in found
        if one.name.startswith(PREFIX)
    }


def read_back(recipe: Recipe, donor: Path, path: Path) -> Detector | Branched:
    """The detector that a file holds.

    Args:
        recipe: that made it.
        donor: that it began with: gives the shape, none of the weights.
        path: of the file.

    Raises:
        RuntimeError: the file lacks weights that are learned, or holds others.
    """
    net = begun_as(recipe, donor)
    kept = weights_of(path)
    missing, unknown = net.load_state_dict(kept, strict=False)
    learned = {name for name, _ in net.named_parameters()}
    if lost := sorted(learned.intersection(missing)):
        raise RuntimeError(f"{path.name} lacks {', '.join(lost)}")
    if unknown:
        raise RuntimeError(f"{path.name} holds {', '.join(unknown)}")
    return net


def main() -> None:
    """See the module."""
    warnings.filterwarnings("ignore", "Using a non-tuple sequence", UserWarning)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    mirror = settings().model_mirror
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--weights", type=Path, default=mirror or None, required=not mirror, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    recipe, shipped = recipe_of(asked.name), CARDS / "object-detection"
    net = read_back(recipe, asked.weights / DONOR, shipped / f"{asked.name}.onnx")
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / f"{asked.name}.onnx"
    export(net, path, recipe.notes)
    written(
        asked.out, asked.name, json.loads((shipped / f"{asked.name}.made.json").read_text(encoding="utf-8"))
    )
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
