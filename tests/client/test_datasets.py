"""Feedback as a data set: what is written is what was said, and what cannot be learned from stays out."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aihub.client.datasets import NO_BOXES, NO_PICTURE, OLDER, DatasetFolder, as_coco, choose
from aihub.errors import InputError
from aihub.types import uuid7
from aihub.types.feedback import Feedback, KeptPicture, LabelledBox, Verdict

CAT = LabelledBox(label="cat", box=(1, 2, 3, 4))


def said(
    event: str = "e1", verdict: Verdict = Verdict.TRUE, *boxes: LabelledBox, **changes: object
) -> Feedback:
    fields: dict[str, object] = {
        "id": uuid7(), "event_id": event, "tenant": "default", "stream_id": "gate", "algorithm": "cats",
        "algorithm_version": 1, "label": "cat", "verdict": verdict, "note": "", "boxes": list(boxes),
        "picture": KeptPicture.STORED, "width": 64, "height": 48, "given_by": "ann", "at": 1.0,
    }  # fmt: skip
    return Feedback.model_validate(fields | changes)


def place(width: int, height: int) -> st.SearchStrategy[tuple[float, float, float, float]]:
    """Anywhere in a picture."""
    sides = st.tuples(*(st.floats(0, 0.5, exclude_min=low) for low in (False, False, True, True)))
    return sides.map(lambda s: (s[0] * width, s[1] * height, s[2] * width, s[3] * height)).filter(
        lambda box: box[2] > 0 and box[3] > 0
    )


@st.composite
def opinions(draw: st.DrawFn) -> Feedback:
    width, height = draw(st.integers(1, 1280)), draw(st.integers(1, 1280))
    boxes = st.builds(
        LabelledBox,
        label=st.text(st.characters(codec="utf-8"), min_size=1, max_size=9),
        box=place(width, height),
    )
    verdict = draw(st.sampled_from(Verdict))
    found = [] if verdict is Verdict.FALSE else draw(st.lists(boxes, min_size=1, max_size=4))
    return said(draw(st.uuids().map(str)), verdict, *found, width=width, height=height)


@given(st.lists(opinions(), max_size=6, unique_by=lambda row: row.event_id))
def test_what_is_written_is_read_back_box_for_box(rows: list[Feedback]) -> None:
    chosen, left_out = choose(rows)
    assert (chosen, left_out) == (rows, Counter())
    with tempfile.TemporaryDirectory() as place:
        folder = DatasetFolder(Path(place))
        folder.begin()
        for row in chosen:
            folder.add(row, row.id.encode())
        about = folder.finish(chosen, left_out)
        text = (folder.path / "annotations.json").read_bytes()
        assert about == yaml.safe_load((folder.path / "DATASET.yaml").read_bytes())
        coco = json.loads(text)
        names = {
            image["id"]: (folder.path / image["file_name"]).read_bytes().decode() for image in coco["images"]
        }
    assert about["sha256"]["annotations.json"] == hashlib.sha256(text).hexdigest()
    labels = {kind["id"]: kind["name"] for kind in coco["categories"]}
    read: dict[str, list[tuple[str, tuple[float, ...]]]] = {name: [] for name in names.values()}
    for mark in coco["annotations"]:
        read[names[mark["image_id"]]].append((labels[mark["category_id"]], tuple(mark["bbox"])))
    assert read == {row.id: [(box.label, box.box) for box in row.boxes] for row in rows}
    sizes = {
        image["feedback_id"]: (image["width"], image["height"], image["verdict"]) for image in coco["images"]
    }
    assert sizes == {row.id: (row.width, row.height, row.verdict.value) for row in rows}


@pytest.mark.parametrize(
    ("rows", "kept", "reasons", "why"),
    [
        ([said("e1", Verdict.TRUE, CAT)], 1, {}, "a label and its picture"),
        ([said("e1", Verdict.FALSE)], 1, {}, "an empty picture teaches too"),
        ([said("e1", Verdict.MISSED, CAT)], 1, {}, "what was not found"),
        ([said("e1", Verdict.TRUE)], 0, {NO_BOXES: 1}, "it would be taken for an empty picture"),
        ([said("e1", Verdict.MISSED)], 0, {NO_BOXES: 1}, "the same"),
        ([said("e1", Verdict.FALSE, picture=KeptPicture.NOT_ALLOWED)], 0, {NO_PICTURE: 1}, "policy"),
        ([said("e1", Verdict.TRUE, CAT, picture=KeptPicture.GONE)], 0, {NO_PICTURE: 1}, "gone"),
        ([said("e1", Verdict.FALSE), said("e1", Verdict.TRUE, CAT)], 1, {OLDER: 1}, "the newest counts"),
        ([said("e1", Verdict.TRUE), said("e1", Verdict.FALSE)], 0, {NO_BOXES: 1, OLDER: 1}, "even so"),
        ([said("e1", Verdict.FALSE), said("e2", Verdict.FALSE)], 2, {}, "two events"),
        ([], 0, {}, "nothing was said"),
    ],
)
def test_what_can_be_learned_from(rows: list[Feedback], kept: int, reasons: dict[str, int], why: str) -> None:
    chosen, left_out = choose(rows)
    assert chosen == rows[:kept], why
    assert left_out == reasons, why


def test_the_form_is_that_of_coco() -> None:
    dog = LabelledBox(label="dog", box=(0, 0, 2.5, 2))
    true, false = (
        said("e1", Verdict.TRUE, CAT, dog, id=uuid7(1.0)),
        said("e2", Verdict.FALSE, label="bear", id=uuid7(2.0)),
    )
    coco = as_coco([false, true])
    assert [kind["name"] for kind in coco["categories"]] == ["bear", "cat", "dog"], (
        "what was falsely seen too"
    )
    first, second = coco["images"]
    assert {name: first[name] for name in ("id", "event_id", "algorithm", "verdict", "source")} == {
        "id": 1, "event_id": "e1", "algorithm": "cats", "verdict": "true", "source": "gate",
    }  # fmt: skip
    assert (second["id"], second["verdict"], second["file_name"]) == (2, "false", f"images/{false.id}.jpg")
    assert coco["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 3, "bbox": [0, 0, 2.5, 2], "area": 5, "iscrowd": 0},
    ]


def written(path: Path, row: Feedback) -> dict[str, Any]:
    folder = DatasetFolder(path)
    folder.begin()
    folder.add(row, b"jpeg")
    return folder.finish([row], Counter({NO_BOXES: 2}))


def test_the_description_says_whose_the_pictures_are_and_what_is_missing(tmp_path: Path) -> None:
    about = written(tmp_path / "night", said("e1", Verdict.TRUE, CAT, CAT))
    assert about["name"] == "night"
    assert "belong to the operator" in about["licence"]
    assert about["counts"] == {
        "images": 1, "boxes": 2, "images without boxes": 0, "boxes by class": {"cat": 2},
        "images by verdict": {"true": 1}, "images by algorithm": {"cats": 1},
    }  # fmt: skip
    assert about["left_out"] == {NO_BOXES: 2}
    assert about["not_labelled_throughout"] == ["cat"]


def test_a_folder_in_use_is_refused_and_an_earlier_export_replaced(tmp_path: Path) -> None:
    old, new = said("e1", Verdict.FALSE), said("e2", Verdict.FALSE)
    written(tmp_path, old)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "images" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match="not empty") as caught:
        DatasetFolder(tmp_path).check(force=False)
    assert "--force" in (caught.value.hint or "")
    DatasetFolder(tmp_path).check(force=True)
    written(tmp_path, new)
    assert {path.name for path in (tmp_path / "images").iterdir()} == {f"{new.id}.jpg", "mine.jpg"}
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(InputError, match="no folder"):
        DatasetFolder(tmp_path / "notes.txt").check(force=True)
    DatasetFolder(tmp_path / "new").check(force=False)
    assert not (tmp_path / "new").exists(), "looking changes nothing"


def test_a_hub_cannot_choose_where_files_go(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path / "set")
    folder.begin()
    with pytest.raises(InputError):
        folder.add(said(id="../../evil"), b"x")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["images", "set"]
