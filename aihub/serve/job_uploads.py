"""A form with one large file in it, straight to disk: nothing of the file is held, and nothing is written twice."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from aihub.errors import DiskFullError, InputError, TooLargeError
from aihub.jobs.folders import check_room

IDLE_S = 60.0
"""Longest that an upload may stand still."""
FORM_BYTES = 1024 * 1024
"""Most bytes of a form beside its file."""
MAX_FIELD_BYTES = 256 * 1024
MAX_FIELDS = 8
MAX_HEADER_BYTES = 4096
_AT_ONCE = 1024 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Form:
    """What came: fields by name, and the file's name when there was one.

    Attributes:
        fields: texts by name.
        filename: of the file as its sender calls it, None without a file. Only for people: it leads nowhere.
        size: bytes of the file.
    """

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.size = 0


async def receive_form(
    request: Request, target: Path, *, max_bytes: int, before_file: Callable[[Form], None]
) -> Form:
    """Read a `multipart/form-data` body; its part `file` goes to disk as it comes.

    Args:
        request: its body has not been read.
        target: where the file goes.
        max_bytes: most bytes of the file.
        before_file: hears the fields that came before the file, so that it can refuse before the file is sent.

    Raises:
        InputError: not a form, cut off, or it stood still; names the field.
        TooLargeError: the file or a field is larger than allowed.
        DiskFullError: no room for it.
    """
    declared = request.headers.get("content-length", "")
    check_room(target.parent, int(declared) if declared.isdecimal() else 0)
    reader = _Reader(_boundary(request), max_bytes, before_file)
    with target.open("wb") as file:
        async for chunk in _chunks(request):
            reader.feed(chunk)
            if reader.waiting_bytes >= _AT_ONCE:
                await asyncio.to_thread(_write, file, reader.take())
                check_room(target.parent)
        await asyncio.to_thread(_write, file, reader.take())
    reader.finish()
    return reader.form


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise InputError("the body is not a form with a boundary", field="body")
    return boundary


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise InputError(f"the upload stood still for {IDLE_S:.0f} s", field="body") from error
        yield chunk


def _write(file: BinaryIO, data: list[bytes]) -> None:
    try:
        file.writelines(data)
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(
                "the disk of the hub is full", hint="remove old jobs, or ask the operator"
            ) from error
        raise


class _Reader:
    """Listens to the parser of the form."""

    def __init__(self, boundary: bytes, max_bytes: int, before_file: Callable[[Form], None]) -> None:
        self.form = Form()
        self.waiting_bytes = 0
        self._max_bytes, self._before_file = max_bytes, before_file
        self._waiting: list[bytes] = []
        self._header = self._value = b""
        self._disposition = b""
        self._field: str | None = None
        self._text = bytearray()
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_part_data": self._part_data,
                "on_part_end": self._part_ends,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Hand in bytes of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise InputError("the form is broken", field="body") from error

    def take(self) -> list[bytes]:
        """Bytes of the file that came since this was last asked."""
        taken, self._waiting, self.waiting_bytes = self._waiting, [], 0
        return taken

    def finish(self) -> None:
        """The body is over.

        Raises:
            InputError: the form is not.
        """
        if not self._ended:
            raise InputError(
                "the form ends in the midst of a part", field="body", hint="was the upload complete?"
            )

    def _part_begins(self) -> None:
        self._disposition, self._field = b"", None
        self._text.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = self._bounded(self._header + data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value = self._bounded(self._value + data[start:end])

    def _bounded(self, header: bytes) -> bytes:
        if len(header) > MAX_HEADER_BYTES:
            raise TooLargeError("a header of the form is too long", field="body")
        return header

    def _header_ends(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options or name == "file":
            if name != "file" or self.form.filename is not None:
                raise InputError("the form has one file, named 'file'", field=name or "body")
            self.form.filename = options.get(b"filename", b"").decode("utf-8", "replace")
            self._before_file(self.form)
            return
        if not name or name in self.form.fields or len(self.form.fields) >= MAX_FIELDS:
            raise InputError("a field of the form is unknown or there twice", field=name or "body")
        self._field = name

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        part = data[start:end]
        if self._field is not None:
            self._text += part
            if len(self._text) > MAX_FIELD_BYTES:
                raise TooLargeError(f"the field has more than {MAX_FIELD_BYTES:,} bytes", field=self._field)
            return
        self.form.size += len(part)
        if self.form.size > self._max_bytes:
            raise TooLargeError(f"the file may have {self._max_bytes:,} bytes at most", field="file")
        self._waiting.append(part)
        self.waiting_bytes += len(part)

    def _part_ends(self) -> None:
        if self._field is not None:
            self.form.fields[self._field] = self._text.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True
