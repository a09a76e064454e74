"""A model shown the pictures of a folder, and the report as files."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aihub.errors import CapacityError, ImageDecodeError, InputError
from aihub.evaluation import Rule, Truth, evaluate, read_truth, through
from aihub.evaluation.chart import MOST, SIZE, curves
from aihub.evaluation.detections import AT_ONCE
from aihub.evaluation.folder import FILES, write_report
from aihub.evaluation.sheet import FALSE, HIT, TRUE, contact_sheet
from aihub.testing import FakePredictor, boxes
from aihub.types import Detections, Frame
from tests.evaluation.drawn import coco, report_of, truth_of, write_data

PICTURES: dict[str, list[tuple[str, tuple[float, ...]]]] = {
    f"images/{at:02}.jpg": [("person", (4, 4, 20, 30))] if at % 2 else [] for at in range(40)
}


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    return read_truth(write_data(tmp_path / "yard", coco(PICTURES)))


def every_other(frame: Frame) -> Detections:
    """Right on pictures with a person, and one false alarm."""
    name = frame.source.rpartition("/")[2]
    rows = [("person", 0.9, (4.0, 4.0, 24.0, 34.0))] if int(name[:2]) % 2 else []
    return boxes(
        *rows, *([("person", 0.95, (40.0, 4.0, 60.0, 40.0))] if name == "06.jpg" else []), labels=("person",)
    )


def test_a_function_and_an_engine_are_measured_alike(truth: Truth) -> None:
    done: list[tuple[int, int]] = []
    plain = evaluate(every_other, truth, progress=lambda *told: done.append(told))
    engine = FakePredictor({"m": every_other})
    queued = evaluate(through(engine, "m"), truth, model_labels=("person", "cat"))
    assert done == [(at, 40) for at in range(1, 41)]
    assert len(engine.calls) == 41  # the first picture twice: once before the clock starts
    for report in (plain, queued):
        told = report.to_json()
        assert (told["all"]["right"], told["all"]["false_alarms"]) == (20, 1)
        assert told["all"]["pictures"]["false_alarms_per_1000"] == 50.0
        assert told["ms_per_picture"] > 0
        assert told["run_ms_per_picture"] is None  # a fake costs nothing
        assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_many_pictures_are_in_flight_but_not_all(truth: Truth) -> None:
    in_flight: list[int] = []
    now = 0

    class Waited(Future[Detections]):
        def result(self, timeout: float | None = None) -> Detections:
            nonlocal now
            now -= 1
            return boxes(labels=("person",))

    def predict(_: Frame) -> Future[Detections]:
        nonlocal now
        now += 1
        in_flight.append(now)
        return Waited()

    assert evaluate(predict, truth).to_json()["all"]["missed"] == 20
    assert (max(in_flight), now) == (AT_ONCE, 0)


def test_errors_of_a_model_come_out(truth: Truth) -> None:
    with pytest.raises(CapacityError, match="no room"):
        evaluate(through(FakePredictor({"m": CapacityError("no room")}), "m"), truth)


def test_a_model_that_gives_no_answer_is_told_of(truth: Truth) -> None:
    class Silent(Future[Detections]):
        def result(self, timeout: float | None = None) -> Detections:
            assert timeout is not None  # every wait ends
            raise TimeoutError

    with pytest.raises(CapacityError, match="no answer in"):
        evaluate(lambda _: Silent(), truth)


def test_a_file_that_is_no_picture(truth: Truth) -> None:
    truth.pictures[3].path.write_bytes(b"no picture")
    with pytest.raises(ImageDecodeError, match=r"images/03\.jpg is not a picture"):
        evaluate(every_other, truth)
    truth.pictures[3].path.write_bytes(b"")
    with pytest.raises(ImageDecodeError, match=r"images/03\.jpg"):
        evaluate(every_other, truth)


def test_a_picture_of_another_size_is_refused_since_its_boxes_would_lie_wrong(truth: Truth) -> None:
    cv2.imwrite(str(truth.pictures[3].path), np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(InputError, match=r"images/03\.jpg is 48 x 64 pixels, but .* say 64 x 48") as caught:
        evaluate(every_other, truth)
    assert caught.value.field == "images.width"


def test_names_are_checked_before_the_model_runs(truth: Truth) -> None:
    engine = FakePredictor({"m": every_other})
    with pytest.raises(InputError, match="no label in common"):
        evaluate(through(engine, "m"), truth, model_labels=("car",))
    assert engine.calls == []


def test_the_report_as_files(truth: Truth, tmp_path: Path) -> None:
    report = evaluate(every_other, truth, model="scripted", file_mb=1.25)
    out = tmp_path / "out"
    out.mkdir()
    files = write_report(report, out)
    assert tuple(file.name for file in files) == FILES
    assert json.loads(files[0].read_text()) == report.to_json()
    words = files[1].read_text()
    assert words.startswith("# scripted on yard test: 40 pictures (20 without boxes), 20 boxes\n")
    assert "| person | 20 |" in words
    assert "50.0 (1/20)" in words
    curve, sheet = (cv2.imread(str(file)) for file in files[2:])
    assert curve is not None
    assert sheet is not None
    assert max(sheet.shape) < 4000
    assert len(np.unique(curve.reshape(-1, 3), axis=0)) > 3  # axes, letters and a curve


def color_at(sheet: Any, color: tuple[int, int, int]) -> Any:
    return np.abs(sheet.astype(int) - color).max(axis=2) < 60


@pytest.mark.parametrize(
    ("answers", "shown"),
    [
        ([("person", 0.9, (4.0, 4.0, 24.0, 34.0))], "hit"),
        ([("person", 0.9, (40.0, 4.0, 60.0, 40.0))], "false"),
        ([], "miss"),
    ],
)
def test_the_sheet_shows_hits_blue_misses_green_and_false_alarms_red(
    answers: list[tuple[str, float, tuple[float, float, float, float]]], shown: str, tmp_path: Path
) -> None:
    truth = read_truth(write_data(tmp_path / "yard", coco({"a.jpg": [("person", (4, 4, 20, 30))]})))

    def predict(_: Frame) -> Detections:
        return boxes(*answers, labels=("person",))

    sheet = contact_sheet(evaluate(predict, truth, rule=Rule(confidence=0.5)))
    seen = {name: bool(color_at(sheet, color).any()) for name, color in (("hit", HIT), ("false", FALSE))}
    assert seen == {"hit": shown == "hit", "false": shown == "false"}
    assert color_at(sheet, TRUE).any() == (shown != "hit")  # under a hit the true box is hidden, box on box


def test_many_labels_are_drawn_and_those_left_out_are_counted() -> None:
    labels = [f"label {at}" for at in range(MOST + 3)]
    box = (0.0, 0.0, 50.0, 50.0)
    truth = truth_of([[(label, box)] for label in labels], labels)
    full = curves(report_of(truth, [[(label, 0.9, box)] for label in labels]))
    some = curves(report_of(truth.with_labels(labels[:3]), [[] for _ in labels], model_labels=labels))
    assert full.shape == some.shape == (*SIZE, 3)
    last = slice(24 + 36 * MOST, 24 + 36 * MOST + 40)
    assert (full[last, 710:] < 200).any()  # "and 3 more"
    assert not (some[last, 710:] < 200).any()
