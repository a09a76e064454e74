"""The results of a job as JSON lines, written so that a restart goes on at the last line that counts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aihub.errors import AihubError


class LinesDamagedError(AihubError):
    """The results are not those that the checkpoint speaks of."""


class Lines:
    """Appends to a file of JSON lines.

    Args:
        path: the file.
        offset: bytes of it that count; what follows was written by a process that died, and is cut off.

    Raises:
        LinesDamagedError: the file is shorter than that.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        if offset and path.stat().st_size < offset:
            raise LinesDamagedError("the results are shorter than the checkpoint says")
        self._file = path.open("ab")
        self._file.truncate(offset)
        self._file.seek(offset)

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line.

        Raises:
            ValueError: a number in it is not finite.
            OSError: the disk is full.
        """
        text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._file.write(text.encode("utf-8", "replace") + b"\n")

    def sync(self) -> int:
        """Bring all to the disk; how many bytes there are then."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a finished file, one by one."""
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file so that whoever reads it sees the old or the new one, also after a power cut."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
