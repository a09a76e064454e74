"""The HTTP body of an inference: JSON, followed by raw tensors where the sender chose the binary form.

Pure functions of bytes: no decoder runs here, nothing is believed, and what is held is bounded by the size of the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from aihub.errors import InputError, NotSupportedError, TooLargeError
from aihub.serve.oip.elements import checked_datatype, checked_shape, from_json, from_raw, to_json, to_raw
from aihub.serve.oip.messages import BYTES, InferRequest, InferResponse, RequestedOutput, Tensor

MAX_JSON_BYTES = 8 * 1024 * 1024
"""Most bytes of JSON: its lists take thirty times as much memory as they have bytes. Binary tensors have no such limit."""
MAX_TENSORS = 64
MAX_NAME = 256

RAW = "raw_input"
"""Name of the one input of a body without JSON, until somebody knows what the model calls it."""

_DIGITS = re.compile(r"[0-9]{1,12}")


def header_length(text: str | None, body_bytes: int) -> int | None:
    """What `Inference-Header-Content-Length` says: bytes of JSON at the beginning, 0 for none, None for all.

    Raises:
        InputError: not a number, or more than the body has.
    """
    if text is None:
        return None
    if not _DIGITS.fullmatch(text) or int(text) > body_bytes:
        raise InputError(
            f"Inference-Header-Content-Length must be a number from 0 to the {body_bytes} bytes of the body",
            field="Inference-Header-Content-Length",
        )
    return int(text)


def decode_request(model: str, version: str, body: bytes, json_bytes: int | None) -> InferRequest:
    """A request from its body.

    Args:
        model: named by the path.
        version: named by the path, else empty.
        body: all of it, decompressed.
        json_bytes: see `header_length`.

    Raises:
        InputError: not what the protocol says; names the input, output or field.
        NotSupportedError: tensors in shared memory.
    """
    if json_bytes == 0:
        whole = np.empty(1, np.object_)
        whole[0] = body
        return InferRequest(
            model, version, parameters={"binary_data_output": True}, inputs=[Tensor(RAW, BYTES, (1,), whole)]
        )
    split = len(body) if json_bytes is None else json_bytes
    head = _object(_read(body[:split]), "body")
    rest = memoryview(body)[split:]
    inputs = _list(head, "inputs")
    if not inputs:
        raise InputError("`inputs` must be a list of at least one tensor", field="inputs")
    tensors: list[Tensor] = []
    at = 0
    for index, item in enumerate(inputs):
        made, used = _tensor(_object(item, f"inputs[{index}]"), index, rest[at:])
        at += used
        tensors.append(made)
    if at != len(rest):
        raise InputError(f"{len(rest) - at} bytes after the JSON belong to no input", field="inputs")
    _each_once(tensors, "inputs")
    outputs = [
        _output(_object(item, f"outputs[{index}]"), index)
        for index, item in enumerate(_list(head, "outputs"))
    ]
    _each_once(outputs, "outputs")
    return InferRequest(model, version, _id(head), _parameters(head, "parameters"), tensors, outputs)


def _read(text: bytes) -> object:
    if len(text) > MAX_JSON_BYTES:
        raise TooLargeError(
            f"the JSON part of the body may have {MAX_JSON_BYTES:,} bytes at most",
            field="body",
            hint="send tensors in binary form",
        )
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise InputError("the JSON is nested too deeply", field="body") from error
    except ValueError as error:
        raise InputError("the body does not begin with JSON", field="body") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} must be an object", field=where)
    return value


def _list(head: Mapping[str, Any], name: str) -> list[Any]:
    value = head.get(name, [])
    if not isinstance(value, list):
        raise InputError(f"`{name}` must be a list", field=name)
    if len(value) > MAX_TENSORS:
        raise TooLargeError(f"`{name}` has {len(value)} items, at most {MAX_TENSORS} are read", field=name)
    return value


def _id(head: Mapping[str, Any]) -> str:
    value = head.get("id", "")
    if not isinstance(value, str) or len(value) > MAX_NAME or not _is_text(value):
        raise InputError(f"`id` must be a text of at most {MAX_NAME} characters", field="id")
    return value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a character, as JSON can escape it
        return False
    return True


def _name(item: Mapping[str, Any], where: str) -> str:
    value = item.get("name")
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME or not _is_text(value):
        raise InputError(f"{where}.name must be a text of 1 to {MAX_NAME} characters", field=f"{where}.name")
    return value


def _parameters(item: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    value = item.get("parameters", {})
    if not isinstance(value, dict) or not all(map(_is_text, value)):
        raise InputError(f"{where} must be an object", field=where)
    if "shared_memory_region" in value:
        raise NotSupportedError(
            "tensors in shared memory are not read here", field=where, hint="send them in binary form"
        )
    return value


def _each_once(named: Iterable[Tensor | RequestedOutput], where: str) -> None:
    seen: set[str] = set()
    for item in named:
        if item.name in seen:
            raise InputError(f"`{where}` names {item.name!r} twice", field=item.name)
        seen.add(item.name)


def _tensor(item: dict[str, Any], index: int, rest: memoryview) -> tuple[Tensor, int]:
    """The input and how many bytes of the rest it took."""
    name = _name(item, f"inputs[{index}]")
    parameters = _parameters(item, f"inputs[{index}].parameters")
    datatype = checked_datatype(name, item.get("datatype"))
    shape = checked_shape(name, item.get("shape"))
    size = parameters.get("binary_data_size")
    if size is None:
        if "data" not in item:
            raise InputError(f"{name!r} has neither `data` nor the parameter binary_data_size", field=name)
        made, size = from_json(name, datatype, shape, item["data"]), 0
    else:
        if "data" in item:
            raise InputError(f"{name!r} has both `data` and the parameter binary_data_size", field=name)
        if type(size) is not int or not 0 <= size <= len(rest):
            raise InputError(
                f"binary_data_size of {name!r} must be a number from 0 to the {len(rest)} bytes that are left",
                field=name,
            )
        made = from_raw(name, datatype, shape, rest[:size])
    return Tensor(name, datatype, shape, made.data, parameters), size


def _output(item: dict[str, Any], index: int) -> RequestedOutput:
    where = f"outputs[{index}]"
    return RequestedOutput(_name(item, where), _parameters(item, f"{where}.parameters"))


def binary_outputs(request: InferRequest) -> tuple[bool, Mapping[str, bool]]:
    """Which outputs are wanted in binary form: what holds for all, and what was said of some.

    Raises:
        InputError: neither true nor false; names the output.
    """
    every = _flag(request.parameters, "binary_data_output", "parameters")
    said = {
        output.name: _flag(output.parameters, "binary_data", output.name)
        for output in request.outputs
        if "binary_data" in output.parameters
    }
    return every, said


def _flag(parameters: Mapping[str, Any], key: str, where: str) -> bool:
    value = parameters.get(key, False)
    if not isinstance(value, bool):
        raise InputError(f"{key} must be true or false", field=f"{where}.{key}")
    return value


def encode_response(
    response: InferResponse, every: bool, said: Mapping[str, bool]
) -> tuple[bytes, int | None]:
    """An answer as its body.

    Args:
        response: what to say.
        every: whether outputs are binary where `said` does not know better.
        said: by output.

    Returns:
        The body and the bytes of its JSON part, None when that is all of it. Arrays are copied once, into the body.

    Raises:
        InputError: an output cannot be said in JSON; names it.
    """
    outputs: list[dict[str, Any]] = []
    chunks: list[memoryview | bytes] = []
    binary = False
    for tensor in response.outputs:
        body: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if said.get(tensor.name, every):
            binary = True
            chunk = to_raw(tensor)
            chunks.append(chunk)
            body["parameters"] = {**tensor.parameters, "binary_data_size": len(chunk)}
        else:
            if tensor.parameters:
                body["parameters"] = dict(tensor.parameters)
            body["data"] = to_json(tensor)
        outputs.append(body)
    head = _dumped(response, outputs)
    return (b"".join([head, *chunks]), len(head)) if binary else (head, None)


def _dumped(response: InferResponse, outputs: Sequence[dict[str, Any]]) -> bytes:
    whole: dict[str, Any] = {"model_name": response.model, "model_version": response.version}
    if response.id:
        whole["id"] = response.id
    if response.parameters:
        whole["parameters"] = dict(response.parameters)
    whole["outputs"] = outputs
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def encode_request(request: InferRequest, *, binary: bool = True) -> tuple[bytes, int | None]:
    """The way back from `decode_request`: the body and the bytes of its JSON part, None when that is all of it."""
    inputs: list[dict[str, Any]] = []
    chunks: list[memoryview | bytes] = []
    for tensor in request.inputs:
        body: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        parameters = dict(tensor.parameters)
        if binary:
            chunks.append(to_raw(tensor))
            parameters["binary_data_size"] = len(chunks[-1])
        else:
            body["data"] = to_json(tensor)
        inputs.append({**body, "parameters": parameters} if parameters else body)
    whole = {
        "id": request.id,
        "parameters": dict(request.parameters),
        "inputs": inputs,
        "outputs": [
            {"name": output.name, "parameters": dict(output.parameters)} for output in request.outputs
        ],
    }
    head = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
    return (b"".join([head, *chunks]), len(head)) if chunks else (head, None)
