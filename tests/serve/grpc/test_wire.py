"""Cutting and joining by hand gives what a parser of the whole gives."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from aihub.errors import InputError, TooLargeError
from aihub.serve.grpc.schema import message
from aihub.serve.grpc.wire import (
    inflate,
    join_infer_response,
    parse,
    split_infer_request,
    stream_response,
)

Request, Response = message("ModelInferRequest"), message("ModelInferResponse")

texts = st.text(max_size=20)
raws = st.lists(st.binary(max_size=300), max_size=4)


@given(texts, texts, st.lists(st.tuples(texts, st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3))), raws)
def test_a_request_is_cut_into_what_it_was_made_of(
    model: str, mark: str, inputs: list[tuple[str, list[int]]], raw: list[bytes]
) -> None:
    whole = Request(model_name=model, id=mark, raw_input_contents=raw)
    for name, shape in inputs:
        whole.inputs.add(name=name, shape=shape)
    rest, tensors = split_infer_request(whole.SerializeToString())
    assert [bytes(tensor) for tensor in tensors] == raw
    del whole.raw_input_contents[:]
    assert parse(Request, rest) == whole


@given(st.binary(max_size=200))
@example(b"\x0b\x0c")
def test_any_bytes_are_read_as_the_parser_reads_them_or_refused(data: bytes) -> None:
    try:
        rest, tensors = split_infer_request(data)
        cut = parse(Request, rest)
    except InputError:
        groups = any(
            byte & 7 in (3, 4) for byte in data
        )  # a form of old that parsers skip, and no client sends
        if not groups:
            with pytest.raises(DecodeError):
                Request.FromString(data)
        return
    whole = Request.FromString(data)
    assert [bytes(tensor) for tensor in tensors] == [*whole.raw_input_contents]
    del whole.raw_input_contents[:]
    assert cut.SerializeToString(deterministic=True) == whole.SerializeToString(deterministic=True)


@given(texts, raws)
def test_an_answer_is_joined_as_the_parser_reads_it(mark: str, raw: list[bytes]) -> None:
    head = Response(id=mark, model_name="m")
    joined = join_infer_response(head, [memoryview(data) for data in raw])
    whole = Response.FromString(joined)
    assert [*whole.raw_output_contents] == raw
    assert whole.id == mark
    streamed = message("ModelStreamInferResponse").FromString(stream_response(joined))
    assert streamed.infer_response == whole
    assert streamed.error_message == ""


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda data: data])
def test_a_packed_message_is_unpacked_and_a_plain_one_left(pack: Any) -> None:
    data = Request(model_name="m" * 100, id="1").SerializeToString()
    assert inflate(pack(data), 1000) == data


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_deflate_is_known_at_every_level(level: int) -> None:
    data = Request(model_name="m" * 100).SerializeToString()
    assert inflate(zlib.compress(data, level), 1000) == data


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (gzip.compress(bytes(100_000)), TooLargeError),  # a bomb
        (zlib.compress(bytes(100_000)), TooLargeError),
        (gzip.compress(b"abc")[:-9], InputError),  # cut off
        (b"\x1f\x8bnothing", InputError),  # only looks like it
    ],
)
def test_what_does_not_unpack_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        inflate(data, 1000)
