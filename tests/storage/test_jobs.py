"""Jobs in the database: claimed once, renewed, given back, fair between tenants, given up when they take hosts down."""

from __future__ import annotations

import pytest

from aihub.errors import ConflictError, ParamsError
from aihub.storage.jobs import MAX_ATTEMPTS, JobNotFoundError
from aihub.storage.repository import Repository
from aihub.types import StreamTask, uuid7
from aihub.types.jobs import JobKind, JobOutput, JobProgress, JobSpec, JobState

AT = 1_000_000.0


def spec(tenant: str = "default", **changes: object) -> JobSpec:
    fields: dict[str, object] = {
        "id": uuid7(),
        "tenant": tenant,
        "name": "film.mp4",
        "kind": JobKind.VIDEO,
        "tasks": (StreamTask(id="a", algorithm="intrusion", params={"zone": [[0, 0], [1, 0], [1, 1]]}),),
        "outputs": (JobOutput.JSONL, JobOutput.MP4),
    }
    return JobSpec.model_validate(fields | changes)


def test_a_job_comes_back_as_it_went_in(repository: Repository) -> None:
    asked = spec(fps=2.5, folder="/data")
    made = repository.add_job(asked, now=AT)
    assert repository.get_job(asked.id) == made
    assert made.spec == asked.model_copy(update={"created_at": AT})
    assert made.state is JobState.QUEUED
    with pytest.raises(ConflictError):
        repository.add_job(asked)


def test_another_tenants_job_is_as_good_as_absent(repository: Repository) -> None:
    job = repository.add_job(spec("ours"))
    for call in (repository.get_job, repository.cancel_job, repository.delete_job):
        with pytest.raises(JobNotFoundError):
            call(job.id, tenant="theirs")
    assert repository.list_jobs(tenant="theirs").items == []
    assert repository.get_job(job.id, tenant="ours").id == job.id
    assert repository.count_jobs("ours") == 1
    assert repository.count_jobs("theirs") == 0


def test_lists_come_newest_first_in_pages(repository: Repository) -> None:
    ids = [repository.add_job(spec()).id for _ in range(5)]
    repository.cancel_job(ids[2])
    first = repository.list_jobs(limit=2)
    second = repository.list_jobs(limit=2, after=first.cursor)
    third = repository.list_jobs(limit=2, after=second.cursor)
    assert [job.id for page in (first, second, third) for job in page.items] == sorted(ids, reverse=True)
    assert third.cursor is None
    assert [job.id for job in repository.list_jobs(state=JobState.CANCELLED).items] == [ids[2]]
    with pytest.raises(ParamsError):
        repository.list_jobs(after="nonsense")
    with pytest.raises(ParamsError):
        repository.list_jobs(limit=0)


def test_a_job_has_one_host_until_its_lease_runs_out(repository: Repository) -> None:
    job = repository.add_job(spec(), now=AT)
    (claimed,) = repository.claim_jobs("a", 5, 10, now=AT)
    assert claimed.state is JobState.RUNNING
    assert claimed.started_at == AT
    assert repository.claim_jobs("b", 5, 10, now=AT + 9) == []
    assert repository.renew_jobs("a", 10, now=AT + 9) == {job.id: False}
    assert repository.claim_jobs("b", 5, 10, now=AT + 18) == []
    (taken,) = repository.claim_jobs("b", 5, 10, now=AT + 20)
    assert (taken.id, taken.attempts, taken.started_at) == (job.id, 2, AT)
    assert repository.renew_jobs("a", 10, now=AT + 21) == {}
    assert not repository.save_job_progress("a", job.id, JobProgress(frames_done=9))
    assert not repository.end_job("a", job.id, JobState.DONE, JobProgress())
    assert repository.get_job(job.id).state is JobState.RUNNING


def test_claims_are_fair_between_tenants(repository: Repository) -> None:
    flood = [repository.add_job(spec("flood"), now=AT).id for _ in range(5)]
    other = repository.add_job(spec("other"), now=AT).id
    taken = [repository.claim_jobs("a", 1, 100, now=AT)[0].id for _ in range(3)]
    assert taken == [flood[0], other, flood[1]]
    assert repository.claim_jobs("a", 0, 100, now=AT) == []


