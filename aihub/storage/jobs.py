"""Jobs: what was asked for, who works on it by lease, how far it is, how it ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from aihub.errors import ConflictError, NotFoundError
from aihub.storage.base import Store, from_cursor, page_size, to_cursor
from aihub.storage.jobs_tables import jobs
from aihub.storage.records import Page
from aihub.types.jobs import Job, JobPhase, JobProgress, JobSpec, JobState

MAX_ATTEMPTS = 3
"""A job that was taken up so often without getting further is given up: it takes its host down each time."""

_COLUMNS = [jobs.c[name] for name in Job.model_fields]
_OPEN = (JobState.QUEUED.value, JobState.RUNNING.value)
_CANDIDATES = 1000
_GIVEN_UP = "the process that worked on it ended {} times at the same place"


class JobNotFoundError(NotFoundError):
    """No job of that id, or not yours."""

    kind = "job"


class JobStore(Store):
    """Methods on jobs. With `tenant` given, a job of another tenant is as good as absent."""

    def add_job(self, spec: JobSpec, now: float | None = None) -> Job:
        """Store a new job; it is free to be claimed at once.

        Raises:
            ConflictError: a job of that id exists.
        """
        at = time.time() if now is None else now
        job = Job.model_validate(spec.model_dump() | {"created_at": at})
        with self._database.write() as connection:
            connection.execute(insert(jobs).values(**job.model_dump(mode="json"), furthest=0, lease_until=at))
        return job

    def get_job(self, job_id: str, *, tenant: str | None = None) -> Job:
        """One job.

        Raises:
            JobNotFoundError: no such job, or not of that tenant.
        """
        with self._database.read() as connection:
            return _get(connection, job_id, tenant)

    def list_jobs(
        self,
        *,
        tenant: str | None = None,
        state: JobState | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[Job]:
        """Jobs, newest first, at most `limit` (1..1000) at once.

        Raises:
            ParamsError: a wrong cursor or limit.
        """
        query = select(*_COLUMNS).order_by(jobs.c.id.desc()).limit(page_size(limit) + 1)
        if tenant is not None:
            query = query.where(jobs.c.tenant == tenant)
        if state is not None:
            query = query.where(jobs.c.state == state.value)
        if after is not None:
            query = query.where(jobs.c.id < from_cursor(after, (str,))[0])
        with self._database.read() as connection:
            found = [_job(row) for row in connection.execute(query)]
        more = len(found) > limit
        return Page(found[:limit], to_cursor([found[limit - 1].id]) if more else None)

    def count_jobs(self, tenant: str) -> int:
        """How many jobs of a tenant wait or run."""
        query = select(func.count()).select_from(jobs)
        with self._database.read() as connection:
            found = connection.execute(query.where(jobs.c.tenant == tenant, jobs.c.state.in_(_OPEN)))
            return int(found.scalar_one())

    def known_jobs(self) -> set[str]:
        """Ids of all jobs, so that folders without one can be removed."""
        with self._database.read() as connection:
            return set(connection.execute(select(jobs.c.id)).scalars())

    def cancel_job(self, job_id: str, *, tenant: str | None = None, now: float | None = None) -> Job:
        """Ask for an end; a job that nobody works on ends at once. Asking again changes nothing.

        Raises:
            JobNotFoundError: no such job, or not of that tenant.
            ConflictError: it is done or has failed already.
        """
        at = time.time() if now is None else now
        with self._database.write() as connection:
            job = _get(connection, job_id, tenant, lock=True)
            if job.state in (JobState.DONE, JobState.FAILED):
                raise ConflictError(f"job {job_id!r} is {job.state.value} already")
            if job.state is JobState.CANCELLED:
                return job
            held = select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.lease_until > at)
            worked_on = connection.execute(held.where(jobs.c.lease_host.is_not(None))).first() is not None
            changes: dict[str, Any] = {"cancel_requested": True}
            if not worked_on:
                changes |= _ending(job.progress, JobState.CANCELLED, "", "", at)
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(**changes))
            return _get(connection, job_id, tenant)

    def delete_job(self, job_id: str, *, tenant: str | None = None) -> None:
        """Forget a job that has ended.

        Raises:
            JobNotFoundError: no such job, or not of that tenant.
            ConflictError: it waits or runs.
        """
        with self._database.write() as connection:
            job = _get(connection, job_id, tenant, lock=True)
            if not job.state.ended:
                raise ConflictError(f"job {job_id!r} is {job.state.value}", hint="cancel it first")
            connection.execute(delete(jobs).where(jobs.c.id == job_id))

    def claim_jobs(self, host: str, room: int, lease_s: float, *, now: float | None = None) -> list[Job]:
        """Take free jobs for a host; two hosts never get the same one.

        Tenants with the fewest running jobs come first, then the oldest jobs. A job that was taken up `MAX_ATTEMPTS` times
        without getting further ends as failed instead.

        Args:
            host: who takes them.
            room: how many more it can work on.
            lease_s: how long the claim lasts without renewal, seconds.
            now: epoch seconds, the clock's when None.
        """
        at = time.time() if now is None else now
        free = (jobs.c.state.in_(_OPEN), jobs.c.lease_until <= at)
        with self._database.read() as connection:
            if room < 1 or connection.execute(select(jobs.c.id).where(*free).limit(1)).first() is None:
                return []  # most calls end here, without the write lock
        with self._database.write() as connection:
            query = select(*_COLUMNS).where(*free).order_by(jobs.c.id).limit(_CANDIDATES)
            waiting = [_job(row) for row in connection.execute(query.with_for_update(skip_locked=True))]
            fit = [job for job in waiting if job.attempts < MAX_ATTEMPTS]
            for job in waiting:
                if job.attempts >= MAX_ATTEMPTS:
                    ending = _ending(
                        job.progress, JobState.FAILED, "crashed", _GIVEN_UP.format(job.attempts), at
                    )
                    connection.execute(update(jobs).where(jobs.c.id == job.id).values(**ending))
            chosen = _fairly(fit, _running(connection, at), room)
            for job in chosen:
                taken = {"state": JobState.RUNNING.value, "attempts": job.attempts + 1}
                taken |= {"lease_host": host, "lease_until": at + lease_s}
                if job.started_at is None:
                    taken["started_at"] = at
                connection.execute(update(jobs).where(jobs.c.id == job.id).values(**taken))
            return [_get(connection, job.id, None) for job in chosen]

    def renew_jobs(self, host: str, lease_s: float, *, now: float | None = None) -> dict[str, bool]:
        """Keep what the host works on for another `lease_s` seconds.

        Returns:
            Job id -> whether its end was asked for. What is not in it is no longer the host's and must be let go.
        """
        at = time.time() if now is None else now
        mine = (jobs.c.lease_host == host, jobs.c.state == JobState.RUNNING.value)
        query = select(jobs.c.id, jobs.c.cancel_requested).where(*mine)
        with self._database.read() as connection:
            if connection.execute(query.limit(1)).first() is None:
                return {}
        with self._database.write() as connection:
            connection.execute(update(jobs).where(*mine).values(lease_until=at + lease_s))
            return {row.id: bool(row.cancel_requested) for row in connection.execute(query)}

    def save_job_progress(self, host: str, job_id: str, progress: JobProgress) -> bool:
        """Store how far a job is; False when it is not the host's any more."""
        mine = (jobs.c.id == job_id, jobs.c.lease_host == host)
        with self._database.write() as connection:
            changed = connection.execute(
                update(jobs).where(*mine).values(progress=progress.model_dump(mode="json"))
            )
            further = (*mine, jobs.c.furthest < progress.frames_done)
            connection.execute(update(jobs).where(*further).values(furthest=progress.frames_done, attempts=1))
            return changed.rowcount > 0

    def end_job(
        self, host: str, job_id: str, state: JobState, progress: JobProgress, *,
        error_code: str = "", error: str = "", now: float | None = None,
    ) -> bool:  # fmt: skip
        """Note how a job ended; False when it is not the host's any more."""
        at = time.time() if now is None else now
        ending = _ending(progress, state, error_code, error, at)
        mine = (jobs.c.id == job_id, jobs.c.lease_host == host)
        with self._database.write() as connection:
            return connection.execute(update(jobs).where(*mine).values(**ending)).rowcount > 0

    def release_jobs(self, host: str, ids: Sequence[str] | None = None, *, now: float | None = None) -> int:
        """Give jobs back at once: those named, or all of the host; how many there were.

        Named ones are given back in order, so that this attempt does not count.
        """
        at = time.time() if now is None else now
        chosen = [jobs.c.lease_host == host, jobs.c.state == JobState.RUNNING.value]
        free: dict[str, Any] = {"state": JobState.QUEUED.value, "lease_host": None, "lease_until": at}
        if ids is not None:
            chosen.append(jobs.c.id.in_(ids))
            free["attempts"] = jobs.c.attempts - 1
        with self._database.write() as connection:
            return connection.execute(update(jobs).where(*chosen).values(**free)).rowcount

    def forget_jobs(self, older_than_s: float, *, now: float | None = None) -> list[str]:
        """Forget jobs that ended longer ago; their ids, so that their folders can go too."""
        at = time.time() if now is None else now
        old = select(jobs.c.id).where(jobs.c.finished_at < at - older_than_s).limit(_CANDIDATES)
        with self._database.write() as connection:
            ids = list(connection.execute(old).scalars())
            if ids:
                connection.execute(delete(jobs).where(jobs.c.id.in_(ids)))
        return ids


