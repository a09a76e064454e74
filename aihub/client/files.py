"""Files that go to the hub and come from it, without ever being held whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import IOBase
from pathlib import Path
from typing import Any, BinaryIO

from aihub.errors import InputError

CHUNK = 256 * 1024
"""Bytes of a file that are held at a time."""


@contextmanager
def opened(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A body while it is sent; the files in its form are closed after that."""
    try:
        yield body
    finally:
        for _, part in body.get("files", ()):
            if isinstance(part[1], IOBase):
                part[1].close()


def open_file(path: Path, field: str) -> BinaryIO:
    """A file to send.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", field=field) from error


@contextmanager
def arriving(path: Path) -> Iterator[BinaryIO]:
    """A file that is there under its name once it is whole, and not at all before.

    Raises:
        InputError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        file = part.open("wb")
    except OSError as error:
        raise InputError(f"{part} cannot be written: {error.strerror}", field="to") from error
    try:
        with file:
            yield file
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
