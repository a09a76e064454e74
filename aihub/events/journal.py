"""Events on the local disk while the database does not answer: append-only files, kept until they are stored."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from aihub.types import Event

logger = logging.getLogger(__name__)

MAX_BYTES = 1 << 30
"""Largest journal of one process; some million transitions."""


class Journal:
    """One writer's journal. Not thread-safe: the writer holds its lock.

    Args:
        folder: where journals lie; made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._handle = -1

    def append(self, events: Sequence[Event]) -> None:
        """Write events so that they survive the end of the process and of the power.

        Raises:
            OSError: the disk is full or gone, or the journal is at its bound.
        """
        # A line that was cut off by a full disk must not swallow the next: each write starts a line of its own.
        data = "".join(f"\n{event.model_dump_json()}" for event in events).encode() + b"\n"
        if self._path is None:
            self._open()
        if os.fstat(self._handle).st_size + len(data) > MAX_BYTES:
            raise OSError("the journal of events is at its bound")
        while data:
            data = data[os.write(self._handle, data) :]
        os.fsync(self._handle)

    def close(self) -> Path | None:
        """End the present file; the next `append` begins a new one.

        Returns:
            The file, None when nothing was written since the last call.
        """
        path, self._path = self._path, None
        if path is not None:
            os.close(self._handle)
            self._handle = -1
        return path

    def left(self) -> list[Path]:
        """Files of processes that are no more, oldest first."""
        return [path for path in sorted(self._folder.glob("*.jsonl")) if _abandoned(path)]

    def set_aside(self, event: Event, why: str) -> None:
        """Keep an event that the database refuses for good, for people to look at; it is not tried again.

        Raises:
            OSError: the disk is full or gone.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self._folder / "rejected.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{why}\t{event!r}\n")

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{time.time_ns():020d}-{os.getpid()}.jsonl"
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL, 0o600)
        # Held as long as the process lives and writes, so that others can tell this file from a dead one's.
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._path = path


def read_journal(path: Path) -> Iterator[Event]:
    """The events of a file, in order. A line that was cut off is left out: nobody was told that it is safe."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.strip():
                    try:
                        yield Event.model_validate_json(line)
                    except ValidationError:
                        logger.warning("an unfinished line in %s is left out", path)
    except FileNotFoundError:
        return  # another process took it over


def _abandoned(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:
        return False  # its process lives, or another took it
