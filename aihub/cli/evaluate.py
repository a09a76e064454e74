"""`aihub models evaluate` and `compare`: how good detectors are on pictures that people have labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from aihub.cli.local import output_folder, quiet_settings
from aihub.cli.output import JsonFlag, console, print_json, print_table, say
from aihub.errors import InputError
from aihub.evaluation import Report, Rule, Truth, agree, evaluate, read_truth, tables, through
from aihub.evaluation import compare as set_side_by_side
from aihub.evaluation.folder import write_report
from aihub.evaluation.matching import require
from aihub.evaluation.tables import Table
from aihub.serve.runtime import Runtime
from aihub.types import ModelCard

Data = Annotated[
    Path,
    typer.Option("--data", metavar="DIR", help="Folder with test.json (or val, train, annotations) in COCO form, and pictures."),
]  # fmt: skip
Split = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="test, val or train; by default test, or annotations.json where nothing is split."),
]  # fmt: skip
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="MODEL_LABEL=DATASET_LABEL", help="Labels that mean the same. Repeat."),
]
Labels = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="Labels of the data set to measure; by default all that both know."),
]
Precision = Annotated[
    float | None,
    typer.Option(metavar="P", help="Run at the lowest threshold that reaches this precision, in (0, 1]; by default at the best F1."),
]  # fmt: skip
Confidence = Annotated[
    float | None,
    typer.Option(
        metavar="C", help="Run at this threshold, in [0.01, 1], such as one chosen on another split."
    ),
]
SkipMissing = Annotated[
    bool, typer.Option("--skip-missing", help="Leave out pictures that are listed but absent, and say so.")
]


def evaluate_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or role of a detector.")],
    data: Data,
    split: Split = None,
    mapped: Maps = None,
    labels: Labels = None,
    precision: Precision = None,
    confidence: Confidence = None,
    skip_missing: SkipMissing = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where to put report.json, report.md, curve.png and contact_sheet.jpg."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Measure a detector on your own pictures: precision, recall, false alarms, by label, size and source."""
    require()
    rule, mapping, only = Rule(precision, confidence), _mapping(mapped), _listed(labels)
    truth = read_truth(data, split, skip_missing=skip_missing)
    folder = None if out is None else _apart(out, data)
    with Runtime(quiet_settings(), kind="cli") as runtime:
        card, size = _detector(runtime, model)
        agree(truth, card.labels, mapping, only)  # what is wrong with names is said before anything runs
        report = _measured(runtime, card, size, truth, mapping, only, rule, quiet=json)
    files = [] if folder is None else write_report(report, output_folder(folder))
    if json:
        print_json(report.to_json() | ({"files": [str(file) for file in files]} if files else {}))
        return
    for line in tables.summary(report):
        say(line)
    _print_table(tables.by_label(report))
    if report.sources:
        _print_table(tables.by_source(report))
    for line in tables.remarks(report):
        say(line)
    for file in files:
        say(f"written: {file}")


def compare_models(
    first: Annotated[str, typer.Argument(metavar="A", help="Name or role of a detector.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Name or role of another.")],
    data: Data,
    split: Split = None,
    mapped: Maps = None,
    labels: Labels = None,
    precision: Precision = None,
    confidence: Confidence = None,
    skip_missing: SkipMissing = False,
    json: JsonFlag = False,
) -> None:
    """Measure two detectors on the same pictures, and say which differences are more than noise."""
    require()
    rule, mapping, only = Rule(precision, confidence), _mapping(mapped), _listed(labels)
    truth = read_truth(data, split, skip_missing=skip_missing)
    with Runtime(quiet_settings(), kind="cli") as runtime:
        found = [_detector(runtime, name) for name in (first, second)]
        cards = [card for card, _ in found]
        maps = [_known(mapping, card) for card in cards]
        if strays := [name for name in mapping if not any(name in own for own in maps)]:
            raise InputError(f"--map {strays[0]}: neither model has such a label", field="map")
        both = [agree(truth, card.labels, own, only).labels for card, own in zip(cards, maps, strict=True)]
        shared = [label for label in both[0] if label in both[1]]
        if not shared:
            raise InputError(
                f"{cards[0].name} and {cards[1].name} have no label of {truth.name} in common: the one has "
                f"{', '.join(both[0])}, the other {', '.join(both[1])}",
                field="labels", hint="join names that differ with --map MODEL_LABEL=DATASET_LABEL",
            )  # fmt: skip
        reports = [
            _measured(runtime, card, size, truth, own, shared, rule, quiet=json)
            for (card, size), own in zip(found, maps, strict=True)
        ]
    comparison = set_side_by_side(*reports)
    if json:
        print_json(comparison.to_json())
        return
    for word, report in zip(("first", "second"), reports, strict=True):
        for line in tables.summary(report):
            say((f"{word}  ", "bold"), line)
    _print_table(tables.side_by_side(comparison))
    say(
        f"an interval that has 0 in it may be noise ({comparison.resamples} resamples of the pictures, at the same thresholds)"
    )
    for line in dict.fromkeys(note for report in reports for note in report.notes):
        say(line)


def _measured(
    runtime: Runtime, card: ModelCard, size: int, truth: Truth, mapping: dict[str, str], only: Sequence[str], rule: Rule,
    *, quiet: bool,
) -> Report:  # fmt: skip
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    silent = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        bar = progress.add_task(f"{card.name} on {truth.name}", total=len(truth.pictures))
        return evaluate(
            through(runtime.predictor, card.name),
            truth,
            model=card.name,
            model_labels=card.labels,
            mapping=mapping,
            labels=only,
            rule=rule,
            file_mb=size / 1e6,
            progress=lambda done, _: progress.update(bar, completed=done),
        )


def _detector(runtime: Runtime, name: str) -> tuple[ModelCard, int]:
    """The card of a detector whose weights are here, and the bytes of its file."""
    card = runtime.store.resolve(name)
    if card.decoder is None or card.input is None:
        detectors = [known.name for known in runtime.store.cards() if known.decoder and known.input]
        raise InputError(
            f"{card.name} is no detector, so there are no boxes to measure",
            field="model", hint=f"detectors: {', '.join(detectors)}",
        )  # fmt: skip
    path = runtime.store.path(card)  # weights that are absent are told of with their remedy
    return card, card.artifact.bytes or path.stat().st_size


def _mapping(pairs: Sequence[str] | None) -> dict[str, str]:
    mapping = {}
    for pair in pairs or ():
        mine, equals, theirs = pair.partition("=")
        if not (mine and equals and theirs):
            raise InputError(f"--map {pair}: this is not MODEL_LABEL=DATASET_LABEL", field="map")
        mapping[mine] = theirs
    return mapping


def _known(mapping: dict[str, str], card: ModelCard) -> dict[str, str]:
    return {mine: theirs for mine, theirs in mapping.items() if mine in card.labels}


def _listed(labels: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in (labels or "").split(",") if name.strip())
    if labels is not None and not names:
        raise InputError("--labels names none", field="labels", hint="give them as a,b")
    return names


def _apart(out: Path, data: Path) -> Path:
    """The folder for the report, which must not be in the data set: that is never written to."""
    if out.resolve().is_relative_to(data.resolve()):
        raise InputError(
            f"{out} is in the data set, which is never written to", field="out", hint="name another folder"
        )
    return out


def _print_table(table: Table) -> None:
    columns, rows = table
    print_table(
        columns,
        (
            [Text(cell, style={"clear": "green", "may be noise": "yellow"}.get(cell, "")) for cell in row]
            for row in rows
        ),
    )
