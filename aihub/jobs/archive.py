"""Pictures out of a ZIP that somebody sent, or out of a folder. Nothing is ever unpacked to disk.

A ZIP is judged by its table of contents before anything is read, and what it says about sizes is not believed: bytes are counted
while they are read.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, Self

from aihub.errors import InputError, TooLargeError, UnsupportedTypeError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp"})
_ARCHIVE_SUFFIXES = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".jar"})
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_TABLE_ROW = 512
"""Bytes of the table of contents that one entry may take, on average."""
_END = b"PK\x05\x06"
_END64 = b"PK\x06\x07"
_DRIVE = re.compile(r"[A-Za-z]:")
_MAX_NAME = 1024


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive may hold.

    Attributes:
        entries: most entries, pictures or not.
        picture_bytes: most bytes of one picture, unpacked.
        total_bytes: most bytes of all pictures, unpacked.
    """

    entries: int = 100_000
    picture_bytes: int = 20 * 1024 * 1024
    total_bytes: int = 2 * 1024**3


class Pictures(Protocol):
    """Pictures by number, in an order that never changes."""

    names: Sequence[str]

    def read(self, index: int) -> bytes:
        """The file of one picture.

        Raises:
            InputError: it cannot be read, or is larger than allowed.
        """
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class ZipPictures:
    """The pictures of a ZIP, in the order of its table of contents.

    Attributes:
        names: of the pictures, as the ZIP has them.
        skipped: entries that are no pictures by their names.
    """

    def __init__(self, path: Path, limits: ArchiveLimits) -> None:
        """Open and judge it.

        Raises:
            TooLargeError: more entries or bytes than allowed, as far as it says itself.
            UnsupportedTypeError: encrypted, an archive within, or packed in a way that is not read.
            InputError: not a ZIP, damaged, a name that leads out of it, or no picture in it.
        """
        self._limits = limits
        self._left = limits.total_bytes
        _check_table_size(path, limits)
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
            raise InputError("the ZIP is damaged", field="file", hint="was the upload complete?") from error
        try:
            self._infos = _judged(self._zip.infolist(), limits)
        except BaseException:
            self._zip.close()
            raise
        self.names: Sequence[str] = [info.filename for info in self._infos]
        self.skipped = len(self._zip.infolist()) - len(self.names)

    def read(self, index: int) -> bytes:
        """The file of one picture; never more bytes than allowed are unpacked.

        Raises:
            TooLargeError: it is larger than allowed, or all together are.
            InputError: damaged.
        """
        limit = min(self._limits.picture_bytes, self._left)
        try:
            with self._zip.open(self._infos[index]) as file:
                data = file.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError,
                RuntimeError, struct.error) as error:  # fmt: skip
            raise InputError("the picture in the ZIP is damaged") from error
        if len(data) > limit:
            raise TooLargeError(f"a picture has more than the {limit:,} bytes that are allowed")
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FolderPictures:
    """Pictures below a folder of this machine, by name.

    Attributes:
        names: paths relative to the folder.
    """

    def __init__(self, folder: Path, names: Sequence[str], limits: ArchiveLimits) -> None:
        self._folder = folder.resolve()
        self._limits = limits
        self.names = names

    def read(self, index: int) -> bytes:
        """The file of one picture. What has become a link out of the folder since is not followed.

        Raises:
            TooLargeError: it is larger than allowed.
            InputError: it is not there, or not in the folder.
        """
        path = (self._folder / self.names[index]).resolve()
        if not path.is_relative_to(self._folder) or not path.is_file():
            raise InputError("the picture is not in the folder any more")
        try:
            with path.open("rb") as file:
                data = file.read(self._limits.picture_bytes + 1)
        except OSError as error:
            raise InputError(f"the picture cannot be read: {error.strerror}") from error
        if len(data) > self._limits.picture_bytes:
            raise TooLargeError(f"a picture has more than the {self._limits.picture_bytes:,} bytes allowed")
        return data

    def close(self) -> None:
        """Nothing is kept open."""


