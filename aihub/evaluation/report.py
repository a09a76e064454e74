"""How good a model is on the pictures of a data set: measured once, told as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aihub.errors import InputError
from aihub.evaluation.detections import FLOOR, Answers, Found, Predict, Progress, ask, gather
from aihub.evaluation.figures import ALL, Json, Point, Rule, Tally, choose, tally
from aihub.evaluation.matching import IOU, Matches, match, require
from aihub.evaluation.naming import Naming, agree
from aihub.evaluation.truth import F64, Truth

_DIGITS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One label, or all of them, at its operating point.

    Attributes:
        label: its name, `all` for all together.
        point: where it is run.
        tally: counts of every picture there.
        ap50: average precision at IoU 0.5 in [0, 1]; for all, the mean of the labels. None where nothing is to be found.
        ap: the same over IoU 0.5 .. 0.95.
    """

    label: str
    point: Point
    tally: Tally
    ap50: float | None
    ap: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was measured, with what it was measured on: `to_json()` for the figures.

    Attributes:
        model: its name.
        truth: pictures and true boxes, of the labels that are measured.
        found: found boxes of these labels.
        matches: who found whom, and the curves.
        columns: `all` first, then each label.
        naming: which labels were measured and which left out.
        rule: how thresholds were chosen.
        ms_per_picture: wall clock for one picture, many in flight, files read and decoded.
        run_ms_per_picture: the model's own runs for one picture, added up over threads; None when nobody billed.
        file_mb: size of the weights, 10^6 bytes; None when not told.
        sources: figures of the pictures of each source at the same thresholds; none where there is one source only.
        notes: what a reader has to know.
    """

    model: str
    truth: Truth
    found: Found
    matches: Matches
    columns: tuple[Column, ...]
    naming: Naming
    rule: Rule
    ms_per_picture: float
    run_ms_per_picture: float | None
    file_mb: float | None
    sources: Mapping[str, Json]
    notes: tuple[str, ...]

    @property
    def chosen(self) -> dict[str, float]:
        """Threshold by label, `all` among them, for `Rule(given=...)` on another split; those without one are left out."""
        points = {column.label: column.point.threshold for column in self.columns}
        return {label: value for label, value in points.items() if value is not None}

    @property
    def thresholds(self) -> F64:
        """`(K,)` threshold of each label, infinite where there is none."""
        return np.array([column.point.cut for column in self.columns[1:]])

    def to_json(self) -> Json:
        """Plain values, ratios in [0, 1], None where there is nothing to divide by; the form is in docs/guide.md."""
        truth = self.truth
        whole = {
            "model": self.model,
            "file_mb": self.file_mb,
            "ms_per_picture": self.ms_per_picture,
            "run_ms_per_picture": self.run_ms_per_picture,
            "data": {
                "name": truth.name,
                "split": truth.split,
                "pictures": len(truth.pictures),
                "pictures_without_boxes": int(self.columns[0].tally.bare.sum()),
                "boxes": len(truth.picture),
            },
            "iou": IOU,
            "confidence_floor": FLOOR,
            "labels": list(self.naming.labels),
            "left_out": {"model": list(self.naming.model_only), "data": list(self.naming.data_only)},
            "mapped": {mine: name for mine, name in self.naming.of_model.items() if mine != name},
            "map50": self.columns[0].ap50,
            "map50_95": self.columns[0].ap,
            ALL: self._column(self.columns[0]),
            "classes": {column.label: self._column(column) for column in self.columns[1:]},
            "sources": dict(self.sources),
            "curves": {label: self._curve(at) for at, label in enumerate(self.naming.labels)},
            "notes": list(self.notes),
        }
        return _rounded(whole)  # type: ignore[no-any-return]

    def _column(self, column: Column) -> Json:
        ap = {} if column.label == ALL else {"ap50": column.ap50, "ap50_95": column.ap}
        point = {"threshold": column.point.threshold, "reason": column.point.reason}
        return {**point, **ap, **column.tally.to_json()}

    def _curve(self, class_id: int) -> Json | None:
        """COCO's curve: 101 steps of recall; where a recall is not reached precision is 0 and the threshold None."""
        precision, threshold = self.matches.precision[class_id], self.matches.threshold[class_id]
        if np.isnan(precision).any():
            return None
        return {
            "recall": [step / 100 for step in range(101)],
            "precision": precision.tolist(),
            "threshold": [value if value > 0 else None for value in threshold.tolist()],
        }


