"""What the protocol says, whatever carries it: HTTP and gRPC turn their bytes into these and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BYTES = "BYTES"

DATATYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "BOOL": np.dtype(np.bool_),
        "UINT8": np.dtype(np.uint8),
        "UINT16": np.dtype("<u2"),
        "UINT32": np.dtype("<u4"),
        "UINT64": np.dtype("<u8"),
        "INT8": np.dtype(np.int8),
        "INT16": np.dtype("<i2"),
        "INT32": np.dtype("<i4"),
        "INT64": np.dtype("<i8"),
        "FP16": np.dtype("<f2"),
        "FP32": np.dtype("<f4"),
        "FP64": np.dtype("<f8"),
        BYTES: np.dtype(np.object_),
    }
)
"""Datatype -> what its elements are; BYTES are Python `bytes` in an object array. BF16 is not spoken here."""

_NAMES = {kind: name for name, kind in DATATYPES.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A named array.

    Attributes:
        name: of the input or output.
        datatype: one of `DATATYPES`.
        shape: sizes, each at least 0; those of `data`.
        data: elements of that type; BYTES as `bytes` in an object array.
        parameters: what was said about this tensor alone.
        holes: whether NaN is for what was not said, so that JSON has null in its place.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Array
    parameters: Mapping[str, Any] = field(default_factory=dict)
    holes: bool = False


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that is asked for, and how: `binary_data`, `classification`."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InferRequest:
    """One inference.

    Attributes:
        model: name of a model or algorithm.
        version: as text; empty for the one there is.
        id: the caller's own mark, echoed.
        parameters: of the request; see `aihub.serve.oip.service`.
        inputs: tensors, each name once.
        outputs: what is wanted; none means all.
    """

    model: str
    version: str = ""
    id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[Tensor] = ()
    outputs: Sequence[RequestedOutput] = ()


@dataclass(frozen=True, slots=True)
class InferResponse:
    """The answer: outputs in the order they were asked for, else in the order of the metadata."""

    model: str
    version: str
    id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[Tensor] = field(default_factory=list)


def tensor(name: str, data: Array) -> Tensor:
    """A tensor of an array, without a copy.

    Raises:
        KeyError: the protocol has no name for elements of that type.
    """
    return Tensor(name, _NAMES[data.dtype.newbyteorder("=")], data.shape, data)


def datatype_of(kind: np.dtype[Any]) -> str:
    """What the protocol calls an element type.

    Raises:
        KeyError: it has no name for it.
    """
    return _NAMES[kind.newbyteorder("=")]


def bytes_tensor(name: str, items: Sequence[bytes]) -> Tensor:
    """A BYTES tensor of shape `[len(items)]`."""
    data = np.empty(len(items), np.object_)
    data[:] = items
    return Tensor(name, BYTES, data.shape, data)
