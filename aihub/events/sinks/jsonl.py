"""JSON lines: one CloudEvent a line, appended to a file in the hub's `out` folder."""

from __future__ import annotations

import fcntl
import json
import os
import time
from itertools import pairwise
from pathlib import Path

from pydantic import Field

from aihub.errors import DeliveryError
from aihub.events.delivery import Sink, SinkParams
from aihub.types import Event


class JsonlParams(SinkParams):
    """Which file, and how much of it is kept."""

    file: str = Field(
        "events.jsonl",
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*\.jsonl$",
        max_length=100,
        description="Name of the file; it lies in the hub's `out` folder.",
    )
    max_bytes: int = Field(
        100 << 20, ge=1024, le=100 << 30, description="Size at which a new file is begun, bytes."
    )
    keep: int = Field(5, ge=1, le=100, description="Full files kept as FILE.1 (newest) to FILE.N.")


class Jsonl(Sink[JsonlParams]):
    """Appends to one file, which other processes may append to as well."""

    kind = "jsonl"

    def deliver(self, event: Event) -> None:
        """Append one step; it is on the disk when this returns.

        Raises:
            DeliveryError: it could not be written.
        """
        line = json.dumps(event.cloud_event(), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        out = self.surroundings.out
        path = out / self.params.file
        try:
            out.mkdir(parents=True, exist_ok=True, mode=0o700)
            # The lock is a file of its own: the one written to changes its name when it is full.
            with os.fdopen(os.open(out / f".{self.params.file}.lock", os.O_RDWR | os.O_CREAT, 0o600)) as lock:
                _lock(lock.fileno(), self.surroundings.timeout_s)
                self._append(path, line)
        except OSError as error:
            raise DeliveryError(f"{path.name} cannot be written: {error}") from error

    def _append(self, path: Path, line: bytes) -> None:
        # No links: whoever can write to the folder must not choose what the hub writes to.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        handle = os.open(path, flags, 0o600)
        try:
            size = os.fstat(handle).st_size
            if size and size + len(line) > self.params.max_bytes:
                self._rotate(path)
                os.close(handle)
                handle, size = os.open(path, flags, 0o600), 0
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = b"\n" + line  # the line before was cut off by a full disk or a lost power
            while line:
                line = line[os.write(handle, line) :]
            os.fsync(handle)
        finally:
            os.close(handle)

    def _rotate(self, path: Path) -> None:
        names = [
            path,
            *(path.with_name(f"{path.name}.{number}") for number in range(1, self.params.keep + 1)),
        ]
        for newer, older in reversed(list(pairwise(names))):
            if newer.exists():
                newer.replace(older)


def _lock(handle: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.005)