def evaluate(
    predict: Predict,
    truth: Truth,
    *,
    model: str = "model",
    model_labels: Sequence[str] | None = None,
    mapping: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
    rule: Rule | None = None,
    file_mb: float | None = None,
    progress: Progress | None = None,
) -> Report:
    """Show all pictures to a model and measure what it says.

    Args:
        predict: looks at one frame, gives `Detections` in pixels of the frame, or a future of them; its boxes should go
            down to a confidence of 0.01. `through(engine, name)` makes one of a model of the hub.
        truth: from `read_truth`.
        model: what to call it.
        model_labels: all its labels; None takes those that its answers carry.
        mapping: label of the model -> label of the data set, where the names differ.
        labels: labels of the data set to measure; none for all that both know.
        rule: how thresholds are chosen; None for the best F1.
        file_mb: size of its weights, 10^6 bytes.
        progress: told how many pictures are done, of how many.

    Raises:
        InputError: nothing in common, an unknown name, or a picture that cannot be used.
        ConfigError: pycocotools is not installed.
        AihubError: whatever the model raises.
    """
    require()  # before the minutes that the model takes
    if model_labels is not None:
        agree(truth, model_labels, mapping or {}, labels)
    answers = ask(predict, truth, progress)
    naming = agree(truth, answers.labels if model_labels is None else model_labels, mapping or {}, labels)
    return measure(answers, truth, naming, model=model, rule=rule or Rule(), file_mb=file_mb)


def measure(
    answers: Answers, truth: Truth, naming: Naming, *, model: str, rule: Rule, file_mb: float | None = None
) -> Report:
    """Figures of answers that are there already.

    Args:
        answers: one for each picture of `truth`.
        truth: pictures and true boxes, of all labels.
        naming: from `agree`.
        model: what to call it.
        rule: how thresholds are chosen.
        file_mb: size of its weights, 10^6 bytes.

    Raises:
        InputError: not one answer for each picture, or a label named `all`.
        ConfigError: pycocotools is not installed.
    """
    if len(answers.found) != len(truth.pictures):
        raise InputError(f"{len(answers.found)} answers for {len(truth.pictures)} pictures", field="answers")
    if ALL in naming.labels:
        raise InputError(
            f"a label named {ALL!r} cannot be told from all labels", field="labels", hint="rename it"
        )
    things = truth.with_labels(naming.labels)
    found = gather(answers.found, naming.of_model, naming.labels)
    matches = match(things, found)
    columns = []
    for at, label in [(None, ALL), *enumerate(naming.labels)]:
        point = choose(things, found, matches, rule, at)
        ap50, ap = (
            (mean(matches.ap50), mean(matches.ap))
            if at is None
            else (number(matches.ap50[at]), number(matches.ap[at]))
        )
        columns.append(Column(str(label), point, tally(things, found, matches, point.cut, at), ap50, ap))
    pictures = len(truth.pictures)
    return Report(
        model=model, truth=things, found=found, matches=matches, columns=tuple(columns), naming=naming, rule=rule,
        ms_per_picture=1000 * answers.seconds / pictures,
        run_ms_per_picture=1000 * answers.run_seconds / pictures or None,
        file_mb=file_mb, sources=_sources(things, found, columns), notes=_notes(truth, naming),
    )  # fmt: skip


def _sources(truth: Truth, found: Found, columns: Sequence[Column]) -> dict[str, Json]:
    names = np.array([picture.source for picture in truth.pictures])
    told: dict[str, Json] = {}
    for name in sorted(set(names.tolist())) if len(set(names.tolist())) > 1 else ():
        wanted = names == name
        part = match(truth.with_pictures(wanted), found.with_pictures(wanted))
        told[name or "(no source)"] = {
            "pictures": int(wanted.sum()),
            "map50": mean(part.ap50),
            "map50_95": mean(part.ap),
            ALL: columns[0].tally.to_json(wanted),
            "classes": {
                column.label: {"ap50": number(part.ap50[at]), **column.tally.to_json(wanted)}
                for at, column in enumerate(columns[1:])
            },
        }
    return told


def _notes(truth: Truth, naming: Naming) -> tuple[str, ...]:
    notes = list(truth.notes)
    doubtful = [label for label in naming.labels if label in truth.incomplete]
    if doubtful:
        others = [label for label in naming.labels if label not in truth.incomplete]
        leave = f"; --labels {','.join(others)} leaves them out" if others else ""
        notes.append(
            f"{truth.name} does not mark {', '.join(doubtful)} throughout: their false alarms are partly right{leave}"
        )
    if naming.data_only:
        notes.append(f"labels of the data set left out: {', '.join(naming.data_only)}")
    if naming.model_only:
        notes.append(f"labels of the model left out: {len(naming.model_only)}")
    return tuple(notes)


def number(value: float) -> float | None:
    """None for NaN."""
    return None if np.isnan(value) else float(value)


def mean(values: F64) -> float | None:
    """The mean of those that are there; None when none is."""
    here = values[~np.isnan(values)]
    return float(here.mean()) if len(here) else None


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        # Thresholds have six digits already, and must not be rounded up.
        return value if round(value, 6) == value else round(value, _DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
