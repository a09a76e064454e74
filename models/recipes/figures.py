"""Figures of a detector of our own for its card: on its test part, by source, and on pictures that show none of its labels.

python -m models.recipes.figures fire-smoke --data DIR [--media DIR] --out models/object-detection

The threshold is chosen on the validation parts, and everything is then measured on the test parts, which nothing was learned
or chosen on. Needs `aihub[evaluate]`, not torch. Writes NAME.report.json, NAME.curve.png and NAME.sheet.jpg to `--out`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.evaluation import Predict, Report, Rule, ask, evaluate, read_truth, through
from aihub.evaluation.folder import write_report
from aihub.types import Detections, Frame

SETS: Mapping[str, str] = {"fire-smoke": "fire_smoke"}
OTHERS = ("hard_hat", "construction_site", "garbage_bins", "litter", "pothole", "hard_hat_workers")
"""Sets that show none of the labels."""
MOST_FALSE = 0.03
"""Share of the pictures without any label that may be raised on the validation parts."""


def surest(found: Iterable[Detections]) -> npt.NDArray[np.float64]:
    """(n,) confidence of the surest box on each picture, 0 where there is none."""
    return np.array([float(one.confidence.max(initial=0.0)) for one in found])


def elsewhere(predict: Predict, data: Path, split: str) -> npt.NDArray[np.float64]:
    """`surest` on one part of every set that shows none of the labels."""
    return np.concatenate([surest(ask(predict, read_truth(data / name, split)).found) for name in OTHERS])


def figures(predict: Predict, name: str, labels: Sequence[str], data: Path, media: Path | None) -> tuple[dict[str, Any], Report]:  # fmt: skip
    """Everything that the card says.

    Args:
        predict: the model.
        name: of the model.
        labels: of the model.
        data: folder of the sets.
        media: folder of other pictures that show none of the labels, or None.
    """
    val, test = read_truth(data / SETS[name], "val"), read_truth(data / SETS[name], "test")
    calm = surest(ask(predict, val.with_pictures(val.bare)).found)
    quiet = np.concatenate((calm, elsewhere(predict, data, "val")))
    # The lowest threshold that raises few enough of the quiet pictures.
    threshold = round(float(np.quantile(quiet, 1 - MOST_FALSE, method="higher")) + 1e-4, 3)
    report = evaluate(predict, test, model=name, model_labels=tuple(labels), rule=Rule(confidence=threshold))
    told = report.to_json()
    own = told["all"]["pictures"]
    other = elsewhere(predict, data, "test") >= threshold
    false = {
        "of the set": (own["false_alarms"], own["without_boxes"]),
        "of other sets": (int(other.sum()), len(other)),
    }
    if media is not None:
        shown = surest(found_in(predict, media / "images", SETS[name])) >= threshold
        false["of the test media"] = (int(shown.sum()), len(shown))
    raised, without = (sum(column) for column in zip(*false.values(), strict=True))
    return {
        "threshold": threshold,
        "map50": told["map50"],
        "map50_95": told["map50_95"],
        "ap50": {label: one["ap50"] for label, one in told["classes"].items()},
        "pictures with": own["with"],
        "picture recall": round(own["recall"], 4),
        "pictures without": without,
        "false alarms per 1000": round(1000 * raised / without, 1),
        "false alarms": {kind: f"{some} of {every}" for kind, (some, every) in false.items()},
        "sources": told["sources"],
    }, report


def found_in(predict: Predict, folder: Path, left_out: str) -> Iterator[Detections]:
    """What is found on each picture below a folder, without those in folders of one name."""
    for path in sorted(path for kind in ("jpg", "png") for path in folder.rglob(f"*.{kind}")):
        if path.parent.name != left_out:
            answer = predict(Frame(cv2.imread(str(path))))  # type: ignore[arg-type]
            yield answer if isinstance(answer, Detections) else answer.result(timeout=120)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(SETS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--media", type=Path)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the model cards")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = ModelStore.from_folder(asked.models, cache=Path(folder))
        card = store.resolve(asked.name)
        with Engine(store) as engine:
            made, report = figures(
                through(engine, card.name), card.name, card.labels, asked.data, asked.media
            )
        (asked.out / f"{card.name}.report.json").write_text(
            json.dumps(made, indent=1) + "\n", encoding="utf-8"
        )
        drawn = Path(folder, "report")
        drawn.mkdir()
        for path in write_report(report, drawn):
            if path.suffix in (".png", ".jpg"):
                name = {"curve": "curve", "contact_sheet": "sheet"}[path.stem]
                (asked.out / f"{card.name}.{name}{path.suffix}").write_bytes(path.read_bytes())
    sys.stdout.write(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
