"""Requests and answers of the protocol between their wire form and `aihub.serve.oip.messages`, without copying raw tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aihub.errors import InputError, NotSupportedError, TooLargeError
from aihub.serve.grpc.schema import message
from aihub.serve.grpc.wire import join_infer_response, parse
from aihub.serve.oip.elements import MAX_TEXTS, checked_datatype, checked_shape, from_raw, to_raw
from aihub.serve.oip.messages import (
    BYTES,
    DATATYPES,
    Array,
    InferRequest,
    InferResponse,
    RequestedOutput,
    Tensor,
)

MAX_TENSORS = 64
"""Most inputs, and most outputs, of one request."""
MAX_PARAMETERS = 256
MAX_NAME = 256
"""Characters."""

FINAL = "triton_final_response"
"""Parameter of answers: no more will follow to this request."""

_RequestMessage = message("ModelInferRequest")
_ResponseMessage = message("ModelInferResponse")

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Datatype -> the list that carries its elements; 16-bit floats have none."""


def read_infer_request(rest: bytes, raw: Sequence[memoryview]) -> InferRequest:
    """Read a request.

    Args:
        rest: a serialised `ModelInferRequest` without its raw tensors.
        raw: those.

    Raises:
        InputError: it is not one, or says something that cannot be; names the input.
        TooLargeError: too many inputs, outputs, parameters, elements or letters.
        NotSupportedError: tensors in shared memory.
    """
    asked = parse(_RequestMessage, rest)
    if max(len(asked.inputs), len(raw), len(asked.outputs)) > MAX_TENSORS:
        raise TooLargeError(f"at most {MAX_TENSORS} inputs and outputs are read", field="inputs")
    _short("id", asked.id)
    _each_once("inputs", asked.inputs)
    _each_once("outputs", asked.outputs)
    said = [parameters(given) for given in asked.inputs]
    if raw and len(raw) != len(asked.inputs):
        raise InputError(
            f"{len(raw)} raw_input_contents for {len(asked.inputs)} inputs: there must be one for each",
            field="raw_input_contents",
        )
    inputs = []
    for index, (given, its) in enumerate(zip(asked.inputs, said, strict=True)):
        made = _raw(given, raw[index]) if raw else _typed(given)
        inputs.append(Tensor(made.name, made.datatype, made.shape, made.data, its))
    outputs = [RequestedOutput(wanted.name, parameters(wanted)) for wanted in asked.outputs]
    return InferRequest(asked.model_name, asked.model_version, asked.id, parameters(asked), inputs, outputs)


def _short(what: str, text: str) -> None:
    if len(text) > MAX_NAME:
        raise TooLargeError(f"`{what}` may have {MAX_NAME} characters at most", field=what)


def _each_once(where: str, named: Iterable[Any]) -> None:
    seen: set[str] = set()
    for item in named:
        _short(f"{where}.name", item.name)
        if not item.name:
            raise InputError(f"one of `{where}` has no name", field=where)
        if item.name in seen:
            raise InputError(f"`{where}` names {item.name!r} twice", field=item.name)
        seen.add(item.name)


def parameters(owner: Any) -> dict[str, Any]:
    """The parameters of a request, input or output as plain values.

    Raises:
        InputError: one has no value; names it.
        TooLargeError: too many.
        NotSupportedError: they point to shared memory.
    """
    if len(owner.parameters) > MAX_PARAMETERS:
        raise TooLargeError(f"at most {MAX_PARAMETERS} parameters are read", field="parameters")
    found = {}
    for name, value in owner.parameters.items():
        choice = value.WhichOneof("parameter_choice")
        if choice is None:
            raise InputError(f"the parameter {name[:MAX_NAME]!r} has no value", field=name[:MAX_NAME])
        found[name] = getattr(value, choice)
    if "shared_memory_region" in found:
        raise NotSupportedError("tensors in shared memory are not read here", hint="send them in the request")
    return found


def _raw(given: Any, data: memoryview) -> Tensor:
    if given.HasField("contents"):
        raise InputError(
            f"{given.name!r} has contents beside raw_input_contents: a request has one of both",
            field=given.name,
        )
    datatype = checked_datatype(given.name, given.datatype)
    return from_raw(given.name, datatype, checked_shape(given.name, tuple(given.shape)), data)


def _typed(given: Any) -> Tensor:
    name = given.name
    datatype = checked_datatype(name, given.datatype)
    shape = checked_shape(name, tuple(given.shape))
    wanted = _CONTENTS.get(datatype)
    if wanted is None:
        raise InputError(f"{name!r}: {datatype} has no typed contents", hint="send it raw", field=name)
    for field, _ in given.contents.ListFields():
        if field.name != wanted:
            raise InputError(f"{name!r} has {field.name}, but {datatype} travels in {wanted}", field=name)
    elements = getattr(given.contents, wanted)
    count = math.prod(shape)
    if len(elements) != count:
        raise InputError(
            f"{name!r} has {len(elements)} elements, but the shape {list(shape)} has {count}",
            hint="elements go into contents or into raw_input_contents",
            field=name,
        )
    array = _texts(name, elements) if datatype == BYTES else _numbers(name, datatype, elements)
    return Tensor(name, datatype, shape, array.reshape(shape))


def _texts(name: str, elements: Sequence[bytes]) -> Array:
    if len(elements) > MAX_TEXTS:
        raise TooLargeError(
            f"{name!r} has {len(elements)} BYTES elements, at most {MAX_TEXTS} are read", field=name
        )
    texts = np.empty(len(elements), np.object_)
    texts[:] = list(elements)
    return texts


def _numbers(name: str, datatype: str, elements: Sequence[Any]) -> Array:
    kind = DATATYPES[datatype]
    if kind.kind not in "iu" or kind.itemsize >= 4 or not len(elements):
        return np.fromiter(elements, kind, len(elements))
    info = np.iinfo(kind)
    wide = np.fromiter(elements, np.int64, len(elements))
    if wide.min() < info.min or wide.max() > info.max:
        raise InputError(f"a number in {name!r} is out of the range of {datatype}", field=name)
    return wide.astype(kind)


def write_infer_response(answer: InferResponse, *, final: bool = False) -> bytes:
    """A serialised `ModelInferResponse`, its tensors raw: each is copied once, into the message.

    Args:
        answer: what to say.
        final: whether to mark it as the last answer to its request.
    """
    head = _ResponseMessage(model_name=answer.model, model_version=answer.version, id=answer.id)
    _put(head, answer.parameters)
    if final:
        head.parameters[FINAL].bool_param = True
    for tensor in answer.outputs:
        output = head.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        _put(output, tensor.parameters)
    return join_infer_response(head, [to_raw(tensor) for tensor in answer.outputs])


_FIELDS: Mapping[type, str] = {
    bool: "bool_param",
    int: "int64_param",
    float: "double_param",
    str: "string_param",
}


def _put(owner: Any, given: Mapping[str, Any]) -> None:
    """Values of types that the protocol has not go as their text."""
    for name, value in given.items():
        field = _FIELDS.get(type(value))
        setattr(owner.parameters[name], field or "string_param", value if field else str(value))
