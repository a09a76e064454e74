"""The runner: claims, works, reports, stops; another takes over what it leaves."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aihub.errors import QueueFullError, StorageError
from aihub.jobs import folders
from aihub.jobs.lines import Lines, read_lines
from aihub.jobs.runner import JobRunner
from aihub.jobs.workplace import Workplace
from aihub.storage.repository import Repository
from aihub.storage.upgrade import upgrade
from aihub.testing import FakePredictor
from aihub.types import Detections, Frame
from aihub.types.jobs import Job, JobSpec, JobState
from tests.jobs.films import TASKS, film_spec, see_square, workplace, write_film


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_film(tmp_path_factory.mktemp("film") / "film").read_bytes()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    url = f"sqlite:///{tmp_path}/hub.db"
    upgrade(url)
    opened = Repository.open(url, timeout_s=2)
    yield opened
    opened.close()


class Gate:
    """Lets a number of frames through, then holds the model up."""

    def __init__(self, frames: int) -> None:
        self.left, self.open = frames, threading.Event()

    def see(self, frame: Frame) -> Detections:
        if self.left <= 0 and not self.open.wait(0.02):
            raise QueueFullError("not now")
        self.left -= 1
        return see_square(frame)


def submit(repository: Repository, place: Workplace, film: bytes, spec: JobSpec | None = None) -> Job:
    asked = spec or film_spec(tasks=TASKS[:2])
    folder = place.folders.of(asked.id)
    folder.make()
    folder.input.write_bytes(film)
    return repository.add_job(asked)


def until(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to that")


def only_results_left(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == ["results.jsonl"]


def ended(repository: Repository, job: Job) -> Job:
    return until(lambda: (now := repository.get_job(job.id)).state.ended and now)  # type: ignore[no-any-return]


def test_jobs_are_done_and_their_work_is_cleared_away(
    repository: Repository, tmp_path: Path, film: bytes
) -> None:
    place = workplace(tmp_path)
    jobs = [submit(repository, place, film) for _ in range(3)]
    runner = JobRunner("a", repository, place, at_once=2, lease_s=5)
    runner.start()
    try:
        for job in jobs:
            done = ended(repository, job)
            assert (done.state, done.error) == (JobState.DONE, "")
            assert (done.progress.percent, done.progress.frames_done) == (100, 30)
            assert done.finished_at is not None
            folder = place.folders.of(job.id)
            until(partial(only_results_left, folder.path))
        assert runner.health() is None
    finally:
        runner.close()


def test_a_stopped_runners_job_goes_on_elsewhere_with_the_same_lines(
    repository: Repository, tmp_path: Path, film: bytes
) -> None:
    gate = Gate(10)
    held = workplace(tmp_path, FakePredictor({"coco": gate.see}), patience_s=60.0)
    job = submit(repository, held, film)
    first = JobRunner("a", repository, held, lease_s=60)
    first.start()
    until(lambda: gate.left <= 0)
    first.close()
    assert repository.get_job(job.id).state is JobState.QUEUED  # given back, not left to its lease
    second = JobRunner("b", repository, workplace(tmp_path), lease_s=60)
    second.start()
    try:
        assert ended(repository, job).state is JobState.DONE
    finally:
        second.close()
    frames = [
        line["frame"] for line in read_lines(held.folders.of(job.id).lines) if line.get("task") == "guard"
    ]
    assert frames == list(range(0, 60, 2))


def test_cancelling_ends_a_running_job_and_keeps_its_lines(
    repository: Repository, tmp_path: Path, film: bytes
) -> None:
    gate = Gate(10)
    place = workplace(tmp_path, FakePredictor({"coco": gate.see}), patience_s=60.0)
    job = submit(repository, place, film)
    runner = JobRunner("a", repository, place, lease_s=60)
    runner.start()
    try:
        until(lambda: gate.left <= 0)
        repository.cancel_job(job.id)
        done = ended(repository, job)
        assert done.state is JobState.CANCELLED
        assert 0 < sum("result" in line for line in read_lines(place.folders.of(job.id).lines)) < 60
    finally:
        gate.open.set()
        runner.close()


def test_a_job_that_another_host_has_is_let_go(repository: Repository, tmp_path: Path, film: bytes) -> None:
    gate = Gate(5)
    place = workplace(tmp_path, FakePredictor({"coco": gate.see}), patience_s=60.0)
    job = submit(repository, place, film)
    runner = JobRunner("a", repository, place, lease_s=60)
    runner.start()
    try:
        until(lambda: gate.left <= 0)
        repository.release_jobs("a")
        assert repository.claim_jobs("b", 1, 60)[0].id == job.id
        until(lambda: not runner._held)
        assert repository.get_job(job.id).state is JobState.RUNNING  # it is b's to end
        assert repository.renew_jobs("b", 60) == {job.id: False}
    finally:
        runner.close()


def test_a_full_disk_is_a_clear_end(
    repository: Repository, tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Lines) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Lines, "sync", full)
    place = workplace(tmp_path)
    job = submit(repository, place, film)
    runner = JobRunner("a", repository, place, lease_s=60)
    runner.start()
    try:
        done = ended(repository, job)
        assert (done.state, done.error_code) == (JobState.FAILED, "disk-full")
        assert "disk" in done.error
    finally:
        runner.close()


def test_a_disk_that_others_need_is_left_to_them(
    repository: Repository, tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "SPARE_BYTES", 2**62)
    place = workplace(tmp_path)
    job = submit(repository, place, film)
    runner = JobRunner("a", repository, place, lease_s=60)
    runner.start()
    try:
        assert ended(repository, job).error_code == "disk-full"
    finally:
        runner.close()


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\0\0\0\x18ftypisom" + b"\0" * 99, "format"), (None, "format")],
    ids=["no film", "no file"],
)
def test_what_cannot_be_read_ends_as_failed(
    repository: Repository, tmp_path: Path, data: bytes | None, code: str
) -> None:
    place = workplace(tmp_path)
    job = submit(repository, place, data or b"")
    if data is None:
        place.folders.of(job.id).input.unlink()
    runner = JobRunner("a", repository, place, lease_s=60)
    runner.start()
    try:
        done = ended(repository, job)
        assert (done.state, done.error_code) == (JobState.FAILED, code)
    finally:
        runner.close()


def test_a_database_that_is_away_does_not_end_a_job(
    repository: Repository, tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = workplace(tmp_path)
    job = submit(repository, place, film)
    real, failures = repository.end_job, iter([True] * 3)

    def moody(*args: Any, **named: Any) -> bool:
        if next(failures, False):
            raise StorageError("locked")
        return real(*args, **named)

    monkeypatch.setattr(repository, "end_job", moody)
    runner = JobRunner("a", repository, place, lease_s=60)
    runner.start()
    try:
        assert ended(repository, job).state is JobState.DONE
    finally:
        runner.close()


def test_old_jobs_go_with_their_folders_and_strangers_stay(repository: Repository, tmp_path: Path) -> None:
    place = workplace(tmp_path)
    old = submit(repository, place, b"")
    repository.cancel_job(old.id, now=time.time() - 100)
    young = submit(repository, place, b"")
    repository.cancel_job(young.id)
    stranger = place.folders.root / "not-a-job"
    stranger.mkdir()
    runner = JobRunner("a", repository, place, at_once=0, lease_s=60, keep_s=50)
    runner.start()
    try:
        until(lambda: not place.folders.of(old.id).path.exists())
        assert place.folders.of(young.id).path.exists()
        assert stranger.exists()
    finally:
        runner.close()
