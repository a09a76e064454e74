"""Works on jobs: claims them from the database by lease, a few at once, and gives them back when it stops.

What others must know goes through the database; files lie in the job's folder, which every host must see under the same path. A job's
folder is locked while somebody writes in it, so that a host that lost its lease without noticing cannot write beside its successor.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import Counter, Gauge

from aihub.errors import AihubError, DiskFullError, StorageError
from aihub.jobs.folders import JobFolder
from aihub.jobs.work import JobRun
from aihub.jobs.workplace import Desk, Stopped, Workplace
from aihub.telemetry import REGISTRY
from aihub.types.jobs import Job, JobProgress, JobState

logger = logging.getLogger(__name__)

TICK_S = 0.5
REPORT_S = 1.0
PRUNE_EVERY_S = 3600.0
LOCK_S = 30.0
STALL_S = 600.0
"""A job that does not even ask whether to stop for so long hangs, and only a new process can end it."""

JOBS = Counter("aihub_jobs_total", "Jobs that ended, by how.", ["state"], registry=REGISTRY)
JOBS_RUNNING = Gauge("aihub_jobs_running", "Jobs that this process works on.", registry=REGISTRY)
JOB_FRAMES = Counter("aihub_job_frames_total", "Frames and pictures analysed for jobs.", registry=REGISTRY)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class JobTable(Protocol):
    """Where jobs are kept; see `aihub.storage.jobs`. All may block and raise `StorageError`."""

    def claim_jobs(self, host: str, room: int, lease_s: float) -> list[Job]:
        """Take free jobs."""
        ...

    def renew_jobs(self, host: str, lease_s: float) -> dict[str, bool]:
        """Keep what is worked on; job id -> whether its end was asked for."""
        ...

    def save_job_progress(self, host: str, job_id: str, progress: JobProgress) -> bool:
        """Store how far a job is."""
        ...

    def end_job(
        self, host: str, job_id: str, state: JobState, progress: JobProgress, *,
        error_code: str = "", error: str = "",
    ) -> bool:  # fmt: skip
        """Note how a job ended."""
        ...

    def release_jobs(self, host: str, ids: list[str] | None = None) -> int:
        """Give jobs back."""
        ...

    def forget_jobs(self, older_than_s: float) -> list[str]:
        """Forget jobs that ended longer ago."""
        ...

    def known_jobs(self) -> set[str]:
        """Ids of all jobs."""
        ...


@dataclass
class _Held:
    job: Job
    thread: threading.Thread | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    progress: JobProgress = field(default_factory=JobProgress)
    reported_at: float = 0.0
    moved_at: float = field(default_factory=time.monotonic)


class JobRunner:
    """Runs in every stream host.

    Args:
        name: of the host, for leases.
        table: the database.
        place: what jobs are worked on with.
        at_once: jobs that are worked on at the same time.
        lease_s: after this a dead host's jobs are taken over, seconds.
        keep_s: jobs that ended longer ago are forgotten with their files, seconds.
    """

    def __init__(
        self,
        name: str,
        table: JobTable,
        place: Workplace,
        *,
        at_once: int = 1,
        lease_s: float = 10.0,
        keep_s: float = 7 * 86400.0,
    ) -> None:
        self._name, self._table, self._place = name, table, place
        self._at_once, self._lease_s, self._keep_s = at_once, lease_s, keep_s
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ticked_at = time.monotonic()
        self._pruned_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to claim."""
        self._thread.start()

    def health(self) -> str | None:
        """None when fine, else why this process should be replaced."""
        now = time.monotonic()
        if self._thread.is_alive() and now - self._ticked_at > 120:
            return "the job runner has not ticked for two minutes"
        with self._lock:
            stuck = [held.job.id for held in self._held.values() if now - held.moved_at > STALL_S]
        return f"job {stuck[0]} has not moved for {STALL_S:.0f} s" if stuck else None

    def close(self, timeout_s: float = 3.0) -> None:
        """Stop at the next frame and give the jobs back; they go on elsewhere from their last checkpoints."""
        self._stop.set()
        until = time.monotonic() + timeout_s
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        with self._lock:
            threads = [held.thread for held in self._held.values()]
        for thread in threads:
            if thread is not None:
                thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._tick()
            except StorageError as error:
                logger.warning("database: %s; jobs that run go on", error)
            except Exception:
                logger.exception("the job runner failed; it goes on")
            self._ticked_at = time.monotonic()
            self._stop.wait(TICK_S)

    def _tick(self) -> None:
        mine = self._table.renew_jobs(self._name, self._lease_s)
        with self._lock:
            held = dict(self._held)
        for job_id, work in held.items():
            if job_id not in mine:
                work.lost.set()
            elif mine[job_id]:
                work.cancel.set()
        room = self._at_once - len(held)
        if room > 0:
            for job in self._table.claim_jobs(self._name, room, self._lease_s):
                self._begin(job)
        if time.monotonic() - self._pruned_at > PRUNE_EVERY_S:
            self._pruned_at = time.monotonic()
            self._prune()

    def _begin(self, job: Job) -> None:
        held = _Held(job)
        held.thread = threading.Thread(
            target=self._work, args=(held,), name=f"job-{job.id[-12:]}", daemon=True
        )
        with self._lock:
            self._held[job.id] = (
                held  # one that was lost and came back waits for its former run at the folder's lock
            )
            JOBS_RUNNING.set(len(self._held))
        held.thread.start()

    def _prune(self) -> None:
        for job_id in self._table.forget_jobs(self._keep_s):
            self._place.folders.of(job_id).remove()
        self._place.folders.sweep(self._table.known_jobs())

    def _work(self, held: _Held) -> None:
        try:
            self._finish(held, *self._outcome(held))
        except Exception:
            logger.exception("job %s: its end could not be noted", held.job.id)
        finally:
            with self._lock:
                if self._held.get(held.job.id) is held:
                    del self._held[held.job.id]
                JOBS_RUNNING.set(len(self._held))

    def _outcome(self, held: _Held) -> tuple[JobState | None, str, str]:
        """How it went; None when it is not over."""
        job = held.job
        folder = self._place.folders.of(job.id)
        if job.cancel_requested:
            return JobState.CANCELLED, "", ""
        try:
            folder.make()
            with _locked(folder, self._stopped(held)):
                run = JobRun(job.spec, self._place, Desk(self._reporter(held), self._stopped(held)))
                run.run()
        except Stopped:
            return (JobState.CANCELLED if held.cancel.is_set() else None), "", ""
        except AihubError as error:
            return JobState.FAILED, error.code, str(error)
        except OSError as error:
            if error.errno in _FULL:
                full = DiskFullError("the disk of the hub is full", hint="make room, then submit it again")
                return JobState.FAILED, full.code, str(full)
            logger.exception("job %s failed", job.id)
            return JobState.FAILED, "internal", f"a file of the job could not be used: {error.strerror}"
        except Exception:
            logger.exception("job %s failed", job.id)
            return JobState.FAILED, "internal", "the hub failed; its log has the details under the job's id"
        return JobState.DONE, "", ""

    def _finish(self, held: _Held, state: JobState | None, code: str, message: str) -> None:
        job_id = held.job.id
        if state is None:
            if not held.lost.is_set():
                self._stubbornly(lambda: self._table.release_jobs(self._name, [job_id]))
            return
        if self._stubbornly(
            lambda: self._table.end_job(
                self._name, job_id, state, held.progress, error_code=code, error=message[:2000]
            )
        ):
            JOBS.labels(state.value).inc()
            self._place.folders.of(job_id).drop_work()
            logger.info("job %s: %s %s", job_id, state.value, message)

    def _stubbornly(self, write: Callable[[], object]) -> object:
        """Try until the database takes it, or this process ends: the job's lease is renewed meanwhile."""
        while True:
            try:
                return write()
            except StorageError as error:
                logger.warning("database: %s; trying again", error)
                if self._stop.wait(TICK_S):
                    return None

    def _stopped(self, held: _Held) -> Callable[[], bool]:
        def stopped() -> bool:
            held.moved_at = time.monotonic()  # asked all the time, also while frames are passed over
            return self._stop.is_set() or held.cancel.is_set() or held.lost.is_set()

        return stopped

    def _reporter(self, held: _Held) -> Callable[[JobProgress], None]:
        def report(progress: JobProgress) -> None:
            now = time.monotonic()
            JOB_FRAMES.inc(
                max(0, progress.frames_done - held.progress.frames_done) if held.reported_at else 0
            )
            held.progress = progress
            if now - held.reported_at < REPORT_S:
                return
            held.reported_at = now
            try:
                if not self._table.save_job_progress(self._name, held.job.id, progress):
                    held.lost.set()
            except StorageError as error:
                logger.warning("database: %s; the job goes on", error)

        return report


@contextmanager
def _locked(folder: JobFolder, stopped: Callable[[], bool]) -> Iterator[None]:
    """Be the only one that writes in a job's folder.

    Raises:
        Stopped: asked for while waiting, or somebody else holds it for too long.
    """
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stopped():
                    raise Stopped from None
                if time.monotonic() > until:
                    logger.warning("another process still writes in %s; the job is given back", folder.path)
                    raise Stopped from None
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)
