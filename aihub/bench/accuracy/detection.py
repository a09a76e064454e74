"""Detectors against boxes that people drew: mAP as COCO counts it, and what a lower precision costs.

The arithmetic is that of `aihub.evaluation`, which is pycocotools' (checked against it): IoU 0.5, 0.55 .. 0.95, at most a
hundred boxes of a class in a picture, 101 steps of recall. Boxes are asked for down to a confidence of 0.01; published COCO
figures go down to 0.001, which gives some tenths of a point more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aihub.bench.results import most
from aihub.bench.stand import NotHereError, Stand
from aihub.engine.backends import backends
from aihub.engine.engine import Engine
from aihub.engine.machine import fingerprint
from aihub.engine.profiles import ProfileBook
from aihub.engine.session import RunSettings
from aihub.errors import ModelNotFoundError
from aihub.evaluation import Answers, Predict, Report, Rule, Truth, agree, ask, measure, through

MAX_LOSS = 0.005
"""Of mAP, between the precision that the tuner picks and float32: half a point."""
SURE = 0.25
"""Confidence from which float32's own boxes are taken for the truth, to see how far another precision agrees."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A model on one data set.

    Attributes:
        report: what was measured.
        answers: what it said.
    """

    report: Report
    answers: Answers

    @property
    def map(self) -> float:
        """mAP over IoU 0.5 .. 0.95, in [0, 1]."""
        return self.report.columns[0].ap or 0.0

    @property
    def map50(self) -> float:
        """mAP at IoU 0.5."""
        return self.report.columns[0].ap50 or 0.0

    @property
    def about(self) -> str:
        """How much it was measured on."""
        truth = self.report.truth
        kinds = f"{len(truth.labels)} kinds" if len(truth.labels) != 1 else truth.labels[0]
        return f"{len(truth.pictures)} pictures, {len(truth.picture)} boxes of {kinds}"


def look(predict: Predict, truth: Truth, model: str, labels: Sequence[str], rule: Rule | None = None) -> Seen:
    """Show a data set to a model.

    Args:
        predict: the model; gives boxes down to a confidence of 0.01.
        truth: pictures and boxes.
        model: its name.
        labels: what it tells apart.
        rule: how the threshold is chosen.

    Raises:
        InputError: it has no label in common with the data set.
    """
    answers = ask(predict, truth)
    naming = agree(truth, labels, {})
    return Seen(measure(answers, truth, naming, model=model, rule=rule or Rule()), answers)


def note(stand: Stand, seen: Seen, what: str) -> None:
    """Put mAP and mAP50 of a model down. `what`: of which data set, for people."""
    model = seen.report.model
    labels = {"model": model, "data": seen.report.truth.name}
    end = "" if what == "COCO" else f"/{seen.report.truth.name.replace('_', '-').lower()}"
    stand.add(f"map/{model}{end}", f"mAP of {model} on {what}", seen.map, unit="", kind="accuracy", detail=seen.about,
              labels=labels)  # fmt: skip
    stand.add(f"map50/{model}{end}", f"mAP50 of {model} on {what}", seen.map50, unit="", kind="accuracy",
              detail=seen.about, labels=labels)  # fmt: skip


def labels_of(stand: Stand, model: str) -> tuple[str, ...]:
    """What a model of the hub tells apart.

    Raises:
        NotHereError: nobody knows it, or its weights are not here.
    """
    try:
        card = stand.engine.store.resolve(model)
    except ModelNotFoundError as error:
        raise NotHereError(error.message) from error
    if stand.engine.missing([model]):
        raise NotHereError(f"the weights of {model} are not here")
    return tuple(card.labels)


def loss(stand: Stand, truth: Truth, every: Truth, model: str, tune_s: float) -> None:
    """What the tuner's precision costs on a data set, and how far its boxes agree with those of float32 on more pictures.

    Precisions below float32 are measured beside it, chosen or not: which one is fastest may change.

    Args:
        stand: the run.
        truth: labelled pictures.
        every: pictures whose labels do not matter.
        model: name.
        tune_s: seconds for tuning.

    Raises:
        NotHereError: the model is not to be had.
    """
    labels = labels_of(stand, model)
    runs = {"float32": Run(model, truth, every, labels, Engine(stand.engine.store))}
    for name, settings in _precisions(stand, model, tune_s).items():
        chosen = runs.get("chosen")
        if chosen is not None and (chosen.settings.backend, chosen.settings.precision) == (
            settings.backend,
            name,
        ):
            runs[name] = chosen
            continue
        folder = stand.folder / f"precision-{model}-{name}"
        engine = Engine(stand.engine.store, profiles=folder)
        _keep(engine, folder, model, settings)
        run = Run(model, truth, every, labels, engine)
        if (
            run.settings.precision == settings.precision
        ):  # the engine falls back to float32 where it cannot be loaded
            runs[name] = run
    plain = runs["float32"]
    own = taken_for_truth(plain.said, every, labels)
    for name, run in list(runs.items())[1:]:
        tag = "" if name == "chosen" else f"/{name}"
        what = f"the tuner's precision ({run.settings.precision})" if name == "chosen" else name
        kind = {"model": model, "backend": run.settings.backend, "precision": run.settings.precision}
        stand.add(f"map-loss/{model}{tag}", f"mAP that {what} loses against float32, {model} on COCO",
                  plain.seen.map - run.seen.map, unit="", kind="accuracy", better="lower", labels=kind,
                  target=most(MAX_LOSS) if name == "chosen" else None, against="float32 on ONNX Runtime",
                  detail=f"{run.told} {run.seen.map:.4f}, {plain.told} {plain.seen.map:.4f}; {run.seen.about}")  # fmt: skip
        alike = measure(run.said, own, agree(own, labels, {}), model=model, rule=Rule()).columns[0].ap or 0.0
        stand.add(f"agreement/{model}{tag}", f"mAP of {what} with float32's own boxes for the truth, {model}", alike,
                  unit="", kind="accuracy", labels=kind,
                  detail=f"{run.told}; boxes of float32 from {SURE} on, {len(every.pictures)} pictures, {len(own.picture)} boxes")  # fmt: skip


class Run:
    """A model run one way: what it says about labelled pictures and about all; the engine is closed when it has been asked.

    Attributes:
        seen: on the labelled ones.
        said: about all.
        settings: with which it ran.
    """

    def __init__(self, model: str, truth: Truth, every: Truth, labels: Sequence[str], engine: Engine) -> None:
        with engine:
            self.seen = look(through(engine, model), truth, model, labels)
            self.said = ask(through(engine, model), every)
            (self.settings,) = (one.settings for one in engine.loaded() if one.name == model)

    @property
    def told(self) -> str:
        """Runtime and precision that did run: what was loaded, not what was asked for."""
        return f"{self.settings.backend} {self.settings.precision}"


def _precisions(stand: Stand, model: str, tune_s: float) -> dict[str, RunSettings]:
    """What the tuner chose, and each precision below float32 that it did not find to compute something else.

    The latter also where it had no time to try one, so that the figures of two runs are the same ones whatever won.
    """
    report = stand.engine.tune(model, budget_s=tune_s)
    lower: dict[str, RunSettings] = {}
    for trial in report.trials:
        differs = trial.rejected and trial.deviation is not None
        if trial.settings.precision != "f32" and trial.settings.batch <= 1 and not differs:
            lower.setdefault(trial.settings.precision, trial.settings)
    return {"chosen": report.chosen, **lower}


def _keep(engine: Engine, folder: Path, model: str, settings: RunSettings) -> None:
    """Write settings as the profile of a model, so that an engine over that folder runs it so."""
    digest = engine.store.weights(engine.store.resolve(model)).sha256
    ProfileBook(folder, fingerprint(tuple(sorted(backends())))).store(digest, settings, [])


def taken_for_truth(answers: Answers, truth: Truth, labels: Sequence[str]) -> Truth:
    """A data set whose boxes are the sure ones of a model.

    Args:
        answers: of the model, one for each picture.
        truth: the pictures.
        labels: what the model tells apart.
    """
    boxes, of, classes = [], [], []
    for at, one in enumerate(answers.found):
        for box, share, label in zip(one.xyxy, one.confidence, one.names(), strict=True):
            if share >= SURE:
                boxes.append(box)
                of.append(at)
                classes.append(list(labels).index(label))
    xyxy = np.array(boxes, np.float64).reshape(-1, 4)
    rows = np.array(of, np.intp)
    return replace(
        truth, labels=tuple(labels), xyxy=xyxy, picture=rows, class_id=np.array(classes, np.intp),
        area=np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1), crowd=np.zeros(len(rows), np.bool_),
        bare=np.bincount(rows, minlength=len(truth.pictures)) == 0,
    )  # fmt: skip
