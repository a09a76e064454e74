"""How models of our own are measured: several sets in one report, each by what it marks, and what shows none of it. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from aihub.evaluation import Predict, read_truth
from aihub.types import Detections, Frame
from models.recipes.exams import EXAMS, Exam, sit
from models.recipes.figures import ANY, Candidate, figures, rule_of
from models.recipes.teaching import DOUBT, SURE, taught
from tests.evaluation.drawn import coco, write_data

LABELS = ("bin", "hole")
BOX = (8, 8, 20, 20)
"""x, y, width, height."""
CORNERS = (8.0, 8.0, 28.0, 28.0)
EXAM = Exam(sets={"bins": ("bin",), "roads": ("hole",)}, quiet={"roads": ("bin",), "parks": LABELS})

pytest.importorskip("pycocotools", reason="the extra `evaluate` is not installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bins without holes marked, roads without bins marked, and parks that show neither; two pictures of each in each part."""
    root = tmp_path_factory.mktemp("sets")
    for split in ("val", "test"):
        write_data(
            root / "bins",
            coco({f"{split}b0.png": [("bin", BOX)], f"{split}b1.png": [("bin", BOX)]}, LABELS),
            split,
        )
        write_data(
            root / "roads",
            coco({f"{split}r0.png": [("hole", BOX)], f"{split}r1.png": [("hole", BOX)]}, LABELS),
            split,
        )
        write_data(root / "parks", coco({f"{split}p0.png": [], f"{split}p1.png": []}, LABELS), split)
    return root  # fmt: skip


def saying(of: Mapping[str, Sequence[tuple[str, float]]]) -> Predict:
    """A model that says these labels and confidences, all at one place, of pictures whose name has the key in it."""

    def predict(frame: Frame) -> Detections:
        said = next((rows for key, rows in of.items() if key in frame.source), ())
        boxes = np.tile(np.array(CORNERS, np.float32), (len(said), 1))
        kinds = np.array([LABELS.index(label) for label, _ in said], np.int32)
        return Detections(boxes, np.array([score for _, score in said], np.float32), kinds, LABELS)

    return predict


def test_each_set_judges_only_what_it_marks(data: Path) -> None:
    """A bin found on a road is no false alarm of the report, because roads do not mark bins; it is one of the quiet pictures."""
    model = saying({"b": [("bin", 0.9), ("hole", 0.8)], "r": [("hole", 0.7), ("bin", 0.6)]})
    made, report = figures(Candidate("m", LABELS, model), EXAM, data, None)
    assert report.truth.labels == LABELS
    assert [one.source for one in report.truth.pictures] == ["bins", "bins", "roads", "roads"]
    assert {label: (row["ap50"], row["false_alarms"]) for label, row in made["classes"].items()} == {
        "bin": (1.0, 0),
        "hole": (1.0, 0),
    }
    assert made["quiet"]["bin"] == {
        "pictures": 4,
        "raised": 0,
        "per_1000": 0.0,
    }  # found at 0.6, below its threshold
    assert made["quiet"]["hole"]["pictures"] == 2
    assert set(made["sources"]) == {"bins", "roads"}


def test_thresholds_come_from_the_validation_part(data: Path) -> None:
    model = saying({"valb": [("bin", 0.9)], "testb": [("bin", 0.3)], "r": [("hole", 0.7)]})
    made, _ = figures(Candidate("m", LABELS, model), EXAM, data, None)
    assert made["classes"]["bin"]["threshold"] == pytest.approx(0.9)
    assert made["classes"]["bin"]["recall"] == 0.0
    assert made["classes"]["hole"]["recall"] == 1.0


def test_few_false_alarms_may_choose_one_threshold_for_all(data: Path) -> None:
    model = saying({"b": [("bin", 0.9)], "r": [("hole", 0.7)], "p0": [("bin", 0.5)], "p1": [("hole", 0.4)]})
    exam = Exam(sets={"bins": LABELS}, quiet={"parks": LABELS}, most_false=0.5)
    candidate = Candidate("m", LABELS, model)
    val = sit(model, LABELS, exam, data, "val", None)
    assert 0.4 < (rule_of(val, candidate, 0.5).confidence or 0) <= 0.51
    made, _ = figures(candidate, exam, data, None)
    assert made["quiet"][ANY]["pictures"] == 2


def test_pictures_without_any_box_are_quiet_for_what_their_set_marks(data: Path, tmp_path: Path) -> None:
    write_data(tmp_path / "bins", coco({"full.png": [("bin", BOX)], "empty.png": []}, LABELS), "val")
    sat = sit(saying({"empty": [("bin", 0.2)]}), LABELS, Exam(sets={"bins": ("bin",)}), tmp_path, "val", None)
    assert {label: surest.tolist() for label, surest in sat.quiet.items()} == {"bin": pytest.approx([0.2])}


def test_what_the_teacher_doubts_is_neither_true_nor_false(data: Path) -> None:
    truth = read_truth(data / "parks", "val")
    learned = taught(
        truth, saying({"p0": [("bin", SURE), ("bin", DOUBT), ("bin", DOUBT - 0.1), ("hole", 0.9)]}), ("bin",)
    )
    assert learned.labels == ("bin",)
    assert learned.crowd.tolist() == [False, True]
    assert learned.picture.tolist() == [0, 0]
    assert learned.bare.tolist() == [False, True]
    assert (learned.xyxy == CORNERS).all()


@pytest.mark.parametrize("name", sorted(EXAMS))
def test_nobody_is_asked_of_a_set_for_what_it_marks_and_does_not_show(name: str) -> None:
    """A set that marks a label cannot be quiet about it."""
    exam = EXAMS[name]
    for folder, absent in exam.quiet.items():
        assert not set(absent) & set(exam.sets.get(folder, ())), folder
