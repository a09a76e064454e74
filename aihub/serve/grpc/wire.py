"""The two messages that carry tensors, cut up and put together by hand where the tensors are.

A parser of the whole copies every tensor twice more, with the interpreter locked: 0.2 ms for a picture of 1.2 MB, which the loop
that serves all callers does not have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError

from aihub.errors import InputError
from aihub.serve.oip.compression import unpack

_RAW_INPUT = 7
_RAW_OUTPUT_TAG = b"\x32"  # field 6, with a length
_STREAM_RESPONSE_TAG = b"\x12"  # field 2, with a length
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

_DEFLATE = 0x78
"""First byte of what zlib writes with its usual window."""

_MAX_VARINT = 10
"""Bytes of the longest number there is."""


def parse(kind: Any, data: bytes) -> Any:
    """A message of this class.

    Raises:
        InputError: the bytes are none.
    """
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InputError(
            "the message is not one of this protocol", hint="compare with open_inference.proto"
        ) from error


def inflate(data: bytes, limit: int) -> bytes:
    """The message as it was before the client compressed it, if it did (gzip or deflate).

    gRPC itself would inflate it before anybody can bound its size. No message of ours begins as these formats do: their first
    byte would be a field of a kind that does not exist, or field 15.

    Args:
        data: as it came.
        limit: most bytes afterwards.

    Raises:
        TooLargeError: more than that.
        InputError: it is damaged.
    """
    if data[:2] == b"\x1f\x8b":
        return unpack("gzip", data, limit)
    if len(data) > 2 and data[0] == _DEFLATE and (data[0] << 8 | data[1]) % 31 == 0:
        return unpack("deflate", data, limit)
    return data


def split_infer_request(data: bytes) -> tuple[bytes, list[memoryview]]:
    """A serialised `ModelInferRequest` without its raw tensors, and those, as views of `data`.

    Raises:
        InputError: the bytes are no message.
    """
    view = memoryview(data)
    rest: list[memoryview] = []
    tensors: list[memoryview] = []
    at = kept = 0
    while at < len(view):
        begun = at
        tag, at = _varint(view, at)
        at, inner = _skip(view, tag & 7, at)
        if tag >> 3 == _RAW_INPUT and tag & 7 == _LENGTH:
            rest.append(view[kept:begun])
            kept = at
            tensors.append(view[inner:at])
    rest.append(view[kept:])
    return b"".join(rest), tensors


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for count in range(_MAX_VARINT):
        if at + count >= len(view):
            break
        byte = view[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, at + count + 1
    raise InputError("the message is cut off, or not one of this protocol")


def _skip(view: memoryview, wire_type: int, at: int) -> tuple[int, int]:
    """Where the value ends, and where its content begins."""
    begin = at
    if wire_type == _VARINT:
        _, at = _varint(view, at)
    elif wire_type == _FIXED64:
        at += 8
    elif wire_type == _FIXED32:
        at += 4
    elif wire_type == _LENGTH:
        length, begin = _varint(view, at)
        at = begin + length
    else:
        raise InputError("the message is not one of this protocol")
    if at > len(view):
        raise InputError("the message is cut off, or not one of this protocol")
    return at, begin


def join_infer_response(head: Any, tensors: Iterable[bytes | memoryview]) -> bytes:
    """A serialised `ModelInferResponse` with raw tensors.

    Args:
        head: the message without them.
        tensors: the bytes of each, in the order of the outputs.
    """
    parts: list[bytes | memoryview] = [head.SerializeToString()]
    for tensor in tensors:
        parts += (_RAW_OUTPUT_TAG, _number(len(tensor)), tensor)
    return b"".join(parts)


def stream_response(response: bytes) -> bytes:
    """A `ModelStreamInferResponse` around a serialised `ModelInferResponse`."""
    return b"".join((_STREAM_RESPONSE_TAG, _number(len(response)), response))


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
