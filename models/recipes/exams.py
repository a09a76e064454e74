"""What each model of our own is measured on: sets that show its labels, and sets that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aihub.evaluation import Answers, Predict, Truth, ask, read_truth
from models.recipes.teaching import taught

BINS = ("garbage_bin", "overflow", "garbage")
HEADS = ("hard_hat", "bare_head", "other_headwear")
MACHINES = ("excavator", "dump_truck", "wheel_loader")


@dataclass(frozen=True, slots=True)
class Exam:
    """How a model is measured.

    Attributes:
        sets: data set -> labels of the model that it marks wherever they show.
        quiet: data set -> labels of the model that show nowhere in it.
        most_false: share of the quiet pictures of the validation parts that may be raised: it chooses one threshold for all labels.
            None for the best F1 of each label.
        teacher: model whose boxes count as true where nobody labelled; empty for none.
        media: folder of the test media that shows the labels; all the others are quiet.
    """

    sets: Mapping[str, tuple[str, ...]]
    quiet: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    most_false: float | None = None
    teacher: str = ""
    media: str = ""


_FIRE = ("fire", "smoke")
EXAMS: Mapping[str, Exam] = {
    "fire-smoke": Exam(
        sets={"fire_smoke": _FIRE},
        quiet=dict.fromkeys(("hard_hat", "construction_site", "garbage_bins", "litter", "pothole", "hard_hat_workers"), _FIRE),
        most_false=0.03,
        media="fire_smoke",
    ),
    "site-safety": Exam(
        sets={
            "hard_hat": ("person", *HEADS),
            "hard_hat_workers": ("hard_hat", "bare_head"),
            "construction_site": MACHINES,
        },
        quiet=dict.fromkeys(("fire_smoke", "garbage_bins", "litter", "pothole", "hard_hat"), MACHINES)
        | dict.fromkeys(("litter", "pothole"), (*HEADS, *MACHINES)),
    ),
    "street-hygiene": Exam(
        sets={"garbage_bins": BINS, "litter": ("litter",), "pothole": ("pothole",)},
        quiet=dict.fromkeys(("hard_hat", "hard_hat_workers", "construction_site", "fire_smoke"), ("overflow", "pothole"))
        | {"garbage_bins": ("pothole",), "litter": ("pothole",), "pothole": ("overflow", "litter")},
    ),
    "city-detector": Exam(
        sets=dict.fromkeys(("hard_hat", "hard_hat_workers", "construction_site", "fire_smoke", "garbage_bins"), ("face",)),
        quiet={},
        teacher="yunet-640",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Sat:
    """One part of an exam, sat.

    Attributes:
        truth: pictures of all its sets; `source` names the set where there are several.
        answers: what the model says there, of labels that the picture's set marks.
        quiet: label -> (n,) confidence of its surest box on each picture that does not show it, 0 where there is none.
    """

    truth: Truth
    answers: Answers
    quiet: Mapping[str, npt.NDArray[np.float64]]


def sit(predict: Predict, labels: tuple[str, ...], exam: Exam, data: Path, split: str, teacher: Predict | None) -> Sat:  # fmt: skip
    """Show the pictures of one part to the model.

    Args:
        predict: the model.
        labels: of the model, those that are measured.
        exam: what to show.
        data: folder of the data sets.
        split: `val` or `test`.
        teacher: the model of that name, for exams that want one.
    """
    truths, answers = [], []
    surest: dict[str, list[float]] = {label: [] for label in labels}
    for name in dict.fromkeys((*exam.sets, *exam.quiet)):
        truth = read_truth(data / name, split)
        said = ask(predict, truth)
        marked, absent = exam.sets.get(name, ()), exam.quiet.get(name, ())
        if marked:
            whole = taught(truth, teacher, marked) if teacher else truth
            truths.append(_named(whole.with_labels(marked), name if len(exam.sets) > 1 else ""))
            answers.append(replace(said, found=tuple(one.select(marked) for one in said.found)))
        for bare, one in zip(truth.bare, said.found, strict=True):
            for label in (*(marked if bare and not exam.teacher else ()), *absent):
                surest[label].append(float(one.select([label]).confidence.max(initial=0.0)))
    return Sat(
        joined(truths, labels),
        Answers(
            tuple(one for part in answers for one in part.found),
            sum(part.seconds for part in answers),
            sum(part.run_seconds for part in answers),
        ),
        {label: np.array(values) for label, values in surest.items() if values},
    )


def _named(truth: Truth, source: str) -> Truth:
    """The same pictures, all of one source unless it is empty."""
    if not source:
        return truth
    return replace(truth, pictures=tuple(replace(picture, source=source) for picture in truth.pictures))


def joined(truths: Sequence[Truth], labels: tuple[str, ...]) -> Truth:
    """All pictures and boxes of several sets; classes count in `labels`."""
    first = np.cumsum([0, *(len(truth.pictures) for truth in truths)])
    of_labels = [truth.with_labels(labels) for truth in truths]
    return replace(
        truths[0],
        name=" + ".join(truth.name for truth in truths),
        pictures=tuple(picture for truth in truths for picture in truth.pictures),
        labels=labels,
        xyxy=np.concatenate([truth.xyxy for truth in of_labels]),
        picture=np.concatenate([truth.picture + at for at, truth in zip(first, of_labels, strict=False)]),
        incomplete=frozenset(
            label for truth in truths for label in truth.incomplete if label in truth.labels
        ),
        notes=tuple(note for truth in truths for note in truth.notes),
        class_id=np.concatenate([truth.class_id for truth in of_labels]),
        area=np.concatenate([truth.area for truth in of_labels]),
        crowd=np.concatenate([truth.crowd for truth in of_labels]),
        bare=np.concatenate([truth.bare for truth in of_labels]),
    )