def test_what_takes_its_host_down_is_given_up(repository: Repository) -> None:
    job = repository.add_job(spec(), now=AT)
    at = AT
    for attempt in range(MAX_ATTEMPTS):
        assert len(repository.claim_jobs(f"host-{attempt}", 1, 10, now=at)) == 1
        repository.save_job_progress(f"host-{attempt}", job.id, JobProgress(frames_done=50))
        at += 11
    assert repository.claim_jobs("last", 1, 10, now=at) == []
    ended = repository.get_job(job.id)
    assert (ended.state, ended.error_code) == (JobState.FAILED, "crashed")
    assert ended.progress.frames_done == 50


def test_a_job_that_gets_further_each_time_goes_on(repository: Repository) -> None:
    """A long job outlives any number of restarts."""
    job = repository.add_job(spec(), now=AT)
    for turn in range(3 * MAX_ATTEMPTS):
        at = AT + 11 * turn
        assert len(repository.claim_jobs("a", 1, 10, now=at)) == 1
        repository.save_job_progress("a", job.id, JobProgress(frames_done=turn + 1))
    assert repository.get_job(job.id).state is JobState.RUNNING


def test_given_back_in_order_it_does_not_count(repository: Repository) -> None:
    job = repository.add_job(spec(), now=AT)
    for _ in range(3 * MAX_ATTEMPTS):
        repository.claim_jobs("a", 1, 10, now=AT)
        assert repository.release_jobs("a", [job.id], now=AT) == 1
    assert repository.get_job(job.id).state is JobState.QUEUED
    repository.claim_jobs("a", 1, 10, now=AT)
    assert repository.release_jobs("a", now=AT) == 1  # of a dead host: it does
    assert repository.get_job(job.id).attempts == 1


def test_cancelling(repository: Repository) -> None:
    waiting, running = repository.add_job(spec(), now=AT), repository.add_job(spec(), now=AT)
    assert repository.cancel_job(waiting.id, now=AT).state is JobState.CANCELLED
    assert repository.cancel_job(waiting.id, now=AT).state is JobState.CANCELLED
    repository.claim_jobs("a", 1, 10, now=AT)
    asked = repository.cancel_job(running.id, now=AT)
    assert (asked.state, asked.cancel_requested) == (JobState.RUNNING, True)
    assert repository.renew_jobs("a", 10, now=AT) == {running.id: True}
    repository.end_job("a", running.id, JobState.CANCELLED, JobProgress(frames_done=3), now=AT + 1)
    ended = repository.get_job(running.id)
    assert (ended.state, ended.finished_at, ended.progress.frames_done) == (JobState.CANCELLED, AT + 1, 3)
    done = repository.add_job(spec(), now=AT)
    repository.claim_jobs("a", 1, 10, now=AT)
    repository.end_job("a", done.id, JobState.DONE, JobProgress())
    with pytest.raises(ConflictError):
        repository.cancel_job(done.id)


def test_a_dead_hosts_job_is_cancelled_at_once(repository: Repository) -> None:
    job = repository.add_job(spec(), now=AT)
    repository.claim_jobs("a", 1, 10, now=AT)
    assert repository.cancel_job(job.id, now=AT + 11).state is JobState.CANCELLED


def test_forgetting(repository: Repository) -> None:
    old, young, waiting = (repository.add_job(spec(), now=AT) for _ in range(3))
    with pytest.raises(ConflictError):
        repository.delete_job(waiting.id)
    repository.cancel_job(old.id, now=AT)
    repository.cancel_job(young.id, now=AT + 50)
    assert repository.forget_jobs(60, now=AT + 100) == [old.id]
    assert repository.known_jobs() == {young.id, waiting.id}
    repository.delete_job(young.id)
    assert repository.known_jobs() == {waiting.id}
