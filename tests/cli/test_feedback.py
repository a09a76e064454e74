"""`aihub feedback` and `aihub datasets` against a hub in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import yaml

from aihub.storage.repository import Repository
from aihub.storage.upgrade import upgrade
from aihub.types import Event, Frame
from tests.cli.conftest import Run
from tests.serve.hub import TestHub, event, picture, serving


@pytest.fixture(params=[True])
def hub(here: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[TestHub]:
    """A hub that answers the commands of this test, and keeps pictures unless told otherwise."""
    folder = here / "hub"
    folder.mkdir()
    upgrade(f"sqlite:///{folder}/hub.db")
    repository = Repository.open(f"sqlite:///{folder}/hub.db", timeout_s=2)
    made = TestHub(repository, folder, feedback_pictures=request.param)
    with serving(made.app) as url:
        monkeypatch.setenv("AIHUB_URL", url)
        monkeypatch.setenv("AIHUB_KEY", made.key("events"))
        yield made
    repository.close()


def seen(hub: TestHub, number: int = 1, **changes: object) -> Event:
    made = event(number, **{"box": (0.25, 0.5, 0.75, 1.0), **changes})
    made = made.model_copy(update={"snapshot": hub.artifacts.save_snapshot(made, Frame(picture()))})
    hub.repository.save_transitions([made])
    return made


def test_feedback_is_given_listed_and_removed(aihub: Run, hub: TestHub) -> None:
    about = seen(hub)
    said = aihub("feedback", about.id, "true")
    assert said.code == 0, said.err
    assert all(word in said.out for word in ("true", "thing 16,24,32,24", "stored"))
    given = aihub(
        "feedback", about.id, "missed", "--box", "cat, small,1,2,3.5,4", "--box", "dog,0,0,64,48", "--note", "two", "--json",
    ).value  # fmt: skip
    assert (given["verdict"], given["note"], given["picture"]) == ("missed", "two", "stored")
    assert [(box["label"], box["box"]) for box in given["boxes"]] == [
        ("cat, small", [1.0, 2.0, 3.5, 4.0]), ("dog", [0.0, 0.0, 64.0, 48.0]),
    ]  # fmt: skip
    assert aihub("feedback", "list", "--json").value == [given], "what was said before is replaced"
    listed = aihub("feedback", "list", "--verdict", "missed", "--algorithm", "thing-detection")
    assert all(word in listed.out for word in (given["id"], about.id, "cat, small 1,2,3.5,4", "two"))
    for nothing in (("--verdict", "false"), ("--since", "2999-01-01"), ("--algorithm", "other")):
        assert aihub("feedback", "list", *nothing, "--json").value == []
    assert aihub("feedback", "list", "--since", "2020-01-01T10:00:00", "--json").value == [given]
    assert aihub("feedback", "remove", given["id"]).out == f"removed {given['id']}\n"
    assert aihub("feedback", "list", "--json").value == []


def test_the_long_form_is_the_same(aihub: Run, hub: TestHub) -> None:
    assert aihub("feedback", "give", seen(hub).id, "false", "--json").value["verdict"] == "false"


def test_a_data_set_is_exported(aihub: Run, here: Path, hub: TestHub) -> None:
    for number, verdict in ((1, "true"), (2, "false"), (3, "missed")):
        assert aihub("feedback", seen(hub, number).id, verdict).code == 0
    aihub("feedback", seen(hub, 4, algorithm="clip-only", label="clip").id, "true")
    made = aihub("datasets", "export", here / "set", "--json").value
    assert made["classes"] == ["clip", "thing"]
    assert made["left_out"] == {"without boxes": 1}
    assert (made["counts"]["images"], made["counts"]["boxes"]) == (3, 2)
    coco = json.loads((here / "set" / "annotations.json").read_text())
    assert {(row["event_id"], row["verdict"]) for row in coco["images"]} == {
        (event(1).id, "true"), (event(2).id, "false"), (event(4).id, "true"),
    }  # fmt: skip
    for row in coco["images"]:
        image = cv2.imread(str(here / "set" / row["file_name"]))
        assert image is not None
        assert image.shape[:2] == (row["height"], row["width"])
    assert {tuple(row["bbox"]) for row in coco["annotations"]} == {(16.0, 24.0, 32.0, 24.0)}
    about = yaml.safe_load((here / "set" / "DATASET.yaml").read_text())
    assert about["sha256"] == made["sha256"]
    one = aihub("datasets", "export", here / "one", "--algorithm", "clip-only")
    assert "1, 0 of them empty" in one.out
    looks = hub.repository.list_audit(action="feedback.picture").items
    assert len(looks) == 4, "each picture that left the hub is noted"


def test_pictures_that_went_meanwhile_are_counted(aihub: Run, here: Path, hub: TestHub) -> None:
    for number in (1, 2):
        aihub("feedback", seen(hub, number).id, "true")
    min((here / "hub" / "feedback").glob("*.jpg")).unlink()
    made = aihub("datasets", "export", here / "set", "--json").value
    assert (made["counts"]["images"], made["left_out"]) == (1, {"without picture": 1})
    assert len(list((here / "set" / "images").iterdir())) == 1


def test_a_folder_that_is_not_empty_is_left_alone(aihub: Run, here: Path, hub: TestHub) -> None:
    aihub("feedback", seen(hub).id, "true")
    (here / "set").mkdir()
    (here / "set" / "notes.txt").write_text("mine")
    refused = aihub("datasets", "export", here / "set")
    assert (refused.code, [path.name for path in (here / "set").iterdir()]) == (2, ["notes.txt"])
    assert "--force" in refused.err
    for _ in range(2):
        assert aihub("datasets", "export", here / "set", "--force").code == 0
    assert sorted(path.name for path in (here / "set").iterdir()) == [
        "DATASET.yaml", "annotations.json", "images", "notes.txt",
    ]  # fmt: skip


@pytest.mark.parametrize("hub", [False], indirect=True)
def test_without_leave_there_is_nothing_to_export_and_it_is_said_why(
    aihub: Run, here: Path, hub: TestHub
) -> None:
    assert "nobody has said anything" in aihub("datasets", "export", here / "set").err
    assert aihub("feedback", seen(hub).id, "true", "--json").value["picture"] == "not allowed"
    refused = aihub("datasets", "export", here / "set")
    assert refused.code == 1
    assert "1 without picture" in refused.err
    assert "AIHUB_FEEDBACK_PICTURES=true" in refused.err
    assert not (here / "set").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("nobody true", 2, "no event named"),
        ("EVENT maybe", 2, "'true', 'false', 'missed'"),
        ("EVENT", 2, "No such command"),
        ("lst", 2, "No such command"),
        ("EVENT missed --box cat,1,2,3", 2, "LABEL,X,Y,W,H"),
        ("EVENT missed --box cat,1,2,3,x", 2, "LABEL,X,Y,W,H"),
        ("EVENT missed --box cat,1,2,3,nan", 2, "LABEL,X,Y,W,H"),
        ("EVENT missed --box ,1,2,3,4", 2, "LABEL,X,Y,W,H"),
        ("EVENT missed --box cat,60,2,30,4", 2, "not inside the picture of 64 x 48"),
        ("EVENT false --box cat,1,2,3,4", 2, "a false alarm has none"),
        ("list --since yesterday", 2, "yesterday"),
        ("remove nothing", 2, "no feedback named"),
    ],
)
def test_mistakes_are_told(aihub: Run, hub: TestHub, arguments: str, code: int, words: str) -> None:
    about = seen(hub)
    said = aihub("feedback", *arguments.replace("EVENT", about.id).split())
    assert said.code == code, said.err
    assert words in said.err
    assert "Traceback" not in said.err