def list_folder(folder: Path, limits: ArchiveLimits) -> list[str]:
    """Names of the pictures below a folder, sorted; links and hidden files are left out.

    Raises:
        TooLargeError: more than allowed.
        InputError: no picture, or not a folder.
    """
    if not folder.is_dir():
        raise InputError("there is no such folder on the hub's machine", field="folder")
    found: list[str] = []
    for place, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in files:
            path = Path(place, name)
            if is_picture(name) and not path.is_symlink():
                found.append(path.relative_to(folder).as_posix())
        if len(found) > limits.entries:
            raise TooLargeError(f"more than {limits.entries:,} pictures in the folder", field="folder")
    if not found:
        raise InputError("there is no picture in the folder", field="folder")
    return sorted(found)


def is_picture(name: str) -> bool:
    """Whether a file is meant to be a picture, by its name; hidden ones and those of macOS's archiver are not."""
    path = PurePosixPath(name)
    hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    return path.suffix.lower() in PICTURE_SUFFIXES and not hidden


def _judged(infos: Sequence[zipfile.ZipInfo], limits: ArchiveLimits) -> list[zipfile.ZipInfo]:
    if len(infos) > limits.entries:
        raise TooLargeError(
            f"the ZIP has {len(infos):,} entries, at most {limits.entries:,} are allowed", field="file"
        )
    chosen = []
    declared = 0
    for info in infos:
        _check_name(info)
        if info.is_dir() or not is_picture(info.filename):
            continue
        if info.compress_type not in _METHODS:
            raise UnsupportedTypeError(
                f"{_shown(info)} is packed in a way that is not read",
                field="file",
                hint="use store or deflate",
            )
        declared += info.file_size
        if info.file_size > limits.picture_bytes or declared > limits.total_bytes:
            raise TooLargeError(
                f"the pictures in the ZIP are too large, from {_shown(info)} on", field="file"
            )
        chosen.append(info)
    if not chosen:
        raise InputError("there is no picture in the ZIP", field="file", hint="JPEG, PNG, WebP or BMP")
    return chosen


def _check_name(info: zipfile.ZipInfo) -> None:
    name = info.filename.replace("\\", "/")
    if not name:
        raise InputError("an entry of the ZIP has no name", field="file")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or _DRIVE.match(name) or len(name) > _MAX_NAME:
        raise InputError(f"the name {_shown(info)} leads out of the ZIP", field="file")
    if info.flag_bits & _ENCRYPTED:
        raise UnsupportedTypeError(
            f"{_shown(info)} is encrypted", field="file", hint="send it without a password"
        )
    if path.suffix.lower() in _ARCHIVE_SUFFIXES:
        raise UnsupportedTypeError(
            f"{_shown(info)} is an archive within the ZIP",
            field="file",
            hint="put the pictures themselves into it",
        )


def _shown(info: zipfile.ZipInfo) -> str:
    return repr(info.filename[:80])


def _check_table_size(path: Path, limits: ArchiveLimits) -> None:
    """Refuse a table of contents that would fill the memory before its entries could be counted.

    Raises:
        TooLargeError: it is larger than that of as many entries as are allowed.
        InputError: there is none.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - (1 << 16) - 22)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(_END)
        if at < 0 or len(tail) - at < 22:
            raise InputError("the ZIP has no end", field="file", hint="was the upload complete?")
        (table,) = struct.unpack_from("<I", tail, at + 12)
        (entries,) = struct.unpack_from("<H", tail, at + 10)
        locator = at - 20
        if locator >= 0 and tail.startswith(_END64, locator):
            (offset,) = struct.unpack_from("<Q", tail, locator + 8)
            if offset > size - 56:
                raise InputError("the ZIP is damaged", field="file")
            file.seek(offset)
            entries, table = struct.unpack_from("<QQ", file.read(56), 32)
    if entries > limits.entries or table > max(1 << 20, limits.entries * _TABLE_ROW):
        raise TooLargeError(f"the ZIP has more than {limits.entries:,} entries", field="file")
