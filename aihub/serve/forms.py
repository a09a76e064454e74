"""Forms with pictures (`multipart/form-data`), read into memory while they arrive; the edge bounds the body as a whole.

The framework's own reader spools parts to disk and takes a form that is cut off for a whole one.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Collection
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from aihub.errors import InputError, TooLargeError
from aihub.serve.payloads import Upload

MAX_FIELDS = 8
MAX_FIELD_BYTES = 256 * 1024
MAX_BOUNDARY = 200
MAX_NAME = 200
PICTURES = frozenset({"image", "images", "image[]"})
"""Names under which clients send files."""


@dataclass(slots=True)
class Form:
    """A form that has been read.

    Attributes:
        pictures: parts that are files, in order.
        texts: the other parts by name, in order.
    """

    pictures: list[Upload] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)


async def read_form(
    content_type: str,
    body: AsyncIterable[bytes],
    *,
    max_files: int,
    names: Collection[str] = PICTURES,
    what: str = "picture",
    max_fields: int = MAX_FIELDS,
) -> Form:
    """Read a form.

    Args:
        content_type: the header, with its boundary.
        body: the request's, in pieces.
        max_files: most pictures.
        names: what parts that are files may be called.
        what: what they are, for messages.
        max_fields: most parts that are no files.

    Raises:
        InputError: not a form, cut off, too many fields, or a file of another name; says the field.
        TooLargeError: too many pictures.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= MAX_BOUNDARY:
        raise InputError("the content type of a form needs a boundary", field="Content-Type")
    reader = _Reader(max_files, names, what, max_fields)
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        async for piece in body:
            parser.write(piece)
        parser.finalize()
    except FormParserError as error:
        raise InputError("the form cannot be read", field="body") from error
    if not reader.ended:
        raise InputError("the form is cut off", field="body", hint="was the upload complete?")
    return reader.form


class _Reader:
    """Gathers what the parser finds."""

    def __init__(self, max_files: int, names: Collection[str], what: str, max_fields: int) -> None:
        self.form, self.ended = Form(), False
        self._max_files, self._max_fields = max_files, max_fields
        self._names, self._what, self._usual = names, what, min(names, key=len)
        self._header, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._file = False
        self._data = bytearray()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers, self._data = {}, bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if not options.get(b"name"):
            raise InputError("a part of the form has no name", field="body")
        self._name = _text(options[b"name"], "body")
        if len(self._name) > MAX_NAME:  # errors repeat it
            raise InputError(f"the name of a part may have {MAX_NAME} characters at most", field="body")
        self._file = b"filename" in options
        if self._file and self._name not in self._names:
            raise InputError(
                f"a {self._what} must be a part named {self._usual!r}, not {self._name!r}", field=self._name
            )
        if self._file and len(self.form.pictures) >= self._max_files:
            raise TooLargeError(
                f"more {self._what}s than {self._max_files}, which are allowed", field=self._usual
            )
        if not self._file and len(self.form.texts) >= self._max_fields:
            raise InputError(f"a form may have {self._max_fields} fields at most", field=self._name)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._file and len(self._data) + end - start > MAX_FIELD_BYTES:
            raise InputError(f"a field may have {MAX_FIELD_BYTES:,} bytes at most", field=self._name)
        self._data += data[start:end]

    def _part_end(self) -> None:
        if not self._file:
            self.form.texts.append((self._name, _text(bytes(self._data), self._name)))
            return
        kind, _ = parse_options_header(self._headers.get(b"content-type", b""))
        place = f"{self._usual}[{len(self.form.pictures)}]"
        self.form.pictures.append(Upload(bytes(self._data), kind.decode("latin-1").strip().lower(), place))

    def _end(self) -> None:
        self.ended = True


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError("a name or field of the form is not UTF-8", field=name) from error