def _get(connection: Connection, job_id: str, tenant: str | None, *, lock: bool = False) -> Job:
    query = select(*_COLUMNS).where(jobs.c.id == job_id)
    if tenant is not None:
        query = query.where(jobs.c.tenant == tenant)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise JobNotFoundError(job_id)
    return _job(row)


def _job(row: Row[Any]) -> Job:
    return Job.model_validate(dict(row._mapping))  # noqa: SLF001 - the library's public name


def _running(connection: Connection, at: float) -> Counter[str]:
    query = (
        select(jobs.c.tenant, func.count())
        .where(jobs.c.state == JobState.RUNNING.value, jobs.c.lease_until > at)
        .group_by(jobs.c.tenant)
    )
    return Counter({tenant: int(number) for tenant, number in connection.execute(query)})


def _fairly(waiting: list[Job], running: Counter[str], room: int) -> list[Job]:
    """The next jobs: each time the oldest of the tenant that has least under way."""
    chosen: list[Job] = []
    left, under_way = list(waiting), Counter(running)
    while left and len(chosen) < room:
        job = min(left, key=lambda one: (under_way[one.tenant], one.id))
        left.remove(job)
        chosen.append(job)
        under_way[job.tenant] += 1
    return chosen


def _ending(progress: JobProgress, state: JobState, code: str, error: str, at: float) -> dict[str, Any]:
    last = progress.model_copy(update={"phase": JobPhase.ENDED, "eta_s": None})
    if state is JobState.DONE:
        last = last.model_copy(update={"percent": 100.0})
    return {
        "state": state.value, "error_code": code, "error": error, "finished_at": at, "lease_host": None,
        "lease_until": at, "progress": last.model_dump(mode="json"),
    }  # fmt: skip
