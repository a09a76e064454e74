"""The body of an inference: what is said comes back, and whatever else comes is refused with the name of what is wrong."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aihub.errors import InputError, NotSupportedError, TooLargeError
from aihub.serve.oip.body import (
    MAX_JSON_BYTES,
    MAX_TENSORS,
    binary_outputs,
    decode_request,
    encode_response,
    header_length,
)
from aihub.serve.oip.elements import MAX_TEXTS, from_json, from_raw, to_json, to_raw
from aihub.serve.oip.messages import BYTES, DATATYPES, InferRequest, InferResponse, RequestedOutput, Tensor
from tests.serve.oip.bodies import encode_request

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(st.characters(codec="utf-8"), max_size=8)
)


@st.composite
def tensors(draw: st.DrawFn, *, finite: bool = False, text: bool = False) -> Tensor:
    datatype = draw(st.sampled_from(sorted(DATATYPES)))
    shape = draw(shapes)
    count = int(np.prod(shape))
    if datatype == BYTES:
        items: st.SearchStrategy[bytes] = (
            st.text(st.characters(codec="utf-8"), max_size=6).map(str.encode)
            if text
            else st.binary(max_size=6)
        )
        data = np.empty(count, np.object_)
        data[:] = draw(st.lists(items, min_size=count, max_size=count))
        return Tensor(draw(names), datatype, shape, data.reshape(shape))
    kind = DATATYPES[datatype]
    limits: dict[str, Any] = (
        {"allow_nan": False, "allow_infinity": False} if finite and kind.kind == "f" else {}
    )
    return Tensor(
        draw(names),
        datatype,
        shape,
        draw(arrays.arrays(kind, shape, elements=arrays.from_dtype(kind, **limits))),
    )


@st.composite
def requests(draw: st.DrawFn, /, **kind: bool) -> InferRequest:
    inputs = draw(st.lists(tensors(**kind), min_size=1, max_size=4, unique_by=lambda one: one.name))
    outputs = draw(st.lists(names, max_size=3, unique=True))
    parameters = draw(
        st.dictionaries(names.filter(lambda name: "shared_memory" not in name), plain, max_size=3)
    )
    return InferRequest(
        "m", "1", draw(names), parameters, inputs, [RequestedOutput(name) for name in outputs]
    )


def same(one: Tensor, other: Tensor) -> bool:
    return (
        (one.name, one.datatype, one.shape) == (other.name, other.datatype, other.shape)
        and one.data.shape == other.data.shape
        and to_raw(one) == to_raw(other)  # bit by bit: not-a-number is not equal to itself
    )


@given(requests())
def test_binary_requests_come_back_as_they_were(request: InferRequest) -> None:
    back = decode_request("m", "1", *encode_request(request))
    assert (back.id, back.parameters, back.outputs) == (request.id, request.parameters, request.outputs)
    assert all(map(same, back.inputs, request.inputs))


@given(requests(finite=True, text=True))
def test_json_requests_come_back_as_they_were(request: InferRequest) -> None:
    back = decode_request("m", "1", *encode_request(request, binary=False))
    assert back.id == request.id
    assert all(map(same, back.inputs, request.inputs))


@given(tensors(finite=True, text=True))
def test_nested_json_is_the_same_as_flat(tensor: Tensor) -> None:
    nested = np.empty(tensor.data.size, np.object_)
    nested[:] = to_json(tensor)
    if tensor.shape:
        back = from_json(tensor.name, tensor.datatype, tensor.shape, nested.reshape(tensor.shape).tolist())
        assert same(back, tensor)


@given(st.lists(tensors(), max_size=4, unique_by=lambda one: one.name))
def test_binary_answers_have_the_bytes_of_their_arrays(outputs: list[Tensor]) -> None:
    body, size = encode_response(InferResponse("m", "1", "q", outputs=outputs), True, {})
    head = json.loads(body[:size])
    at = size or len(body)
    for row, tensor in zip(head["outputs"], outputs, strict=True):
        length = row["parameters"]["binary_data_size"]
        assert same(
            from_raw(row["name"], row["datatype"], tuple(row["shape"]), body[at : at + length]), tensor
        )
        at += length
    assert at == len(body)
    assert (head["model_name"], head["model_version"], head["id"]) == ("m", "1", "q")


@settings(max_examples=300)
@given(requests(), st.data())
def test_a_damaged_body_is_refused_or_read_never_worse(request: InferRequest, data: st.DataObject) -> None:
    body, size = encode_request(request)
    at = data.draw(st.integers(0, len(body)))
    damaged = body[:at] + data.draw(st.binary(max_size=4)) + body[data.draw(st.integers(0, len(body))) :]
    said = data.draw(st.sampled_from([None, 0, size]) | st.integers(0, len(damaged)))
    with suppress(InputError, NotSupportedError):
        decode_request("m", "", damaged, None if said is None else min(said, len(damaged)))


@settings(max_examples=300)
@given(st.binary(max_size=300), st.integers(0, 300) | st.none())
def test_any_bytes_are_refused_or_read(body: bytes, size: int | None) -> None:
    with suppress(InputError, NotSupportedError):
        decode_request("m", "", body, None if size is None else min(size, len(body)))


def whole(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}], **changes}


def one(**changes: Any) -> dict[str, Any]:
    body = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]} | changes
    return {"inputs": [{key: value for key, value in body.items() if value is not None}]}


REFUSED: list[tuple[Any, str, str]] = [
    ([], "body", "an object"),
    ({}, "inputs", "at least one"),
    (whole(inputs={}), "inputs", "a list"),
    (whole(inputs=[7]), "inputs[0]", "an object"),
    (whole(inputs=[{"name": f"x{index}"} for index in range(MAX_TENSORS + 1)]), "inputs", "at most"),
    (whole(id=7), "id", "a text"),
    (whole(id="q" * 300), "id", "256"),
    (whole(id="\ud800"), "id", "a text"),  # half of a character
    (whole(parameters=[]), "parameters", "an object"),
    (whole(outputs=[{"name": ""}]), "outputs[0].name", "1 to 256"),
    (whole(outputs=[{"name": "y"}, {"name": "y"}]), "y", "twice"),
    (whole(inputs=[*whole()["inputs"], *whole()["inputs"]]), "x", "twice"),
    (one(name=None), "inputs[0].name", "a text"),
    (one(datatype="FP8"), "x.datatype", "FP8"),
    (one(datatype=None), "x.datatype", "not a text"),
    (one(datatype="BF16"), "x.datatype", "BF16"),
    (one(shape=None), "x.shape", "whole numbers"),
    (one(shape="2"), "x.shape", "whole numbers"),
    (one(shape=[2.0]), "x.shape", "whole numbers"),
    (one(shape=[True]), "x.shape", "whole numbers"),
    (one(shape=[-1]), "x.shape", "from 0"),
    (one(shape=[2**31]), "x.shape", "from 0"),
    (one(shape=[10**400]), "x.shape", "from 0"),
    (one(shape=[2**20, 2**20]), "x.shape", "elements"),
    (one(shape=[0, 2**20, 2**20]), "x.shape", "elements"),  # no elements, but no array of that shape either
    (one(shape=[1] * 9), "x.shape", "sides"),
    (one(shape=[3]), "x.data", "2 elements"),
    (one(data=[1]), "x.data", "1 elements"),
    (one(data=7), "x.data", "a list"),
    (one(data=None), "x", "neither"),
    (one(data=["1", "2"]), "x.data", "something else"),
    (one(data=[True, False]), "x.data", "something else"),
    (one(data=[1, None]), "x.data", "something else"),
    (one(data=[1, [2]]), "x.data", "something else"),
    (one(data=[[1, 2]]), "x.data", "nested"),
    (one(data=[[1], [2]]), "x.data", "something else"),
    (one(data=[1e39, 0]), "x.data", "range"),
    (one(data=[10**400, 0]), "x.data", "range"),
    (one(datatype="INT8", data=[128, 0]), "x.data", "range"),
    (one(datatype="UINT8", data=[-1, 0]), "x.data", "range"),
    (one(datatype="UINT64", data=[2**64, 0]), "x.data", "range"),
    (one(datatype="INT32", data=[1.5, 0]), "x.data", "something else"),
    (one(datatype="BOOL", data=[2, 0]), "x.data", "something else"),
    (one(datatype="FP16", data=[65520, 0]), "x.data", "range"),
    (one(datatype="BYTES", data=["a", 7]), "x.data", "element 1"),
    (one(datatype="BYTES", data=["a", "\ud800"]), "x.data", "element 1"),
    (one(datatype="BYTES", shape=[MAX_TEXTS + 1]), "x", "BYTES"),
    (one(parameters={"binary_data_size": 8}), "x", "both"),
    (one(data=None, parameters={"binary_data_size": 8}), "x", "left"),
    (one(data=None, parameters={"binary_data_size": -1}), "x", "left"),
    (one(data=None, parameters={"binary_data_size": True}), "x", "left"),
    (one(data=None, parameters={"binary_data_size": 2**70}), "x", "left"),
    (one(data=None, parameters={"binary_data_size": 0}), "x", "takes 8"),
    (one(data=None, parameters=7), "inputs[0].parameters", "an object"),
]


@pytest.mark.parametrize(("body", "field", "said"), REFUSED, ids=[f"{row[1]}-{row[2]}" for row in REFUSED])
def test_what_is_wrong_in_the_json_is_named(body: Any, field: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        decode_request("m", "", json.dumps(body).encode(), None)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff{}",
        b'{"inputs": NaN}',
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [Infinity]}]}',
        b"[" * 100_000,
        b'{"inputs":' + b'[{"a":' * 50_000,
        b'{"id": ' + b"9" * 10_000 + b"}",
    ],
    ids=["empty", "cut", "no-text", "nan", "infinity", "nested-lists", "nested-objects", "long-number"],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(InputError) as caught:
        decode_request("m", "", text, None)
    assert caught.value.field == "body"


def test_json_is_bounded_but_tensors_behind_it_are_not() -> None:
    with pytest.raises(TooLargeError, match="binary form"):
        decode_request("m", "", b" " * (MAX_JSON_BYTES + 1), None)
    data = np.zeros(MAX_JSON_BYTES + 1, np.uint8)
    body, size = encode_request(InferRequest("m", inputs=[Tensor("x", "UINT8", data.shape, data)]))
    assert decode_request("m", "", body, size).inputs[0].data.nbytes == data.nbytes


def raw(datatype: str, shape: list[int], data: bytes) -> tuple[bytes, int]:
    parameters = {"binary_data_size": len(data)}
    body = {"inputs": [{"name": "x", "datatype": datatype, "shape": shape, "parameters": parameters}]}
    head = json.dumps(body).encode()
    return head + data, len(head)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "said"),
    [
        ("FP32", [2], b"\0" * 7, "takes 8"),
        ("FP32", [2], b"\0" * 9, "takes 8"),
        ("BOOL", [2], b"\0\2", "0 or 1"),
        ("BYTES", [1], b"", "0 elements"),
        ("BYTES", [1], b"\1\0\0", "0 elements"),
        ("BYTES", [1], struct.pack("<I", 2) + b"a", "1 are left"),
        ("BYTES", [1], struct.pack("<I", 2**32 - 1), "0 are left"),
        ("BYTES", [1], struct.pack("<I", 1) + b"ab", "1 bytes more"),
        ("BYTES", [2], struct.pack("<I", 1) + b"a", "1 elements"),
        ("BYTES", [0], b"a", "1 bytes more"),
        ("BYTES", [2**31 - 1], b"", "at most"),
    ],
)
def test_what_is_wrong_in_raw_tensors_is_named(
    datatype: str, shape: list[int], data: bytes, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        decode_request("m", "", *raw(datatype, shape, data))
    assert caught.value.field == "x"


def test_bytes_that_belong_to_nothing_are_refused() -> None:
    body, size = raw("UINT8", [2], b"ab")
    with pytest.raises(InputError, match="1 bytes after the JSON"):
        decode_request("m", "", body + b"c", size)


def test_arrays_are_views_of_the_body_and_aligned() -> None:
    for pad in range(4):
        data = np.arange(3, dtype=np.float32)
        body, size = encode_request(InferRequest("m", id="q" * pad, inputs=[Tensor("x", "FP32", (3,), data)]))
        (back,) = decode_request("m", "", body, size).inputs
        assert back.data.flags.aligned
        assert back.data.tolist() == [0, 1, 2]
    pixels = np.zeros((4, 4, 3), np.uint8)
    body, size = encode_request(InferRequest("m", inputs=[Tensor("x", "UINT8", pixels.shape, pixels)]))
    (back,) = decode_request("m", "", body, size).inputs
    assert np.shares_memory(back.data, np.frombuffer(body, np.uint8))


def test_shared_memory_is_not_read() -> None:
    region = {"shared_memory_region": "r", "shared_memory_byte_size": 8}
    with pytest.raises(NotSupportedError, match="shared memory"):
        decode_request("m", "", json.dumps(one(data=None, parameters=region)).encode(), None)
    with pytest.raises(NotSupportedError, match="shared memory"):
        decode_request(
            "m", "", json.dumps(whole(outputs=[{"name": "y", "parameters": region}])).encode(), None
        )


@pytest.mark.parametrize("text", ["", "-1", "1.0", "0x1", "11", "1" * 13, "x", "+1", " 1", "١"])
def test_a_wrong_length_of_the_json_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="from 0 to the 10 bytes"):
        header_length(text, 10)


def test_the_length_of_the_json() -> None:
    assert [header_length(text, 10) for text in (None, "0", "10")] == [None, 0, 10]


def test_which_outputs_are_binary() -> None:
    outputs = [RequestedOutput("a", {"binary_data": False}), RequestedOutput("b")]
    request = InferRequest("m", parameters={"binary_data_output": True}, outputs=outputs)
    assert binary_outputs(request) == (True, {"a": False})
    with pytest.raises(InputError, match="true or false"):
        binary_outputs(InferRequest("m", parameters={"binary_data_output": 1}))
    with pytest.raises(InputError, match="true or false"):
        binary_outputs(InferRequest("m", outputs=[RequestedOutput("a", {"binary_data": "yes"})]))


@pytest.mark.parametrize(
    "data", [np.array([np.nan], np.float32), np.array([np.inf], np.float16), np.array([b"\xff"], np.object_)]
)
def test_what_json_cannot_carry_is_said_and_binary_can(data: np.ndarray[Any, Any]) -> None:
    datatype = {"f": {2: "FP16", 4: "FP32"}.get(data.dtype.itemsize, ""), "O": BYTES}[data.dtype.kind]
    answer = InferResponse("m", "1", "", outputs=[Tensor("y", datatype, (1,), data)])
    with pytest.raises(InputError, match="binary_data") as caught:
        encode_response(answer, False, {})
    assert caught.value.field == "y"
    assert encode_response(answer, False, {"y": True})[1]
