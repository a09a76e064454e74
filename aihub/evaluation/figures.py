"""Figures that people decide by, at one threshold: counts a picture, summed over whichever pictures one likes.

Everything but average precision is a sum of a `Tally`'s rows, so figures of a source, and of a resample, are the same sums
over other pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aihub.errors import InputError
from aihub.evaluation.detections import FLOOR, Found
from aihub.evaluation.matching import Matches
from aihub.evaluation.truth import F64, Mask, Truth

ALL = "all"
"""Name of the row for all labels together, under one threshold."""
SIZES = ("small", "medium", "large")
SIZE_ENDS = (32.0**2, 96.0**2)
"""COCO's: small below 32 x 32 pixels, medium below 96 x 96."""

Json = dict[str, Any]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a threshold is chosen: the best F1, or the lowest one that reaches a precision, or a given one.

    Attributes:
        precision: in (0, 1], or None.
        confidence: in [0.01, 1] for all labels, or None.
        given: confidence by label, `all` for all together, such as `Report.chosen` of another split; the others are chosen.

    Raises:
        InputError: out of range, or both a precision and a confidence.
    """

    precision: float | None = None
    confidence: float | None = None
    given: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.precision is not None and self.confidence is not None:
            raise InputError(
                "a precision and a confidence exclude each other", field="precision", hint="give one"
            )
        if self.precision is not None and not 0 < self.precision <= 1:
            raise InputError(f"precision must be in (0, 1], but is {self.precision:g}", field="precision")
        for value in (*([] if self.confidence is None else [self.confidence]), *self.given.values()):
            if not FLOOR <= value <= 1:
                raise InputError(
                    f"confidence must be in [{FLOOR:g}, 1], but is {value:g}", field="confidence"
                )


@dataclass(frozen=True, slots=True)
class Point:
    """Where a model is run.

    Attributes:
        threshold: confidence from which a box counts, in (0, 1]; None where nothing is worth counting.
        reason: why this one.
    """

    threshold: float | None
    reason: str

    @property
    def cut(self) -> float:
        """The threshold as a number; above every confidence when there is none."""
        return np.inf if self.threshold is None else self.threshold


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Counts at one threshold, a row for each of N pictures.

    Attributes:
        right: `(N,)` found boxes that are right.
        wrong: `(N,)` false alarms, boxes.
        things: `(N,)` true boxes, crowds left out.
        present: `(N,)` True where there is a true box, or a crowd.
        raised: `(N,)` True where a box was found, wherever it lies.
        bare: `(N,)` True for a picture without any true box, also of labels that are not measured.
        sized: `(N, 3)` true boxes by size.
        sized_found: `(N, 3)` those that were found.
    """

    right: Counts
    wrong: Counts
    things: Counts
    present: Mask
    raised: Mask
    bare: Mask
    sized: Counts
    sized_found: Counts

    def to_json(self, wanted: Mask | None = None) -> Json:
        """Figures over all pictures, or over some. Ratios are in [0, 1], None where there is nothing to divide by."""
        on = np.ones(len(self.right), np.bool_) if wanted is None else wanted
        right, wrong, things = (int(c[on].sum()) for c in (self.right, self.wrong, self.things))
        present, bare, absent = self.present & on, self.bare & on, ~self.present & on
        sizes = zip(SIZES, self.sized[on].sum(axis=0), self.sized_found[on].sum(axis=0), strict=True)
        return {
            "things": things,
            "right": right,
            "false_alarms": wrong,
            "missed": things - right,
            "precision": ratio(right, right + wrong),
            "recall": ratio(right, things),
            "f1": ratio(2 * right, right + wrong + things),
            "recall_by_size": {
                name: {"things": int(of), "found": int(got), "recall": ratio(int(got), int(of))}
                for name, of, got in sizes
            },
            "pictures": {
                "with": int(present.sum()),
                "raised": int((present & self.raised).sum()),
                "recall": ratio(int((present & self.raised).sum()), int(present.sum())),
                "without_boxes": int(bare.sum()),
                "false_alarms": int((bare & self.raised).sum()),
                "false_alarms_per_1000": ratio(1000 * int((bare & self.raised).sum()), int(bare.sum())),
                "without_label": int(absent.sum()),
                "false_alarms_without_label": int((absent & self.raised).sum()),
                "false_alarms_per_1000_without_label": ratio(
                    1000 * int((absent & self.raised).sum()), int(absent.sum())
                ),
            },
        }


