"""`aihub jobs` against a hub in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aihub.jobs.folders import JobFolders
from aihub.jobs.runner import JobRunner
from aihub.jobs.workplace import Workplace
from aihub.serve.pictures import decode_picture
from aihub.storage.repository import Repository
from aihub.storage.upgrade import upgrade
from tests.cli.conftest import Run
from tests.jobs.films import jpeg, write_film
from tests.serve.hub import TestHub, serving


@pytest.fixture
def hub(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestHub]:
    """A hub that answers the commands of this test."""
    folder = here / "hub"
    folder.mkdir()
    upgrade(f"sqlite:///{folder}/hub.db")
    repository = Repository.open(f"sqlite:///{folder}/hub.db", timeout_s=2)
    made = TestHub(repository, folder)
    with serving(made.app) as url:
        monkeypatch.setenv("AIHUB_URL", url)
        monkeypatch.setenv("AIHUB_KEY", made.key("infer"))
        yield made
    repository.close()


@pytest.fixture
def runner(hub: TestHub) -> Iterator[JobRunner]:
    place = Workplace(
        registry=hub.services.registry,
        predictor=hub.predictor,
        folders=JobFolders(hub.services.settings.home),
        read_picture=lambda data: decode_picture(data, max_pixels=10**6),
    )
    working = JobRunner("host", hub.repository, place, lease_s=60)
    working.start()
    yield working
    working.close()


def test_a_film_is_sent_waited_for_and_fetched(
    aihub: Run, here: Path, hub: TestHub, runner: JobRunner
) -> None:
    film = write_film(here / "night.mp4", frames=20)
    said = aihub(
        "jobs",
        "submit",
        film,
        "-a",
        "thing-detection",
        "-p",
        "confidence=0.5",
        "-o",
        "coco",
        "--wait",
        "--json",
    )
    job = said.value
    assert (job["state"], job["name"], job["progress"]["frames_done"]) == ("done", "night.mp4", 10)
    assert job["tasks"][0]["params"] == {"confidence": 0.5}
    fetched = aihub("jobs", "fetch", job["id"], "--out", here / "out", "--json").value["files"]
    assert [Path(name).name for name in fetched] == ["results.jsonl", "coco.json"]
    lines = [json.loads(line) for line in (here / "out" / "results.jsonl").read_text().splitlines()]
    assert sum("result" in line for line in lines) == 10
    listed = aihub("jobs", "list")
    assert job["id"] in listed.out
    assert "night.mp4" in listed.out
    shown = aihub("jobs", "show", job["id"])
    assert all(word in shown.out for word in ("done", "10 of 10", "thing-detection"))
    assert aihub("jobs", "remove", job["id"]).out == f"removed {job['id']}\n"
    assert aihub("jobs", "list", "--json").value == []


def test_a_folder_is_sent_as_a_zip(aihub: Run, here: Path, hub: TestHub, runner: JobRunner) -> None:
    (here / "pictures" / "deep").mkdir(parents=True)
    for name in ("a.jpg", "deep/b.jpg"):
        (here / "pictures" / name).write_bytes(jpeg())
    (here / "pictures" / "notes.txt").write_text("no picture")
    job = aihub("jobs", "submit", here / "pictures", "-a", "thing-detection", "--wait", "--json").value
    assert (job["state"], job["kind"], job["name"]) == ("done", "pictures", "pictures.zip")
    aihub("jobs", "fetch", job["id"])
    lines = [json.loads(line) for line in (here / "results.jsonl").read_text().splitlines()]
    assert [line["picture"] for line in lines if "result" in line] == ["a.jpg", "deep/b.jpg"]


def test_a_job_that_nobody_works_on_is_cancelled(aihub: Run, here: Path, hub: TestHub) -> None:
    film = write_film(here / "night.mp4", frames=5)
    job = aihub("jobs", "submit", film, "-a", "thing-detection", "--json").value["id"]
    assert "queued" in aihub("jobs", "show", job).out
    assert "cancelled" in aihub("jobs", "cancel", job).out
    assert aihub("jobs", "list", "--state", "cancelled", "--json").value[0]["id"] == job


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("submit nope.mp4 -a thing-detection", 2, "no such file"),
        ("submit empty -a thing-detection", 2, "no picture in"),
        ("submit text.mp4 -a thing-detection", 2, "none that a job reads"),
        ("submit text.mp4 -a thing-detektion", 2, "did you mean 'thing-detection'?"),
        ("submit text.mp4 -a thing-detection -p confidence=9", 2, "confidence"),
        ("submit text.mp4 -a thing-detection -p other.zone=9", 2, "does not look at this file"),
        ("show 00000000-0000-7000-8000-000000000000", 2, "no job named"),
        ("cancel x", 2, "no job named"),
        ("fetch x", 2, "no job named"),
    ],
)
def test_mistakes_are_told(
    aihub: Run, here: Path, hub: TestHub, arguments: str, code: int, words: str
) -> None:
    (here / "empty").mkdir()
    (here / "text.mp4").write_text("no film")
    said = aihub("jobs", *arguments.split())
    assert said.code == code, said.err
    assert words in said.err
    assert "Traceback" not in said.err
