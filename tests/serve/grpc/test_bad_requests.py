"""Requests that are wrong: each gets a status and a sentence that names what is wrong, and the next one is answered."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from aihub import errors
from aihub.serve.grpc.refusals import refusal
from aihub.serve.grpc.schema import REQUESTS
from tests.serve.grpc.served import Served, call, refused

Code = grpc.StatusCode
Change = Callable[[Any], object]

RAW = np.arange(3, dtype=np.float32).tobytes()


def typed(**changes: Any) -> Any:
    """A good request with typed contents, and its one input changed."""
    request = REQUESTS["ModelInfer"](model_name="double", id="1")
    given = request.inputs.add(name="x", datatype="FP32", shape=[1, 3])
    given.contents.fp32_contents.extend([1, 2, 3])
    for name, value in changes.items():
        if name == "shape":
            del given.shape[:]
            given.shape.extend(value)
        else:
            setattr(given, name, value)
    return request


def contents(datatype: str, field: str, values: list[Any], shape: list[int]) -> Any:
    request = REQUESTS["ModelInfer"](model_name="double")
    given = request.inputs.add(name="x", datatype=datatype, shape=shape)
    getattr(given.contents, field).extend(values)
    return request


def raw(*tensors: bytes, datatype: str = "FP32", shape: tuple[int, ...] = (1, 3)) -> Any:
    request = REQUESTS["ModelInfer"](model_name="double")
    request.inputs.add(name="x", datatype=datatype, shape=shape)
    request.raw_input_contents.extend(tensors)
    return request


def changed(request: Any, change: Change) -> Any:
    change(request)
    return request


BAD = [
    (changed(typed(), lambda r: r.raw_input_contents.append(RAW)), "one of both", "contents and raw"),
    (changed(raw(RAW), lambda r: r.inputs.add(name="y")), "raw_input_contents", "one raw for two inputs"),
    (raw(RAW, RAW), "raw_input_contents", "two raw for one input"),
    (raw(RAW[:-1]), "11 bytes", "a raw tensor too short"),
    (raw(RAW + b"."), "13 bytes", "a raw tensor too long"),
    (raw(b""), "0 bytes", "an empty raw tensor"),
    (raw(RAW, shape=(-1, 3)), "-1", "a negative size"),
    (raw(RAW, shape=(2**62, 2**62, 2**62)), "shape", "a size beyond all numbers"),
    (raw(RAW, shape=(2**31 - 1, 2**31 - 1)), "shape", "more elements than memory"),
    (raw(b"", shape=(0, 2**31 - 1, 2**31 - 1)), "shape", "nothing, enormously"),
    (raw(RAW, shape=(1,) * 20 + (3,)), "shape", "too many sides"),
    (raw(RAW, datatype="FLOAT"), "datatype", "an unknown datatype"),
    (raw(RAW, datatype=""), "datatype", "no datatype"),
    (raw(RAW, datatype="BF16"), "datatype", "a datatype not spoken here"),
    (raw(RAW, datatype="INT32"), "x", "another datatype than the model has"),
    (typed(shape=[1, 4]), "3 elements", "fewer elements than the shape has"),
    (typed(shape=[2**40, 2**40]), "shape", "a huge shape over few elements"),
    (typed(datatype="FP16"), "FP16", "16 bits have no typed contents"),
    (typed(datatype="INT64"), "fp32_contents", "contents in the wrong list"),
    (contents("INT8", "int_contents", [128], [1]), "range of INT8", "a number beyond its type"),
    (contents("UINT16", "uint_contents", [2**16], [1]), "range of UINT16", "a number beyond its type"),
    (contents("FP32", "fp32_contents", [], [1, 3]), "0 elements", "neither contents nor raw"),
    (raw(struct.pack("<I", 9) + b"abc", datatype="BYTES", shape=(1,)), "9 bytes", "a text cut off"),
    (raw(b"\x01\x00", datatype="BYTES", shape=(1,)), "x", "a length cut off"),
    (raw(b"", datatype="BYTES", shape=(2**30,)), "BYTES", "more texts than are read"),
    (raw(struct.pack("<I", 1) + b"ab", datatype="BYTES", shape=(1,)), "more", "bytes after the last text"),
    (raw(b"\x02", datatype="BOOL", shape=(1,)), "BOOL", "neither true nor false"),
    (changed(typed(), lambda r: r.inputs.append(r.inputs[0])), "twice", "an input twice"),
    (changed(typed(), lambda r: [r.outputs.add(name="y") for _ in "12"]), "twice", "an output twice"),
    (changed(typed(), lambda r: r.outputs.add(name="z")), "z", "an output that is not there"),
    (changed(typed(), lambda r: r.outputs.add()), "no name", "an output without a name"),
    (changed(typed(), lambda r: setattr(r.inputs[0], "name", "w")), "w", "an input that is not there"),
    (REQUESTS["ModelInfer"](model_name="double"), "x", "no input at all"),
    (changed(typed(), lambda r: [r.inputs.add(name=str(i)) for i in range(99)]), "64", "too many inputs"),
    (changed(typed(), lambda r: r.parameters["p"].Clear()), "'p'", "a parameter without a value"),
    (changed(typed(), lambda r: [r.parameters[str(i)].Clear() for i in range(999)]), "256", "too many"),
    (changed(typed(), lambda r: setattr(r, "id", "x" * 300)), "id", "an id as long as a letter"),
    (changed(typed(), lambda r: setattr(r.parameters["timeout"], "int64_param", -1)), "timeout", "no time"),
    (changed(typed(), lambda r: setattr(r.parameters["timeout"], "string_param", "1")), "timeout", "a word"),
]


@pytest.mark.parametrize(("request_", "says"), [row[:2] for row in BAD], ids=[row[2] for row in BAD])
def test_what_is_wrong_is_named(shared: Served, request_: Any, says: str) -> None:
    error = refused(shared, "ModelInfer", request_)
    assert error.code() is Code.INVALID_ARGUMENT, error.details()
    assert says in error.details()
    assert call(shared, "ModelInfer", typed()).outputs[0].name == "y"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.NOT_FOUND),  # a request of nothing names no model
        (b"\xff" * 40, Code.INVALID_ARGUMENT),
        (b"\x0a\x7fabc", Code.INVALID_ARGUMENT),  # cut off
        (b"\x0a\x02\xff\xfe", Code.INVALID_ARGUMENT),  # a name that is no text
        (b"\x1f\x8bjunk", Code.INVALID_ARGUMENT),  # looks compressed
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Code.INVALID_ARGUMENT),  # 2**64 bytes
    ],
)
@pytest.mark.parametrize("method", ["ModelInfer", "ModelMetadata"])
def test_bytes_that_are_no_message(shared: Served, method: str, data: bytes, code: grpc.StatusCode) -> None:
    if method == "ModelMetadata" and data.startswith(b"\x3a"):
        pytest.skip("a field that this message has not")
    assert refused(shared, method, data=data).code() is code


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"])
@pytest.mark.parametrize(("name", "version"), [("nobody", ""), ("double", "2"), ("x" * 100_000, "")])
def test_a_name_nobody_knows(shared: Served, method: str, name: str, version: str) -> None:
    error = refused(shared, method, REQUESTS[method](name=name, version=version))
    assert error.code() is Code.NOT_FOUND
    assert len(error.details()) <= 1000


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.WeightsMissingError("no weights", hint="aihub models pull x"), Code.UNAVAILABLE),
        (errors.StorageError("the database is locked"), Code.UNAVAILABLE),
        (errors.MemoryBudgetError("no room"), Code.UNAVAILABLE),
        (errors.QueueFullError("full"), Code.RESOURCE_EXHAUSTED),
        (errors.RateLimitError("too often"), Code.RESOURCE_EXHAUSTED),
        (errors.DeadlineError("late"), Code.DEADLINE_EXCEEDED),
        (errors.UnauthorizedError("who?"), Code.UNAUTHENTICATED),
        (errors.ForbiddenError("no"), Code.PERMISSION_DENIED),
        (errors.LicenseError("not allowed"), Code.PERMISSION_DENIED),
        (errors.ModelNotFoundError("x"), Code.NOT_FOUND),
        (errors.AlgorithmNotFoundError("x"), Code.NOT_FOUND),
        (errors.InputError("wrong"), Code.INVALID_ARGUMENT),
        (errors.TooLargeError("large"), Code.INVALID_ARGUMENT),
        (errors.ParamsError("odd", field="p"), Code.INVALID_ARGUMENT),
        (errors.UnsupportedTypeError("odd"), Code.INVALID_ARGUMENT),
        (errors.ConflictError("in use"), Code.ABORTED),
        (errors.NotSupportedError("no"), Code.UNIMPLEMENTED),
        (errors.SessionError("the runtime failed"), Code.INTERNAL),
        (ValueError("a bug"), Code.INTERNAL),
    ],
)
def test_every_error_has_its_status(error: Exception, code: grpc.StatusCode) -> None:
    said = refusal(error, "ModelInfer")
    assert said.code is code
    assert all(len(value) < 4000 for _, value in said.trailing)
    waits = "retry-after" in dict(said.trailing)
    assert waits == (code in (Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE) and "weights" not in str(error))


def test_a_file_that_is_no_picture(shared: Served) -> None:
    request = REQUESTS["ModelInfer"](model_name="thing-detection")
    request.inputs.add(name="image", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"GIF?")
    assert refused(shared, "ModelInfer", request).code() is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        ("BOOL", "bool_contents", [True, False]),
        ("INT8", "int_contents", [-128, 127]),
        ("INT16", "int_contents", [-(2**15), 2**15 - 1]),
        ("INT32", "int_contents", [-(2**31), 2**31 - 1]),
        ("INT64", "int64_contents", [-(2**63), 2**63 - 1]),
        ("UINT8", "uint_contents", [0, 255]),
        ("UINT16", "uint_contents", [0, 2**16 - 1]),
        ("UINT32", "uint_contents", [0, 2**32 - 1]),
        ("UINT64", "uint64_contents", [0, 2**64 - 1]),
        ("FP32", "fp32_contents", [0.5, float("inf")]),
        ("FP64", "fp64_contents", [1e300, -1e-300]),
        ("BYTES", "bytes_contents", [b"", b"\x00\xff"]),
    ],
)
def test_typed_contents_are_read_as_they_are(datatype: str, field: str, values: list[Any]) -> None:
    from aihub.serve.grpc.tensors import read_infer_request

    tensor = read_infer_request(contents(datatype, field, values, [2, 1]).SerializeToString(), []).inputs[0]
    assert (tensor.datatype, tensor.shape, tensor.data.shape) == (datatype, (2, 1), (2, 1))
    assert tensor.data.ravel().tolist() == values


def test_raw_tensors_are_not_copied() -> None:
    from aihub.serve.grpc.tensors import read_infer_request
    from aihub.serve.grpc.wire import split_infer_request

    request = raw(bytes(640 * 640 * 3), datatype="UINT8", shape=(1, 640, 640, 3))
    # A tensor may begin at any byte of the message; those of one byte an element are views of it wherever they begin.
    tensor = read_infer_request(*split_infer_request(request.SerializeToString())).inputs[0]
    assert not tensor.data.flags.owndata
    assert tensor.data.base is not None