def ratio(part: int, whole: int) -> float | None:
    """`part / whole`, None when there is no whole."""
    return part / whole if whole else None


def choose(truth: Truth, found: Found, matches: Matches, rule: Rule, class_id: int | None = None) -> Point:
    """The operating point of one class, or of all together under one threshold.

    Args:
        truth: the pictures.
        found: what was found.
        matches: who found whom.
        rule: how to choose.
        class_id: index of the label; None for all.
    """
    label = ALL if class_id is None else truth.labels[class_id]
    given = rule.given.get(label, rule.confidence)
    if given is not None:
        return Point(given, "given")
    mine = matches.counted if class_id is None else matches.counted & (found.class_id == class_id)
    things = int((~truth.crowd if class_id is None else ~truth.crowd & (truth.class_id == class_id)).sum())
    if not things:
        return Point(None, "nothing to find in these pictures: a threshold has to be given")
    thresholds, right, kept = steps(found.confidence[mine], matches.right[mine])
    if not right.any():
        return Point(None, "nothing that was found is right")
    if rule.precision is not None:
        enough = np.flatnonzero(right >= rule.precision * kept - 1e-9)
        if len(enough):
            return Point(
                float(thresholds[enough[-1]]), f"the lowest that reaches a precision of {rule.precision:g}"
            )
    best = int(np.argmax(2 * right / (kept + things)))
    lost = "" if rule.precision is None else f"; no threshold reaches a precision of {rule.precision:g}"
    return Point(float(thresholds[best]), f"best F1{lost}")


def steps(confidence: F64, right: Mask) -> tuple[F64, Counts, Counts]:
    """What is kept at each confidence that occurs, highest first.

    Args:
        confidence: `(D,)`.
        right: `(D,)`.

    Returns:
        `(S,)` thresholds, falling; `(S,)` right boxes at or above each; `(S,)` boxes at or above each.

    >>> steps(np.array([0.5, 0.9, 0.5]), np.array([True, True, False]))
    (array([0.9, 0.5]), array([1, 2]), array([1, 3]))
    """
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    last = np.append(ordered[1:] != ordered[:-1], True) if len(ordered) else np.zeros(0, np.bool_)
    total = np.cumsum(right[order]).astype(np.int64)
    return ordered[last], total[last], np.flatnonzero(last).astype(np.int64) + 1


def tally(
    truth: Truth, found: Found, matches: Matches, threshold: float, class_id: int | None = None
) -> Tally:
    """Counts of every picture at a threshold, for one class or for all together.

    Args:
        truth: the pictures.
        found: what was found.
        matches: who found whom.
        threshold: confidence from which a box counts.
        class_id: index of the label; None for all.
    """
    pictures = len(truth.pictures)
    box = np.ones(len(found.class_id), np.bool_) if class_id is None else found.class_id == class_id
    thing = np.ones(len(truth.class_id), np.bool_) if class_id is None else truth.class_id == class_id
    kept = box & (found.confidence >= threshold)
    real = thing & ~truth.crowd
    got = real & (matches.found_at >= threshold)
    size = np.searchsorted(SIZE_ENDS, truth.area, side="right")

    def a_picture(of: npt.NDArray[np.intp]) -> Counts:
        return np.bincount(of, minlength=pictures).astype(np.int64)

    def by_size(rows: Mask) -> Counts:
        cells = truth.picture[rows] * len(SIZES) + size[rows]
        return np.bincount(cells, minlength=pictures * len(SIZES)).reshape(pictures, -1).astype(np.int64)

    return Tally(
        right=a_picture(found.picture[kept & matches.right]),
        wrong=a_picture(found.picture[kept & matches.counted & ~matches.right]),
        things=a_picture(truth.picture[real]),
        present=a_picture(truth.picture[thing]) > 0,
        raised=a_picture(found.picture[kept]) > 0,
        bare=truth.bare,
        sized=by_size(real),
        sized_found=by_size(got),
    )
