"""Requests as clients put them together: the way back from `aihub.serve.oip.body.decode_request`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from aihub.serve.oip.elements import to_json, to_raw
from aihub.serve.oip.messages import Array, InferRequest, Tensor, bytes_tensor, tensor


def encode_request(request: InferRequest, *, binary: bool = True) -> tuple[bytes, int | None]:
    """The body and the bytes of its JSON part, None when that is all of it."""
    inputs: list[dict[str, Any]] = []
    chunks: list[memoryview | bytes] = []
    for one in request.inputs:
        body: dict[str, Any] = {"name": one.name, "datatype": one.datatype, "shape": list(one.shape)}
        parameters = dict(one.parameters)
        if binary:
            chunks.append(to_raw(one))
            parameters["binary_data_size"] = len(chunks[-1])
        else:
            body["data"] = to_json(one)
        inputs.append({**body, "parameters": parameters} if parameters else body)
    whole = {
        "id": request.id,
        "parameters": dict(request.parameters),
        "inputs": inputs,
        "outputs": [{"name": one.name, "parameters": dict(one.parameters)} for one in request.outputs],
    }
    head = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
    return (b"".join([head, *chunks]), len(head)) if chunks else (head, None)


def asking(*inputs: Tensor, binary: bool = True, **rest: Any) -> dict[str, Any]:
    """Content and headers of a request, for an HTTP client."""
    body, size = encode_request(InferRequest("any", inputs=inputs, **rest), binary=binary)
    headers = {} if size is None else {"Inference-Header-Content-Length": str(size)}
    return {"content": body, "headers": headers}


def numbers(name: str, values: Array) -> Tensor:
    """An array as an input."""
    return tensor(name, np.ascontiguousarray(values))


def files(name: str, *items: bytes) -> Tensor:
    """Files as an input."""
    return bytes_tensor(name, items)
