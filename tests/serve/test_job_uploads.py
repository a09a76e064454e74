"""The reader of forms: the same outcome however the bytes are cut up, and never more than an error of ours."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.errors import InputError, TooLargeError
from aihub.serve.job_uploads import Form, _Reader

BOUNDARY = b"--------boundary-7"


def form(fields: dict[str, bytes], file: bytes) -> bytes:
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (BOUNDARY, name.encode(), text)
        for name, text in fields.items()
    ]
    head = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n' % BOUNDARY
    return b"".join(parts) + head + b"Content-Type: video/mp4\r\n\r\n" + file + b"\r\n--%b--\r\n" % BOUNDARY


def read(body: bytes, cuts: list[int], max_bytes: int = 10_000) -> tuple[Form, bytes]:
    heard: list[dict[str, str]] = []
    reader = _Reader(BOUNDARY, max_bytes, lambda form: heard.append(dict(form.fields)))
    taken: list[bytes] = []
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for first, last in pairwise(places):
        reader.feed(body[first:last])
        taken += reader.take()
    reader.finish()
    assert heard == [reader.form.fields] * (reader.form.filename is not None)
    return reader.form, b"".join(taken)


texts = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda name: name != "file"),
    st.binary(max_size=40).filter(lambda text: b"\r" not in text),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(fields=texts, file=st.binary(max_size=600), cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_the_file_comes_out_as_it_went_in(fields: dict[str, bytes], file: bytes, cuts: list[int]) -> None:
    """Law: bytes of the file are kept whatever they are and wherever the network cuts them."""
    if BOUNDARY in file:
        return
    got, data = read(form(fields, file), cuts)
    assert data == file
    assert got.size == len(file)
    assert got.filename == "a.mp4"
    assert got.fields == {name: text.decode("utf-8", "replace") for name, text in fields.items()}


@settings(max_examples=200, deadline=None)
@given(
    file=st.binary(max_size=100),
    damage=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=8),
    keep=st.integers(0, 500),
)
def test_damaged_forms_are_errors_of_ours(file: bytes, damage: list[tuple[int, int]], keep: int) -> None:
    body = bytearray(form({"algorithms": b"x"}, file))
    for place, value in damage:
        body[place % len(body)] = value
    with suppress(InputError):
        read(bytes(body[:keep] if keep < 400 else body), [7, 100])


@pytest.mark.parametrize("size", [10_001, 50_000])
def test_a_file_over_its_limit_is_refused_while_it_comes(size: int) -> None:
    with pytest.raises(TooLargeError, match="at most"):
        read(form({}, b"x" * size), [5000])
