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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.evaluation import Report, Rule, evaluate, read_truth, through
from aihub.evaluation.detections import Predict
from aihub.evaluation.folder import write_report
from aihub.types import Frame

SETS: Mapping[str, str] = {"fire-smoke": "fire_smoke"}
OTHERS = ("hard_hat", "construction_site", "garbage_bins", "litter", "pothole", "hard_hat_workers")
"""Sets that show none of the labels."""
MOST_FALSE = 0.03
"""Share of the pictures without any label that may be raised on the validation parts."""


def surest(predict: Predict, paths: Sequence[Path]) -> npt.NDArray[np.float64]:
    """(n,) confidence of the surest box on each picture, 0 where there is none."""
    flying = [predict(Frame(cv2.imread(str(path)))) for path in paths]  # type: ignore[arg-type]
    found = [one.result(timeout=120) if hasattr(one, "result") else one for one in flying]
    return np.array([float(one.confidence.max(initial=0.0)) for one in found])


def by_parts(predict: Predict, paths: Sequence[Path], size: int = 64) -> npt.NDArray[np.float64]:
    """`surest` with a bounded number of pictures in memory."""
    parts = [surest(predict, paths[at : at + size]) for at in range(0, len(paths), size)]
    return np.concatenate(parts) if parts else np.zeros(0)


def listed(data: Path, names: Sequence[str], split: str) -> list[Path]:
    """Pictures of one part of some sets."""
    found = []
    for name in names:
        body = json.loads((data / name / f"{split}.json").read_text(encoding="utf-8"))
        found += [data / name / image["file_name"] for image in body["images"]]
    return found


def divided(report_truth: Any) -> tuple[list[Path], list[Path]]:
    """Pictures with and without a box."""
    bare = report_truth.bare
    paths = [picture.path for picture in report_truth.pictures]
    return [p for p, empty in zip(paths, bare, strict=True) if not empty], [
        p for p, empty in zip(paths, bare, strict=True) if empty
    ]


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
    burning, calm = divided(val)
    quiet = by_parts(predict, calm + listed(data, OTHERS, "val"))
    # The lowest threshold that raises few enough of the quiet pictures.
    threshold = float(np.quantile(quiet, 1 - MOST_FALSE, method="higher")) + 1e-4
    report = evaluate(
        predict, test, model=name, model_labels=tuple(labels), rule=Rule(confidence=round(threshold, 3))
    )
    burning, calm = divided(test)
    raised = by_parts(predict, burning) >= threshold
    false = {
        "of the set": by_parts(predict, calm) >= threshold,
        "of other sets": by_parts(predict, listed(data, OTHERS, "test")) >= threshold,
    }
    if media is not None:
        paths = sorted(path for kind in ("jpg", "png") for path in (media / "images").rglob(f"*.{kind}"))
        false["of the test media"] = (
            by_parts(predict, [path for path in paths if path.parent.name != SETS[name]]) >= threshold
        )
    together = np.concatenate(list(false.values()))
    return {
        "threshold": round(threshold, 3),
        "map50": report.to_json()["map50"],
        "map50_95": report.to_json()["map50_95"],
        "ap50": {label: one["ap50"] for label, one in report.to_json()["classes"].items()},
        "pictures with": len(raised),
        "picture recall": round(float(raised.mean()), 4),
        "pictures without": len(together),
        "false alarms per 1000": round(1000 * float(together.mean()), 1),
        "false alarms": {kind: f"{int(hit.sum())} of {len(hit)}" for kind, hit in false.items()},
        "sources": report.to_json()["sources"],
    }, report


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
