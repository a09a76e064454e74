"""Elements of one tensor: from raw bytes or JSON values to an array and back. Everything from outside is checked here."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from aihub.errors import InputError, TooLargeError
from aihub.serve.oip.messages import BYTES, DATATYPES, Array, Tensor

MAX_RANK = 8
MAX_SIDE = 2**31 - 1
MAX_ELEMENTS = 2**31 - 1
MAX_TEXTS = 65_536
"""Elements of a BYTES tensor: each is a Python object, and they are read one by one."""

_LENGTH = struct.Struct("<I")
_WHOLE = frozenset({int})
_NUMBERS = frozenset({int, float})


def checked_shape(name: str, shape: object) -> tuple[int, ...]:
    """A shape from outside.

    Raises:
        InputError: not a list of sizes, or more elements than any tensor may have; names the tensor.
    """
    if not isinstance(shape, list | tuple) or not all(type(side) is int for side in shape):
        raise InputError(f"the shape of {name!r} must be a list of whole numbers", field=f"{name}.shape")
    if len(shape) > MAX_RANK:
        raise InputError(
            f"the shape of {name!r} has {len(shape)} sides, at most {MAX_RANK} are read",
            field=f"{name}.shape",
        )
    for side in shape:
        if not 0 <= side <= MAX_SIDE:
            said = side if abs(side) < 10**20 else "a number of many digits"
            raise InputError(
                f"a side of the shape of {name!r} is {said}; sides are from 0 to {MAX_SIDE}",
                field=f"{name}.shape",
            )
    # Without the zeros too: an empty tensor with enormous other sides has no array.
    if math.prod(side for side in shape if side) > MAX_ELEMENTS:
        raise TooLargeError(
            f"the shape of {name!r} has more than {MAX_ELEMENTS} elements", field=f"{name}.shape"
        )
    return tuple(shape)


def checked_datatype(name: str, datatype: object) -> str:
    """A datatype from outside.

    Raises:
        InputError: not one that is read here; names the tensor.
    """
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        said = repr(datatype[:32]) if isinstance(datatype, str) else "not a text"
        raise InputError(
            f"the datatype of {name!r} is {said}, which is not read here",
            field=f"{name}.datatype",
            hint=f"one of {', '.join(DATATYPES)}",
        )
    return datatype


def from_raw(name: str, datatype: str, shape: tuple[int, ...], data: memoryview | bytes) -> Tensor:
    """A tensor from its raw bytes: little-endian, row-major; BYTES as length (4 bytes) and content of each.

    Args:
        name: of the tensor.
        datatype: checked, see `checked_datatype`.
        shape: checked, see `checked_shape`.
        data: exactly its bytes; the array is a view of them where it can be.

    Raises:
        InputError: more or fewer bytes than the shape needs; names the tensor.
    """
    count = math.prod(shape)
    if datatype == BYTES:
        return Tensor(name, datatype, shape, _texts(name, count, memoryview(data)).reshape(shape))
    kind = DATATYPES[datatype]
    if len(data) != count * kind.itemsize:
        raise InputError(
            f"{name!r} has {len(data)} bytes, but {datatype} {list(shape)} takes {count * kind.itemsize}",
            field=name,
        )
    flat: Array = np.frombuffer(data, kind)
    if not flat.flags.aligned:
        flat = flat.copy()  # runtimes read whole elements
    if datatype == "BOOL" and count and int(flat.view(np.uint8).max()) > 1:
        raise InputError(f"{name!r} is BOOL, but not all of its bytes are 0 or 1", field=name)
    return Tensor(name, datatype, shape, flat.reshape(shape))


def _texts(name: str, count: int, data: memoryview) -> Array:
    _few(name, count)
    texts = np.empty(count, np.object_)
    at, end = 0, len(data)
    for index in range(count):
        if end - at < _LENGTH.size:
            raise InputError(
                f"{name!r} has {index} elements, but its shape says {count}", field=name,
                hint="each element is its length as 4 bytes, little-endian, and its bytes",
            )  # fmt: skip
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length > end - at:
            raise InputError(
                f"element {index} of {name!r} says it has {length} bytes, but {end - at} are left", field=name
            )
        texts[index] = bytes(data[at : at + length])
        at += length
    if at != end:
        raise InputError(f"{name!r} has {end - at} bytes more than its {count} elements", field=name)
    return texts


def _few(name: str, count: int) -> None:
    if count > MAX_TEXTS:
        raise TooLargeError(f"{name!r} has {count} BYTES elements, at most {MAX_TEXTS} are read", field=name)


def to_raw(tensor: Tensor) -> memoryview | bytes:
    """The raw bytes of a tensor; a view of its array where that is contiguous."""
    if tensor.datatype == BYTES:
        items: list[bytes] = tensor.data.ravel().tolist()
        return b"".join(chain.from_iterable((_LENGTH.pack(len(item)), item) for item in items))
    data = np.ascontiguousarray(tensor.data, DATATYPES[tensor.datatype])
    return data.data.cast("B") if data.size else b""


def from_json(name: str, datatype: str, shape: tuple[int, ...], data: object) -> Tensor:
    """A tensor from JSON values, flat or nested as its shape is.

    Raises:
        InputError: not a list, of other values or another number of them than datatype and shape say; names the tensor.
    """
    count = math.prod(shape)
    if datatype == BYTES:
        _few(name, count)
    if not isinstance(data, list):
        raise InputError(f"`data` of {name!r} must be a list", field=f"{name}.data")
    flat = _flat(name, shape, data)
    if len(flat) != count:
        raise InputError(
            f"{name!r} has {len(flat)} elements, but the shape {list(shape)} has {count}",
            field=f"{name}.data",
        )
    array = _texts_from(name, flat) if datatype == BYTES else _numbers(name, datatype, flat)
    return Tensor(name, datatype, shape, array.reshape(shape))


def _flat(name: str, shape: tuple[int, ...], data: list[Any]) -> list[Any]:
    """Elements in row-major order. Each level is unrolled at once, so depth costs nothing."""
    if not data or not isinstance(data[0], list):
        return data
    level = [data]
    for side in shape:
        if any(not isinstance(row, list) or len(row) != side for row in level):
            raise InputError(
                f"`data` of {name!r} is not nested as its shape {list(shape)} is", field=f"{name}.data"
            )
        level = list(chain.from_iterable(level))
    return level


def _texts_from(name: str, flat: Sequence[object]) -> Array:
    texts = np.empty(len(flat), np.object_)
    for index, text in enumerate(flat):
        if not isinstance(text, str):
            raise InputError(f"element {index} of {name!r} is not a text", field=f"{name}.data")
        try:
            texts[index] = text.encode()
        except UnicodeEncodeError as error:  # half of a character, as JSON can escape it
            raise InputError(f"element {index} of {name!r} is not text", field=f"{name}.data") from error
    return texts


def _numbers(name: str, datatype: str, flat: list[Any]) -> Array:
    kind = DATATYPES[datatype]
    found = frozenset(map(type, flat))
    if datatype == "BOOL":
        good = found <= {bool} or (found <= _WHOLE and set(flat) <= {0, 1})
    else:
        good = found <= (_NUMBERS if kind.kind == "f" else _WHOLE)
    if not good:
        raise InputError(f"{name!r} is {datatype}, but its `data` holds something else", field=f"{name}.data")
    try:
        with np.errstate(over="ignore"):
            array: Array = np.array(flat, kind)
    except OverflowError as error:
        raise InputError(
            f"a number in `data` of {name!r} is out of the range of {datatype}", field=f"{name}.data"
        ) from error
    if kind.kind == "f" and not np.isfinite(array).all():
        raise InputError(
            f"a number in `data` of {name!r} is out of the range of {datatype}", field=f"{name}.data"
        )
    return array


def to_json(tensor: Tensor) -> list[Any]:
    """Elements as flat JSON values.

    Raises:
        InputError: it holds what JSON has no form for (bytes that are no text, numbers that are not finite); says to ask
            for it in binary form.
    """
    hint = 'ask for this output with {"parameters": {"binary_data": true}}'
    if tensor.datatype == BYTES:
        try:
            return [item.decode() for item in tensor.data.ravel().tolist()]
        except UnicodeDecodeError as error:
            raise InputError(
                f"output {tensor.name!r} holds bytes that are no text, which JSON cannot carry",
                field=tensor.name,
                hint=hint,
            ) from error
    finite = tensor.data.dtype.kind != "f" or bool(np.isfinite(tensor.data).all())
    if not finite and tensor.holes and not np.isinf(tensor.data).any():
        return [None if value != value else value for value in tensor.data.ravel().tolist()]
    if not finite:
        raise InputError(
            f"output {tensor.name!r} holds numbers that are not finite, which JSON cannot carry",
            field=tensor.name,
            hint=hint,
        )
    flat: list[Any] = tensor.data.ravel().tolist()
    return flat
