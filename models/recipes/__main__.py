"""Make one of the project's own models again, from its data to a file that can be served.

python -m models.recipes fire-smoke --data DIR --weights DIR --out build/fire-smoke [--minutes 70] [--epochs 36]

Written to `--out`: the ONNX file, `curve.jsonl` (the training curve) and `made.json` (plan, seed, versions, digests of data
and donor). How good it is, says `aihub models evaluate`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import json
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.errors import InputError
from aihub.evaluation import Predict, through
from aihub.settings import settings
from models.recipes.branch import Branched, beside_donor, sharpened_donor
from models.recipes.donor import Detector, from_donor
from models.recipes.export import export
from models.recipes.recipe import Recipe
from models.recipes.record import digest, record
from models.recipes.training import train

CARDS = Path(__file__).parent.parent
DONOR = "models/detect/yolox_nano_coco.onnx"
"""Below the folder of weights."""
KEYWORDS = "keywords"
NAMES = ("city-detector", "fire-smoke", "site-safety", "street-hygiene")
USED = ("torch", "torchvision", "onnx", "onnx2torch", "pycocotools", "numpy", "opencv-python-headless")


def recipe_of(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        KeyError: there is none.
    """
    if name not in NAMES:
        raise KeyError(name)
    found: Recipe = importlib.import_module(f"models.recipes.{name.replace('-', '_')}").RECIPE
    return found


def make(recipe: Recipe, data: Path, weights: Path, out: Path, also: Sequence[Path] = ()) -> dict[str, Any]:
    """Train and export; what `made.json` says.

    Args:
        recipe: what to make.
        data: folder of the data sets.
        weights: folder of the donor and the teacher, laid out as a mirror.
        out: folder for what is made.
        also: see `Recipe.learned_from`.

    Raises:
        InputError: a data set is not there.
        FileNotFoundError: the donor is not there.
    """
    out.mkdir(parents=True, exist_ok=True)
    begun, donor = time.monotonic(), weights / DONOR
    with _teacher(recipe, weights) as teacher:
        learned, checked = recipe.learned_from(data, teacher, also), recipe.checked_on(data, teacher)
    pictures = learned.pictures(recipe.fresh)
    torch.manual_seed(recipe.plan.seed)  # fresh heads are drawn at random
    net = train(
        begun_as(recipe, donor), pictures, checked.truths, recipe.fresh, recipe.plan, out / "curve.jsonl"
    )
    export(net, out / f"{recipe.name}.onnx", recipe.notes)
    facts = {
        "pictures": {"train": len(pictures), "val": sum(len(truth.pictures) for truth in checked.truths)},
        "data": {**learned.digests, **checked.digests},
        "donor": digest(donor),
        "teacher": recipe.teacher,
        "threads": torch.get_num_threads(),
    }
    return record(out, recipe.name, recipe.labels, recipe.plan, begun, USED, facts)


def begun_as(recipe: Recipe, donor: Path) -> Detector | Branched:
    """The detector before it has learned anything: the donor's weights, and fresh ones."""
    if recipe.beside:
        return beside_donor(donor, recipe.inherited, len(recipe.fresh))
    begin = sharpened_donor if recipe.sharp else from_donor
    return begin(donor, len(recipe.labels), recipe.inherited)


@contextlib.contextmanager
def _teacher(recipe: Recipe, weights: Path) -> Iterator[Predict | None]:
    """The model that labels the pictures."""
    if not recipe.teacher:
        yield None
        return
    store = ModelStore.from_folder(CARDS, cache=settings().home / "models", mirror=str(weights))
    with Engine(store, threads=1) as engine:
        yield through(engine, recipe.teacher)


def main() -> None:
    """Parse, make, say what was made."""
    warnings.filterwarnings(
        "ignore", "Using a non-tuple sequence", UserWarning
    )  # onnx2torch's way with slices
    asked = _parser().parse_args()
    chosen = {
        name: getattr(asked, name) for name in ("minutes", "epochs") if getattr(asked, name) is not None
    }
    try:
        if asked.name == KEYWORDS:
            made = _keywords(asked, chosen)
        else:
            recipe = recipe_of(asked.name)
            recipe = dataclasses.replace(recipe, plan=dataclasses.replace(recipe.plan, **chosen))
            made = make(recipe, asked.data, asked.weights, asked.out, asked.also)
    except InputError as error:
        sys.exit(str(error))
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} is not there: --weights wants a folder that has it")
    sys.stdout.write(json.dumps(made, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    mirror = settings().model_mirror
    parser.add_argument("name", choices=(*NAMES, KEYWORDS))
    parser.add_argument("--data", type=Path, required=True, help="folder of the labelled sets")
    parser.add_argument(
        "--weights", type=Path, default=mirror or None, required=not mirror, metavar="DIR",
        help="folder of the weights that recipes begin with, laid out as a mirror; AIHUB_MODEL_MIRROR where it is set",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--also", type=Path, action="append", default=[], metavar="DIR",
        help="a folder of `aihub datasets export`; repeat. Of detectors",
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, help="instead of the recipe's; 0 for no limit")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's; of detectors")
    return parser


def _keywords(asked: argparse.Namespace, chosen: dict[str, Any]) -> dict[str, Any]:
    """The one recipe that listens."""
    from models.recipes import keywords  # reads recordings, which detectors need not

    if asked.also or "epochs" in chosen:
        raise InputError(
            "--also and --epochs are for detectors",
            field="also" if asked.also else "epochs",
            hint="leave it out",
        )
    return keywords.make(asked.data, asked.weights, asked.out, dataclasses.replace(keywords.Plan(), **chosen))


if __name__ == "__main__":
    main()
