"""Forms: what was written is read, however it arrives; anything else is an error that names a field."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.errors import InputError, TooLargeError
from aihub.serve.forms import MAX_FIELD_BYTES, MAX_FIELDS, MAX_NAME, Form, read_form

TYPE = "multipart/form-data; boundary=seam"
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=10)


def read(body: bytes, *, cuts: list[int] | None = None, content_type: str = TYPE, max_files: int = 4) -> Form:
    async def pieces() -> AsyncIterator[bytes]:
        at = 0
        for cut in sorted({min(cut, len(body)) for cut in cuts or []}):
            yield body[at:cut]
            at = cut
        yield body[at:]

    return asyncio.run(read_form(content_type, pieces(), max_files=max_files))


def part(name: str, data: bytes, *, file: bool = False, kind: str = "") -> bytes:
    head = f'--seam\r\nContent-Disposition: form-data; name="{name}"' + ('; filename="a"' if file else "")
    return (
        head.encode() + (f"\r\nContent-Type: {kind}".encode() if kind else b"") + b"\r\n\r\n" + data + b"\r\n"
    )


@given(
    st.lists(st.binary(max_size=200).filter(lambda data: b"--seam" not in data), max_size=4),
    st.lists(st.tuples(names, st.text(max_size=50)), max_size=MAX_FIELDS),
    st.lists(st.integers(0, 2000), max_size=8),
)
def test_what_was_written_is_read_however_it_arrives(
    pictures: list[bytes], texts: list[tuple[str, str]], cuts: list[int]
) -> None:
    texts = [(name, text) for name, text in texts if "--seam" not in text]
    body = b"".join(
        [part("image", data, file=True, kind="image/PNG; x=y") for data in pictures]
        + [part(name, text.encode("utf-8", "replace")) for name, text in texts]
    )
    if not body:
        return
    form = read(body + b"--seam--\r\n", cuts=cuts)
    assert [upload.data for upload in form.pictures] == pictures
    assert {upload.content_type for upload in form.pictures} <= {"image/png"}
    assert [upload.field for upload in form.pictures] == [f"image[{i}]" for i in range(len(pictures))]
    assert form.texts == [(name, text.encode("utf-8", "replace").decode()) for name, text in texts]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=3), st.booleans())
def test_anything_else_is_an_input_error(body: bytes, cuts: list[int], framed: bool) -> None:
    with suppress(InputError):  # anything else would fail here
        read(b"--seam\r\n" + body + b"\r\n--seam--\r\n" if framed else body, cuts=cuts)


@given(st.integers(0, 400))
def test_a_form_that_is_cut_off_is_never_taken_for_a_whole_one(at: int) -> None:
    body = part("image", b"x" * 200, file=True) + part("params", b"{}") + b"--seam--"
    if at < len(body):
        with pytest.raises(InputError):
            read(body[:at])


@pytest.mark.parametrize(
    ("body", "field", "error", "reason"),
    [
        (part("image", b"x", file=True) * 5, "image", TooLargeError, "too many pictures"),
        (part("f", b"1") * (MAX_FIELDS + 1), "f", InputError, "too many fields"),
        (part("f", b"1" * (MAX_FIELD_BYTES + 1)), "f", InputError, "too long a field"),
        (part("file", b"x", file=True), "file", InputError, "a picture of another name"),
        (b"--seam\r\nA: b\r\n\r\nx\r\n", "body", InputError, "no name"),
        (part("", b"x"), "body", InputError, "a name without letters"),
        (part("f", b"\xff"), "f", InputError, "no text"),
        (part("f" * (MAX_NAME + 1), b"1"), "body", InputError, "too long a name"),
    ],
)
def test_bounds(body: bytes, field: str, error: type[InputError], reason: str) -> None:
    with pytest.raises(error) as caught:
        read(body + b"--seam--\r\n")
    assert caught.value.field == field, reason


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 300, ""]
)
def test_the_boundary_is_needed(content_type: str) -> None:
    with pytest.raises(InputError) as caught:
        read(b"", content_type=content_type)
    assert caught.value.field == "Content-Type"
