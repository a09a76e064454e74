"""Figures of a model of our own for its card, on pictures that nothing was learned from.

python -m models.recipes.figures fire-smoke --data DIR [--media DIR] --out models/object-detection

Thresholds are chosen on the validation parts, and everything is then measured on the test parts, which nothing was learned
or chosen on. Needs `aihub[evaluate]`, not torch. Writes NAME.report.json, NAME.curve.png and NAME.sheet.jpg to `--out`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.evaluation import Predict, Report, Rule, agree, measure, through
from aihub.evaluation.folder import write_report
from aihub.settings import settings
from aihub.types import Detections, Frame
from models.recipes.exams import EXAMS, Exam, Sat, sit

Surest = npt.NDArray[np.float64]
ANY = "any"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that is measured.

    Attributes:
        name: of it.
        labels: of it, those that are measured.
        predict: looks at a frame.
        teacher: the exam's teacher, where there is one.
    """

    name: str
    labels: tuple[str, ...]
    predict: Predict
    teacher: Predict | None = None


def rule_of(val: Sat, candidate: Candidate, most_false: float | None) -> Rule:
    """How the threshold of each label was chosen on the validation parts."""
    if most_false is None:
        return Rule(given=_report(val, candidate, Rule()).chosen)
    # The lowest threshold that raises few enough of them.
    lowest = np.quantile(_any(val.quiet)[ANY], 1 - most_false, method="higher")
    return Rule(confidence=round(float(lowest) + 1e-4, 3))


def _any(quiet: Mapping[str, Surest]) -> dict[str, Surest]:
    """With the surest box of any label, where all labels are asked of the same pictures."""
    return {**quiet, ANY: np.stack(list(quiet.values())).max(0)}


def figures(candidate: Candidate, exam: Exam, data: Path, media: Path | None) -> tuple[dict[str, Any], Report]:  # fmt: skip
    """Everything that the card says.

    Args:
        candidate: what is measured.
        exam: what on.
        data: folder of the sets.
        media: folder of other pictures that show none of the labels but in `exam.media`, or None.
    """
    val, test = (
        sit(candidate.predict, candidate.labels, exam, data, split, candidate.teacher)
        for split in ("val", "test")
    )
    report = _report(test, candidate, rule_of(val, candidate, exam.most_false))
    told = report.to_json()
    quiet = dict(test.quiet)
    if media is not None and exam.media:
        shown = list(found_in(candidate.predict, media / "images", exam.media))
        for label in quiet:
            surest = [float(one.select([label]).confidence.max(initial=0.0)) for one in shown]
            quiet[label] = np.concatenate((quiet[label], surest))
    if exam.most_false is not None:
        quiet = _any(quiet)
    return {
        name: told[name] for name in ("data", "map50", "map50_95", "all", "classes", "sources", "notes")
    } | {"quiet": _raised(quiet, report)}, report


def _raised(quiet: Mapping[str, Surest], report: Report) -> dict[str, Any]:
    """Of the pictures that do not show a label, how many it raises all the same."""
    cut = dict(zip(report.naming.labels, report.thresholds.tolist(), strict=True))
    raised = {label: np.greater_equal(surest, cut[label]) for label, surest in quiet.items() if label != ANY}
    if ANY in quiet:
        raised[ANY] = np.greater_equal(quiet[ANY], min(cut.values()))
    return {
        label: {"pictures": len(of), "raised": int(of.sum()), "per_1000": round(1000 * float(of.mean()), 1)}
        for label, of in raised.items()
    }


def _report(sat: Sat, candidate: Candidate, rule: Rule) -> Report:
    naming = agree(sat.truth, candidate.labels, {})
    return measure(sat.answers, sat.truth, naming, model=candidate.name, rule=rule)


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
    parser.add_argument("name", choices=sorted(EXAMS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--media", type=Path)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the model cards")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    exam = EXAMS[asked.name]
    with tempfile.TemporaryDirectory() as folder:
        store = ModelStore.from_folder(asked.models, cache=Path(folder), mirror=settings().model_mirror)
        card = store.resolve(asked.name)
        examined = {label for marked in exam.sets.values() for label in marked}
        labels = tuple(label for label in card.labels if label in examined)
        with Engine(store) as engine:
            teacher = through(engine, exam.teacher) if exam.teacher else None
            candidate = Candidate(card.name, labels, through(engine, card.name), teacher)
            made, report = figures(candidate, exam, asked.data, asked.media)
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
