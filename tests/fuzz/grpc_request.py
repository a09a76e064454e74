"""A serialised `ModelInferRequest` as it comes over gRPC, packed or not."""

from __future__ import annotations

import zlib

import numpy as np

from aihub.serve.grpc.schema import message
from aihub.serve.grpc.tensors import MAX_TENSORS, read_infer_request
from aihub.serve.grpc.wire import inflate, split_infer_request
from aihub.serve.oip.messages import BYTES, InferRequest
from tests.fuzz.law import read_or_refused
from tests.fuzz.oip_body import well_formed

LONGEST = 4096
LIMIT = 64 * 1024
"""Most bytes of an inflated message here."""
WORDS = (
    b"\x2a\x04\x0a\x01x", b"\x3a\x04\0\0\0\0", b"\x12\x04FP32", b"\x12\x05BYTES", b"\x1a\x01\x01", b"\x32\x04\x0a\x02hi", b"\x1f\x8b",
    b"\x78\x9c", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x22\x08\x0a\x01p\x12\x03\x1a\x01v",
)  # fmt: skip


def check(data: bytes) -> bool:
    """A request whose tensors are what they say, each once, or a refusal."""
    # No field can be named where the message as a whole is none.
    asked = read_or_refused(lambda: _read(data), named=False)
    if asked is None:
        return False
    assert len(asked.inputs) <= MAX_TENSORS
    assert len({tensor.name for tensor in asked.inputs}) == len(asked.inputs)
    for tensor in asked.inputs:
        well_formed(tensor)
        assert tensor.datatype == BYTES or tensor.data.nbytes <= LIMIT
    return True


def _read(data: bytes) -> InferRequest:
    rest, raw = split_infer_request(inflate(data, LIMIT))
    return read_infer_request(rest, raw)


def seeds() -> list[bytes]:
    """Raw and typed tensors, parameters of each kind, a packed message."""
    kind = message("ModelInferRequest")
    raw = kind(model_name="m", id="q", raw_input_contents=[np.ones(2, np.float32).tobytes(), b"\x01\0\0\0a"])
    raw.inputs.add(name="x", datatype="FP32", shape=[2])
    raw.inputs.add(name="t", datatype=BYTES, shape=[1])
    raw.outputs.add(name="y").parameters["classification"].int64_param = 2
    made = [raw]
    for name, field, values in (
        ("INT8", "int_contents", [1, -1]),
        ("UINT64", "uint64_contents", [1, 2**64 - 1]),
        ("BOOL", "bool_contents", [True, False]),
        ("FP64", "fp64_contents", [0.5, 1e300]),
        (BYTES, "bytes_contents", [b"a", b""]),
    ):
        typed = kind(model_name="m")
        given = typed.inputs.add(name="x", datatype=name, shape=[1, 2])
        getattr(given.contents, field).extend(values)
        given.parameters["content_type"].string_param = "base64"
        typed.parameters["binary_data_output"].bool_param = True
        made.append(typed)
    plain = [one.SerializeToString() for one in made]
    return [*plain, zlib.compress(plain[0])]
