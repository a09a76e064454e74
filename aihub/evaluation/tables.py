"""Reports as rows of words, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from aihub.evaluation.comparison import Comparison, Difference
from aihub.evaluation.figures import ALL, SIZES, Json
from aihub.evaluation.report import Report

Table = tuple[Sequence[str], list[tuple[str, ...]]]
Spell = Callable[[float | None], str]
NONE = "-"

BY_LABEL = (
    "LABEL", "THINGS", "AP50", "AP50-95", "THRESHOLD", "PRECISION", "RECALL", "F1", *(size.upper() for size in SIZES),
    "PICTURES", "FALSE/1000",
)  # fmt: skip
BY_SOURCE = (
    "SOURCE",
    "PICTURES",
    "THINGS",
    "AP50",
    "AP50-95",
    "PRECISION",
    "RECALL",
    "F1",
    "PICTURES FOUND",
    "FALSE/1000",
)
SIDE_BY_SIDE = ("LABEL", "FIGURE", "FIRST", "SECOND", "DIFFERENCE", "95 % OF RESAMPLES", "")
_WORDS = {
    "map50": "AP50", "map50_95": "AP50-95", "threshold": "threshold", "precision": "precision", "recall": "recall",
    "f1": "F1", "picture_recall": "recall of pictures", "false_alarms_per_1000": "false alarms / 1000 pictures",
    "ms_per_picture": "ms a picture", "file_mb": "MB",
}  # fmt: skip
_COARSE = {"false_alarms_per_1000", "ms_per_picture", "file_mb"}


def summary(report: Report) -> list[str]:
    """What was measured on what, in lines."""
    truth, tally = report.truth, report.columns[0].tally
    speed = f"{report.ms_per_picture:.1f} ms a picture"
    if report.run_ms_per_picture is not None:
        speed += f" (its runs {report.run_ms_per_picture:.1f} ms, all threads together)"
    if report.file_mb is not None:
        speed += f", {report.file_mb:.1f} MB"
    what = (
        f"{len(truth.pictures)} pictures ({int(tally.bare.sum())} without boxes), {len(truth.picture)} boxes"
    )
    return [
        f"{report.model} on {truth.name} {truth.split}: {what}",
        f"mAP50 {_three(report.columns[0].ap50)}, mAP50-95 {_three(report.columns[0].ap)}; {speed}",
    ]


def by_label(report: Report) -> Table:
    """A row for all labels under one threshold, then one for each at its own."""
    rows = []
    for column in report.columns:
        told = column.tally.to_json()
        pictures = told["pictures"]
        rows.append((
            column.label, str(told["things"]), _three(column.ap50), _three(column.ap), _three(column.point.threshold),
            _three(told["precision"]), _three(told["recall"]), _three(told["f1"]),
            *(_three(told["recall_by_size"][size]["recall"]) for size in SIZES),
            _three(pictures["recall"]), _false(pictures),
        ))  # fmt: skip
    return BY_LABEL, rows


def by_source(report: Report) -> Table:
    """A row for each source, all labels together; no rows where there is one source only."""
    rows: list[tuple[str, ...]] = []
    for name, told in report.sources.items():
        every = told[ALL]
        rows.append((
            name, str(told["pictures"]), str(every["things"]), _three(told["map50"]), _three(told["map50_95"]),
            _three(every["precision"]), _three(every["recall"]), _three(every["f1"]), _three(every["pictures"]["recall"]),
            _false(every["pictures"]),
        ))  # fmt: skip
    return BY_SOURCE, rows


def remarks(report: Report) -> list[str]:
    """How thresholds were chosen, what the columns mean, and what else a reader has to know."""
    reasons: dict[str, list[str]] = {}
    for column in report.columns:
        reasons.setdefault(column.point.reason, []).append(column.label)
    chosen = [f"threshold of {', '.join(labels)}: {reason}" for reason, labels in reasons.items()]
    return [
        *chosen,
        "SMALL, MEDIUM, LARGE: recall of things below 32 x 32 pixels, below 96 x 96, and above",
        "PICTURES: share of the pictures with such a thing in which one was found",
        "FALSE/1000: of 1,000 pictures without boxes, those in which one was found (and how many of how many here)",
        *report.notes,
    ]


def side_by_side(comparison: Comparison) -> Table:
    """A row for each label and figure."""
    rows = []
    for label, figures in comparison.figures.items():
        for at, (name, value) in enumerate(figures.items()):
            word = ("m" if label == ALL and name.startswith("map") else "") + _WORDS[name]
            rows.append((label if at == 0 else "", word, *_told(value, _one if name in _COARSE else _three)))
    return SIDE_BY_SIDE, rows


def _told(value: Difference, words: Spell) -> tuple[str, ...]:
    difference = (
        NONE
        if value.difference is None
        else f"{'+' if value.difference > 0 else ''}{words(value.difference)}"
    )
    interval = NONE if value.low is None or value.high is None else f"{value.low:+.3f} .. {value.high:+.3f}"
    verdict = {True: "clear", False: "may be noise", None: ""}[value.clear]
    return words(value.first), words(value.second), difference, interval, verdict


def markdown(table: Table) -> list[str]:
    """Lines of a Markdown table."""
    columns, rows = table
    return [_line(columns), _line("---" for _ in columns), *(_line(row) for row in rows)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _three(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _one(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"


def _false(pictures: Json) -> str:
    """With the counts, since few pictures without boxes make a rough figure."""
    rate, of = pictures["false_alarms_per_1000"], pictures["without_boxes"]
    return NONE if rate is None else f"{rate:.1f} ({pictures['false_alarms']}/{of})"
