"""`aihub models evaluate` and `compare`: a scripted engine behind the real command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from aihub.engine.store import ModelStore
from aihub.serve.runtime import Runtime
from aihub.testing import FakePredictor, boxes
from aihub.types import Detections, Frame
from tests.cli.conftest import Run
from tests.evaluation.drawn import coco, write_data

PERSON = (4.0, 4.0, 24.0, 34.0)
LABELS = ("person", "car")


@pytest.fixture
def data(here: Path) -> Path:
    """Ten pictures, a person in each of the first six."""
    rows: dict[str, list[tuple[str, tuple[float, ...]]]] = {
        f"images/{at}.jpg": [("person", (4, 4, 20, 30))] if at < 6 else [] for at in range(10)
    }
    return write_data(here / "yard", coco(rows, labels=("person", "vehicle")))


def finds(below: int, alarm: int = 9) -> Callable[[Frame], Detections]:
    """Right on pictures with numbers below the first, a surer false alarm on the second."""

    def look(frame: Frame) -> Detections:
        at = int(frame.source.rpartition("/")[2].removesuffix(".jpg"))
        rows = [("person", 0.8, PERSON)] if at < below else []
        return boxes(*rows, *([("person", 0.9, PERSON)] if at == alarm else []), labels=LABELS)

    return look


@pytest.fixture
def engine(here: Path, monkeypatch: pytest.MonkeyPatch) -> FakePredictor:
    """What runs models: yolox-nano finds five of six, fastestdet one."""
    scripted = FakePredictor({"yolox-nano": finds(5), "fastestdet": finds(1)})
    monkeypatch.setattr(Runtime, "predictor", property(lambda _: scripted))
    monkeypatch.setattr(ModelStore, "path", lambda _, card: here / card.name)
    return scripted


def test_figures_in_words(aihub: Run, engine: FakePredictor, data: Path) -> None:
    done = aihub("models", "evaluate", "yolox-nano", "--data", data)
    assert (done.code, done.err) == (0, "")
    assert "yolox-nano on yard test: 10 pictures (4 without boxes), 6 boxes" in done.out
    row = next(line.split() for line in done.out.splitlines() if line.startswith("person"))
    assert row[1] == "6"
    assert row[4:8] == ["0.800", "0.833", "0.833", "0.833"]  # 5 of 6 right, 5 of 6 found
    assert "250.0 (1/4)" in done.out
    assert "threshold of all, person: best F1" in done.out
    assert "labels of the data set left out: vehicle" in done.out


def test_figures_for_programs(aihub: Run, engine: FakePredictor, data: Path) -> None:
    told = aihub("models", "evaluate", "yolox-nano", "--data", data, "--precision", 0.9, "--json").value
    assert told["classes"]["person"]["recall"] == pytest.approx(5 / 6, abs=1e-4)
    assert "no threshold reaches a precision of 0.9" in told["classes"]["person"]["reason"]
    assert len(told["curves"]["person"]["precision"]) == 101
    assert told["file_mb"] == pytest.approx(3.66, abs=0.01)
    given = aihub("models", "evaluate", "yolox-nano", "--data", data, "--confidence", 0.85, "--json").value
    assert (given["all"]["right"], given["all"]["false_alarms"]) == (0, 1)


def test_a_mapping_and_a_choice_of_labels(aihub: Run, engine: FakePredictor, data: Path) -> None:
    told = aihub("models", "evaluate", "yolox-nano", "--data", data, "--map", "car=vehicle", "--json").value
    assert told["labels"] == ["person", "vehicle"]
    assert told["mapped"] == {"car": "vehicle"}
    only = ("--labels", "person", "--map", "car=vehicle")
    assert aihub("models", "evaluate", "yolox-nano", "--data", data, *only, "--json").value["labels"] == [
        "person"
    ]


def test_a_folder_of_results_and_an_untouched_data_set(
    aihub: Run, engine: FakePredictor, data: Path, here: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    out = here / "results" / "new"
    told = aihub("models", "evaluate", "yolox-nano", "--data", data, "--out", out, "--json").value
    assert [Path(file).name for file in told.pop("files")] == [
        "report.json", "report.md", "curve.png", "contact_sheet.jpg",
    ]  # fmt: skip
    assert json.loads((out / "report.json").read_text()) == told
    sheet = cv2.imread(str(out / "contact_sheet.jpg"))
    assert sheet is not None
    assert max(sheet.shape) < 4000
    assert (
        f"written: {out / 'report.md'}"
        in aihub("models", "evaluate", "yolox-nano", "--data", data, "--out", out).out
    )
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


def test_side_by_side(aihub: Run, engine: FakePredictor, data: Path) -> None:
    done = aihub("models", "compare", "fastestdet", "yolox-nano", "--data", data)
    assert (done.code, done.err) == (0, "")
    assert "first  fastestdet on yard test" in done.out
    assert "second  yolox-nano on yard test" in done.out
    f1 = next(line for line in done.out.splitlines() if "F1" in line and "FIGURE" not in line)
    assert f1.split()[1:4] == ["0.250", "0.833", "+0.583"]  # 2 * 1 / (2 + 6) and 2 * 5 / (6 + 6)
    assert "clear" in f1
    told = aihub("models", "compare", "fastestdet", "yolox-nano", "--data", data, "--json").value
    assert (told["first"]["model"], told["second"]["model"]) == ("fastestdet", "yolox-nano")
    assert told["differences"]["person"]["f1"]["clear"] is True
    assert told["differences"]["all"]["file_mb"]["difference"] > 2


def test_pictures_that_are_absent(aihub: Run, engine: FakePredictor, data: Path) -> None:
    (data / "images" / "5.jpg").unlink()
    done = aihub("models", "evaluate", "yolox-nano", "--data", data)
    assert done.code == 2
    assert "1 of 10 pictures of test.json are not there: images/5.jpg" in done.err
    assert "--skip-missing" in done.err
    done = aihub("models", "evaluate", "yolox-nano", "--data", data, "--skip-missing")
    assert done.code == 0
    assert "9 pictures" in done.out
    assert "left out" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("yolox-nano --data nope", ["no such folder: nope"]),
        ("yolox-nano --data .", ["no test.json, val.json, train.json or annotations.json", "COCO JSON"]),
        ("yolox-nano --data yard --split val", ["no val.json", "give --split test"]),
        ("yolox-nano --data yard --map car", ["this is not MODEL_LABEL=DATASET_LABEL"]),
        ("yolox-nano --data yard --map lorry=vehicle", ["the model has no label 'lorry'", "and 68 more"]),
        ("yolox-nano --data yard --map car=lorry", ["no label 'lorry'", "person, vehicle"]),
        ("yolox-nano --data yard --labels cat", ["--labels cat: no such label", "person, vehicle"]),
        ("yolox-nano --data yard --labels vehicle", ["no label in common", "--map"]),
        ("yolox-nano --data yard --labels ,", ["--labels names none"]),
        ("yolox-nano --data yard --precision 2", ["precision must be in (0, 1], but is 2"]),
        ("yolox-nano --data yard --precision .9 --confidence .5", ["exclude each other"]),
        ("yolox-nano --data yard --out yard/out", ["is in the data set, which is never written to"]),
        ("yolox-nano --data broken", ["test.json: annotations[0].bbox[3]", "finite number, but it is nan"]),
        ("yolox-nano --data empty", ["test.json: images is empty"]),
        ("nope --data yard", ["no model named 'nope'"]),
        ("ppocr-rec --data yard", ["ppocr-rec is no detector", "yolox-nano"]),
    ],
)
def test_mistakes(
    arguments: str, words: list[str], aihub: Run, engine: FakePredictor, data: Path, here: Path
) -> None:
    body = coco({"a.jpg": [("person", (1, 2, 3, float("nan")))]})
    write_data(here / "broken", body)
    write_data(here / "empty", {"images": [], "annotations": [], "categories": []})
    done = aihub("models", "evaluate", *arguments.split())
    assert (done.code, done.out) == (2, ""), done
    assert not [word for word in words if word not in done.err], done.err
    assert engine.calls == []
    assert not (data / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("yolox-nano yunet-320 --data yard", ["no label in common"]),
        ("yolox-nano fastestdet --data yard --map lorry=vehicle", ["--map lorry: neither model"]),
        (
            "yolox-nano yunet-320 --data yard --map face=vehicle",
            ["have no label of yard in common", "person"],
        ),
    ],
)
def test_mistakes_of_a_comparison(
    arguments: str, words: list[str], aihub: Run, engine: FakePredictor, data: Path
) -> None:
    done = aihub("models", "compare", *arguments.split())
    assert (done.code, done.out) == (2, ""), done
    assert not [word for word in words if word not in done.err], done.err
    assert engine.calls == []


def test_weights_that_are_absent_are_told_of(aihub: Run, data: Path) -> None:
    done = aihub("models", "evaluate", "yolox-nano", "--data", data)
    assert done.code == 1
    assert "aihub models pull yolox-nano" in done.err
