"""Data sets as people have them: read whole, or refused with the file, the field and what to do."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.errors import InputError
from aihub.evaluation import Answers, agree, measure, read_truth
from aihub.evaluation.figures import Rule
from aihub.testing import boxes
from tests.evaluation.drawn import coco, write_data

PICTURES = {
    "images/b.jpg": [("person", (10, 10, 20, 20)), ("dog", (30, 5, 10, 10))],
    "images/a.jpg": [("person", (0, 0, 64, 48))],
    "images/c.jpg": [],
}


def test_a_data_set_is_read_sorted_by_name(tmp_path: Path) -> None:
    folder = write_data(tmp_path / "yard", coco(PICTURES))
    truth = read_truth(folder)
    assert (truth.name, truth.split, truth.labels) == ("yard", "test", ("person", "dog"))
    assert [picture.name for picture in truth.pictures] == ["images/a.jpg", "images/b.jpg", "images/c.jpg"]
    assert truth.picture.tolist() == [1, 1, 0]
    assert truth.xyxy[0].tolist() == [10, 10, 30, 30]
    assert truth.bare.tolist() == [False, False, True]
    assert truth.area.tolist() == [400, 100, 64 * 48]


def test_pictures_may_be_named_without_their_folder(tmp_path: Path) -> None:
    folder = write_data(tmp_path, coco(PICTURES))
    body = coco(PICTURES)
    for image in body["images"]:
        image["file_name"] = image["file_name"].removeprefix("images/")
    (folder / "test.json").write_text(json.dumps(body))
    assert {picture.path.parent.name for picture in read_truth(folder).pictures} == {"images"}


def test_splits(tmp_path: Path) -> None:
    folder = write_data(tmp_path / "one", coco(PICTURES), "annotations")
    assert read_truth(folder).split == "annotations"  # nothing is split
    assert read_truth(folder, "val").split == "annotations"
    write_data(folder, coco(PICTURES), "val")
    assert read_truth(folder, "val").split == "val"
    with pytest.raises(InputError, match=r"no test\.json") as caught:
        read_truth(folder)
    assert caught.value.hint == "give --split val or annotations"


def test_what_the_data_set_says_of_itself_is_read(tmp_path: Path) -> None:
    folder = write_data(tmp_path, coco(PICTURES))
    (folder / "DATASET.yaml").write_text("name: our yard\nnot_labelled_throughout: [dog]\n")
    truth = read_truth(folder)
    assert (truth.name, truth.incomplete) == ("our yard", frozenset({"dog"}))
    (folder / "DATASET.yaml").write_text("name: [")
    with pytest.raises(InputError, match=r"DATASET\.yaml cannot be read"):
        read_truth(folder)


def test_area_is_that_of_the_box_where_none_is_given_and_small_overhangs_are_cut(tmp_path: Path) -> None:
    body = coco({"a.jpg": [("person", (-0.4, 10, 20, 20)), ("person", (50, 10, 14.9, 20))]})
    del body["annotations"][0]["area"]
    body["annotations"][1]["area"] = 7
    truth = read_truth(write_data(tmp_path, body))
    assert truth.area.tolist() == [400, 7]
    assert truth.xyxy[:, 0].tolist() == [0, 50]
    assert truth.xyxy[1, 2] == 64


def test_absent_pictures_are_named_and_counted(tmp_path: Path) -> None:
    folder = write_data(tmp_path, coco(PICTURES))
    (folder / "images" / "b.jpg").unlink()
    with pytest.raises(
        InputError, match=r"1 of 3 pictures of test\.json are not there: images/b\.jpg"
    ) as caught:
        read_truth(folder)
    assert caught.value.field == "images[0].file_name"
    assert "--skip-missing" in str(caught.value.hint)
    truth = read_truth(folder, skip_missing=True)
    assert [picture.name for picture in truth.pictures] == ["images/a.jpg", "images/c.jpg"]
    assert (len(truth.picture), truth.bare.tolist()) == (1, [False, True])
    assert "left out" in truth.notes[0]
    for name in ("a", "c"):
        (folder / "images" / f"{name}.jpg").unlink()
    with pytest.raises(InputError, match="3 of 3"):
        read_truth(folder, skip_missing=True)


def edited(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    body = copy.deepcopy(coco(PICTURES))
    change(body)
    return body


def boxed(*box: float) -> dict[str, Any]:
    return edited(lambda body: body["annotations"][1].update(bbox=list(box)))


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ("{", "data", "test.json is not JSON"),
        ("[" * 100_000, "data", "test.json is not JSON"),
        ("[]", "data", "is a JSON list, not an object"),
        (edited(lambda b: b.pop("images")), "images", "field required"),
        (edited(lambda b: b.update(images=[], annotations=[])), "images", "images is empty"),
        (edited(lambda b: b["images"][1].pop("width")), "images[1].width", "field required"),
        (edited(lambda b: b["images"][1].update(height=0)), "images[1].height", "greater than 0"),
        (edited(lambda b: b["images"][1].update(width=10**400)), "images[1].width", "1000000"),
        (
            edited(lambda b: b["images"][1].update(file_name="x" * 400)),
            "images[1].file_name",
            "are not there",
        ),
        (boxed(1e308, 2, 1e308, 3), "annotations[1].bbox[0]", "1000000000"),
        (edited(lambda b: b["images"][1].update(id=[])), "images[1].id", "but it is []"),
        (edited(lambda b: b["images"][1].update(id="")), "images[1].id", "but it is"),
        (edited(lambda b: b["images"][1].update(id=5)), "images[1].id", "5 stands there twice"),
        (
            edited(lambda b: b["images"][1].update(file_name="images/b.jpg")),
            "images[1].file_name",
            "stands there twice",
        ),
        (
            edited(lambda b: b["images"][1].update(file_name="../a.jpg")),
            "images[1].file_name",
            "leads out of",
        ),
        (edited(lambda b: b["images"][1].update(file_name="/a.jpg")), "images[1].file_name", "leads out of"),
        (
            edited(lambda b: b["categories"][1].update(name="person")),
            "categories[1].name",
            "stands there twice",
        ),
        (
            edited(lambda b: b["annotations"][2].update(image_id=99)),
            "annotations[2].image_id",
            "no 99 in images",
        ),
        (
            edited(lambda b: b["annotations"][2].update(category_id=9)),
            "annotations[2].category_id",
            "no 9 in categories",
        ),
        (edited(lambda b: b["annotations"][2].update(iscrowd=2)), "annotations[2].iscrowd", "but it is 2"),
        (boxed(1, 2, 3), "annotations[1].bbox[3]", "field required"),
        (boxed(1, 2, 3, float("nan")), "annotations[1].bbox[3]", "finite number, but it is nan"),
        (boxed(1, 2, float("inf"), 3), "annotations[1].bbox[2]", "finite number, but it is inf"),
        (boxed(1, 2, 3, "wide"), "annotations[1].bbox[3]", "valid number"),  # type: ignore[arg-type]
        (boxed(1, 2, 0, 3), "annotations[1].bbox", "has no width or height (images/b.jpg, 64 x 48); 1 such"),
        (boxed(1, 2, -5, 3), "annotations[1].bbox", "has no width or height"),
        (boxed(60, 2, 10, 3), "annotations[1].bbox", "lies outside its picture"),
        (boxed(-3, 2, 10, 3), "annotations[1].bbox", "lies outside its picture"),
        (boxed(1, 47, 10, 30), "annotations[1].bbox", "lies outside its picture"),
    ],
)
def test_what_cannot_be_is_refused(body: Any, field: str, words: str, tmp_path: Path) -> None:
    folder = write_data(tmp_path, coco(PICTURES))
    write_data(folder, body, draw=False)
    with pytest.raises(InputError) as caught:
        read_truth(folder)
    assert caught.value.field == field
    assert words in caught.value.message
    assert field in caught.value.message or field == "data"
    assert caught.value.hint


def test_folders_without_a_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_truth(tmp_path / "nope")
    with pytest.raises(InputError, match=r"no test\.json, val\.json"):
        read_truth(tmp_path)


def test_names_must_be_known_to_their_side(tmp_path: Path) -> None:
    truth = read_truth(write_data(tmp_path, coco(PICTURES)))
    with pytest.raises(InputError, match="no label in common"):
        agree(truth, ["car"], {})
    with pytest.raises(InputError, match="the model has no label 'human'"):
        agree(truth, ["car"], {"human": "person"})
    with pytest.raises(InputError, match="no label 'people'"):
        agree(truth, ["car"], {"car": "people"})
    with pytest.raises(InputError, match="--labels cat"):
        agree(truth, ["person"], {}, ["cat"])
    naming = agree(truth, ["human", "cat"], {"human": "person"})
    assert (naming.labels, naming.model_only, naming.data_only) == (("person",), ("cat",), ("dog",))


ANSWERS = {
    "images/a.jpg": boxes(
        ("person", 0.6, (0, 0, 60, 48)), ("dog", 0.6, (5, 5, 15, 15)), labels=("person", "dog")
    ),
    "images/b.jpg": boxes(
        ("person", 0.6, (40, 30, 60, 46)), ("dog", 0.6, (30, 5, 40, 15)), labels=("person", "dog")
    ),
    "images/c.jpg": boxes(("person", 0.6, (1, 1, 9, 9)), labels=("person", "dog")),
}
"""All equally sure, so that only the order could decide."""


@given(st.permutations(sorted(PICTURES)))
def test_the_order_of_pictures_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[str]
) -> None:
    told = []
    for names in (list(PICTURES), order):
        folder = tmp_path_factory.mktemp("order")
        body = coco({name: PICTURES[name] for name in names})
        truth = read_truth(write_data(folder / "yard", body))
        answers = Answers(tuple(ANSWERS[picture.name] for picture in truth.pictures), 1.0, 0.0)
        report = measure(answers, truth, agree(truth, truth.labels, {}), model="m", rule=Rule())
        told.append(report.to_json())
    assert told[0] == told[1]
    assert told[0]["map50"] is not None


def test_some_pictures_with_their_boxes(tmp_path: Path) -> None:
    truth = read_truth(write_data(tmp_path, coco(PICTURES)))
    part = truth.with_pictures(np.array([False, True, True]))
    assert [picture.name for picture in part.pictures] == ["images/b.jpg", "images/c.jpg"]
    assert (part.picture.tolist(), part.bare.tolist()) == ([0, 0], [False, True])
    assert part.with_labels(["dog"]).xyxy.tolist() == [[30, 5, 40, 15]]
