"""Forms with files. Input: a byte with the size of the pieces in which the body arrives, the content type, a line feed, the body."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any

from aihub.serve.forms import MAX_FIELDS, PICTURES, Form, read_form
from tests.fuzz.law import read_or_refused

LONGEST = 2048
MAX_FILES = 3
WORDS = (
    b"--seam\r\n", b"\r\n--seam--\r\n", b"Content-Disposition: form-data; name=\"image\"; filename=\"a\"", b"; name=\"params\"", b"\r\n\r\n",
    b"; filename*=utf-8''%41", b"Content-Type: image/png\r\n", b"boundary=", b"; boundary=\"a b\"", b"Content-Transfer-Encoding: base64\r\n",
    b"name*0=a; name*1=b", b"\xff", b"\0",
)  # fmt: skip


def check(data: bytes) -> bool:
    """What was sent and no more, in bounded numbers, or a refusal that names the field."""
    size = max(1, data[0]) if data else 1
    head, _, body = data[1:].partition(b"\n")
    form = read_or_refused(lambda: _at_once(_read(head.decode("latin-1"), body, size)), named=True)
    if form is None:
        return False
    assert len(form.pictures) <= MAX_FILES
    assert len(form.texts) <= MAX_FIELDS
    held = sum(len(one.data) for one in form.pictures) + sum(len(text.encode()) for _, text in form.texts)
    assert held <= len(body), "a form holds no more than was sent"
    assert all(one.content_type == one.content_type.strip().lower() for one in form.pictures)
    return True


async def _read(content_type: str, body: bytes, size: int) -> Form:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size]

    return await read_form(content_type, pieces(), max_files=MAX_FILES, names=PICTURES)


def _at_once(work: Coroutine[Any, Any, Form]) -> Form:
    """The outcome of what never waits: no event loop is needed, which would take longer than the reading."""
    try:
        work.send(None)
    except StopIteration as end:
        form: Form = end.value
        return form
    raise AssertionError("it waits for something")


def seeds() -> list[bytes]:
    """Files and fields, whole and in small pieces."""
    file = b'--seam\r\nContent-Disposition: form-data; name="image"; filename="a"\r\nContent-Type: image/PNG\r\n\r\n\x89PNG\r\n'
    text = b'--seam\r\nContent-Disposition: form-data; name="params"\r\n\r\n{"confidence": 0.5}\r\n'
    head = b"multipart/form-data; boundary=seam\n"
    return [
        bytes((size,)) + head + body + b"--seam--\r\n"
        for size in (255, 7, 1)
        for body in (file, text, file + file + text)
    ]
