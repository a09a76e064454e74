"""Films and pictures as jobs, with both clients and the runner in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from aihub import errors
from aihub.client import AihubClient
from aihub.jobs.runner import JobRunner
from aihub.types.jobs import JobState
from tests.client.faces import Make
from tests.jobs.films import film_bytes, jpeg, zip_of
from tests.serve.hub import TestHub
from tests.serve.test_jobs import workplace


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    path = folder / "yard.mp4"
    path.write_bytes(film_bytes(folder, frames=20))
    return path


@pytest.fixture
def runner(hub: TestHub) -> Iterator[JobRunner]:
    working = JobRunner("host", hub.repository, workplace(hub), lease_s=60)
    working.start()
    yield working
    working.close()


def test_a_film_from_submission_to_its_outputs(
    client: AihubClient, film: Path, runner: JobRunner, tmp_path: Path
) -> None:
    task = {"algorithm": "thing-detection", "params": {"confidence": 0.5}}
    job = client.submit_job(film, [task], fps=10, outputs=["mp4", "coco"])
    assert (job.name, job.fps, [str(output) for output in job.outputs]) == (
        "yard.mp4",
        10,
        ["jsonl", "mp4", "coco"],
    )
    *_, last = client.follow_job(job.id)
    assert (last.state, last.error, last.progress.percent) == (JobState.DONE, "", 100)
    lines = list(client.job_lines(job.id))
    assert sum("result" in line for line in lines) == 20
    drawn, coco, copy = (tmp_path / name for name in ("drawn.mp4", "coco.json", "lines.jsonl"))
    client.save_job_film(job.id, drawn)
    client.save_job_coco(job.id, coco)
    client.save_job_results(job.id, copy)
    assert drawn.read_bytes()[4:8] == b"ftyp"
    assert json.loads(coco.read_text())["categories"][0]["name"] == "thing"
    assert [json.loads(line) for line in copy.read_text().splitlines()] == lines
    assert sorted(path.name for path in tmp_path.glob("*.part")) == []
    assert client.job(job.id).state == JobState.DONE
    client.delete_job(job.id)
    with pytest.raises(errors.NotFoundError):
        client.job(job.id)


def test_pictures_listed_and_cancelled(client: AihubClient, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures.zip"
    pictures.write_bytes(zip_of({"a.jpg": jpeg()}))
    jobs = [client.submit_job(pictures, ["thing-detection"], name=f"{n}.zip") for n in range(3)]
    assert [job.id for job in client.jobs()] == [job.id for job in reversed(jobs)]
    assert [job.name for job in client.jobs(limit=1, state=JobState.QUEUED)] == ["2.zip"]
    with pytest.raises(errors.ConflictError):
        client.delete_job(jobs[0].id)
    with pytest.raises(errors.ConflictError):
        list(client.job_lines(jobs[0].id))
    with pytest.raises(errors.ConflictError):
        client.save_job_film(jobs[0].id, tmp_path / "none.mp4")
    assert list(tmp_path.glob("none*")) == []
    assert client.cancel_job(jobs[0].id).state == JobState.CANCELLED
    (step,) = client.follow_job(jobs[0].id)
    assert step.state == JobState.CANCELLED


def test_mistakes(client: AihubClient, film: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.AlgorithmNotFoundError):
        client.submit_job(film, ["thing-detektion"])
    with pytest.raises(errors.InputError) as caught:
        client.submit_job(tmp_path / "none.mp4", ["thing-detection"])
    assert caught.value.field == "file"
    (tmp_path / "a.mp4").write_bytes(b"text")
    with pytest.raises(errors.UnsupportedTypeError):
        client.submit_job(tmp_path / "a.mp4", ["thing-detection"])
    with pytest.raises(errors.ForbiddenError):
        client.submit_folder("/", ["thing-detection"])
    with pytest.raises(errors.NotFoundError):
        list(client.follow_job("nothing"))


def test_a_download_that_fails_leaves_nothing(make: Make, tmp_path: Path) -> None:
    client = make("http://hub", transport=httpx2.MockTransport(lambda _: httpx2.Response(404, json={})))
    with pytest.raises(errors.NotFoundError):
        client.save_job_film("a", tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(errors.InputError) as caught:
        make(
            "http://hub", transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=b"x"))
        ).save_job_film("a", tmp_path / "none" / "film.mp4")
    assert caught.value.field == "to"
