"""Body of an OIP inference over HTTP. Input: the header with the bytes of JSON, a line feed, the body; `gzip:` before the header packs it."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np

from aihub.serve.oip.body import MAX_TENSORS, binary_outputs, decode_request, encode_request, header_length
from aihub.serve.oip.compression import unpack
from aihub.serve.oip.messages import BYTES, DATATYPES, InferRequest, Tensor
from tests.fuzz.law import read_or_refused

LONGEST = 4096
LIMIT = 64 * 1024
"""Most bytes of an unpacked body here."""
WORDS = (
    b'"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]',
    b'"binary_data_size":4', b'"parameters":{', b'"outputs":[{"name":"y"}]', b'"shape":[0,2147483647]', b'"data":[[1],[2]]',
    b'"binary_data_output":true', b'"shared_memory_region":"a"', b'"classification":1', b"1e999", b"\\ud800", b"gzip:", b"deflate:",
    *(f'"{name}"'.encode() for name in DATATYPES),
)  # fmt: skip


def check(data: bytes) -> bool:
    """A request whose tensors are what they say, each once, or a refusal that names the field."""
    asked = read_or_refused(lambda: _read(data), named=True)
    if asked is None:
        return False
    assert 1 <= len(asked.inputs) <= MAX_TENSORS
    assert len(asked.outputs) <= MAX_TENSORS
    assert len({tensor.name for tensor in asked.inputs}) == len(asked.inputs)
    for tensor in asked.inputs:
        well_formed(tensor)
    plain = InferRequest("m", inputs=[Tensor(t.name, t.datatype, t.shape, t.data) for t in asked.inputs])
    again = decode_request("m", "", *encode_request(plain))
    for one, other in zip(asked.inputs, again.inputs, strict=True):
        assert (one.name, one.datatype, one.shape) == (other.name, other.datatype, other.shape)
        assert np.array_equal(one.data, other.data, equal_nan=one.data.dtype.kind == "f")
    read_or_refused(lambda: binary_outputs(asked), named=True)
    return True


def well_formed(tensor: Tensor) -> None:
    """Whether the array is of the shape and type that the tensor says."""
    assert tensor.data.shape == tensor.shape
    assert tensor.data.dtype == DATATYPES[tensor.datatype]
    assert tensor.data.size == math.prod(tensor.shape)
    if tensor.datatype == BYTES:
        assert all(type(text) is bytes for text in tensor.data.ravel())


def _read(data: bytes) -> InferRequest:
    head, _, body = data.partition(b"\n")
    coding, colon, said = head.decode("latin-1").rpartition(":")
    if colon and coding in ("gzip", "deflate"):
        body = unpack(coding, body, LIMIT)
    return decode_request("m", "", body, header_length(said or None, len(body)))


def seeds() -> list[bytes]:
    """Every datatype in both forms, a bare body, a packed one."""
    made = [b"0\nany bytes at all"]
    for name, kind in DATATYPES.items():
        flat: list[object]
        if name == BYTES:
            array, flat = np.empty(2, np.object_), ["a", "bc"]
            array[:] = [b"a", b"bc"]
        else:
            array, flat = np.ones((1, 2), kind), [True, True] if name == "BOOL" else [1, 1]
        asked = InferRequest("m", id="q", inputs=[Tensor("x", name, array.shape, array)])
        body, size = encode_request(asked)
        made.append(f"{size}\n".encode() + body)
        item = {"name": "x", "datatype": name, "shape": list(array.shape), "data": flat}
        made.append(b"\n" + json.dumps({"inputs": [item], "outputs": [{"name": "y"}]}).encode())
    made.append(b"gzip:\n" + gzip.compress(made[-1][1:], mtime=0))
    return made
