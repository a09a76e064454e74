"""Where a job's files lie: one folder a job, with names that no caller can choose."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

from aihub.errors import DiskFullError, NotFoundError
from aihub.storage.jobs import JobNotFoundError

SUBFOLDER = "jobs"
"""Folder below the hub's home."""

SPARE_BYTES = 256 * 1024 * 1024
"""Bytes of the disk that no job may take."""

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ORPHAN_S = 6 * 3600.0


def check_room(path: Path, wanted: int = 0) -> None:
    """Whether a job may write so many bytes more.

    Raises:
        DiskFullError: what would be left is needed by the database and the evidence of streams.
    """
    if shutil.disk_usage(path).free < wanted + SPARE_BYTES:
        raise DiskFullError(
            "the disk of the hub has no room for this", hint="remove old jobs, or ask the operator"
        )


class OutputNotFoundError(NotFoundError):
    """The job did not make this, or it was removed after its time."""

    kind = "output of a job"


class JobFolder:
    """Paths of one job.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def input(self) -> Path:
        """What was uploaded."""
        return self.path / "input"

    @property
    def lines(self) -> Path:
        """Results as JSON lines: what everything else is made from."""
        return self.path / "results.jsonl"

    @property
    def film(self) -> Path:
        """The annotated film."""
        return self.path / "annotated.mp4"

    @property
    def coco(self) -> Path:
        """Detections as COCO."""
        return self.path / "coco.json"

    @property
    def checkpoint(self) -> Path:
        """Where to go on after a restart."""
        return self.path / "checkpoint"

    @property
    def pictures(self) -> Path:
        """The pictures of a folder as it was when the job began."""
        return self.path / "pictures.json"

    @property
    def lock(self) -> Path:
        """Held by the process that writes here."""
        return self.path / "lock"

    def make(self) -> None:
        """Make the folder, private."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def drop_work(self) -> None:
        """Remove what only the work needed; the outputs stay."""
        for path in (self.input, self.checkpoint, self.pictures, self.lock):
            path.unlink(missing_ok=True)


class JobFolders:
    """The folders of all jobs.

    Args:
        home: the hub's home.
    """

    def __init__(self, home: Path) -> None:
        self.root = home / SUBFOLDER

    def of(self, job_id: str) -> JobFolder:
        """The folder of a job.

        Raises:
            JobNotFoundError: not an id that the hub gives.
        """
        if not _ID.fullmatch(job_id):
            raise JobNotFoundError(job_id)
        return JobFolder(self.root / job_id)

    def sweep(self, known: set[str]) -> int:
        """Remove folders of jobs that nobody knows, left by uploads that were cut off; how many there were.

        Young ones are spared: an upload has its folder before its row.
        """
        removed = 0
        limit = time.time() - _ORPHAN_S
        try:
            entries = list(os.scandir(self.root))
        except FileNotFoundError:
            return 0
        for entry in entries:
            if _ID.fullmatch(entry.name) and entry.name not in known and entry.stat().st_mtime < limit:
                JobFolder(Path(entry.path)).remove()
                removed += 1
        return removed
