"""What dlib writes when it serialises a network: whole numbers packed, names, tensors. Read without dlib.

The layers of a network follow each other from the picture to the answer, each as its name, then what it learned, then its
settings. Form: `dlib/serialize.h`, `dlib/cuda/tensor.h` and `dlib/dnn/layers.h` of dlib 19.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

LEARNED = {b"con_4": 7, b"affine_": 0, b"fc_2": 2}
"""Layers that learned something, and how many of their settings are wanted (`fc_2` states them before its tensor, others behind)."""
_MARK = re.compile(b"|".join(re.escape(bytes([1, len(name)]) + name) for name in LEARNED))
_TENSOR = 2
"""Version of a serialised tensor."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that learned.

    Attributes:
        name: as dlib calls it: `con_4`, `affine_`, `fc_2`.
        weights: all that it learned, in one row.
        settings: of `con_4`: filters, rows, columns, steps down and right, margins down and right; of `fc_2`: outputs, inputs.
    """

    name: str
    weights: F32
    settings: tuple[int, ...]


class DlibFileError(ValueError):
    """Not a network as dlib writes it."""


def layers(data: bytes) -> Iterator[Layer]:
    """The layers of a serialised network that learned something, in the order in which a picture passes them.

    Raises:
        DlibFileError: the bytes end in a layer, or a tensor is not of the form that is known.
    """
    place = 0
    while (found := _next(data, place)) is not None:
        name, place = found
        before: tuple[int, ...] = ()
        if name == b"fc_2":
            before, place = _numbers(data, place, LEARNED[name])
        weights, place = _tensor(data, place)
        after, place = _numbers(data, place, 0 if before else LEARNED[name])
        yield Layer(name.decode(), weights, before or after)


def _next(data: bytes, place: int) -> tuple[bytes, int] | None:
    """The nearest name of a layer that learned, and where it ends. What lies between says nothing that is wanted."""
    found = _MARK.search(data, place)
    return None if found is None else (data[found.start() + 2 : found.end()], found.end())


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A packed whole number: a byte with sign and length, then that many bytes, least first."""
    if place >= len(data):
        raise DlibFileError("the file ends within a layer")
    length = data[place] & 0x0F
    if length > 8 or place + 1 + length > len(data):
        raise DlibFileError(f"no whole number at byte {place}")
    value = int.from_bytes(data[place + 1 : place + 1 + length], "little")
    return (-value if data[place] & 0x80 else value), place + 1 + length


def _numbers(data: bytes, place: int, count: int) -> tuple[tuple[int, ...], int]:
    values = []
    for _ in range(count):
        value, place = _number(data, place)
        values.append(value)
    return tuple(values), place


def _tensor(data: bytes, place: int) -> tuple[F32, int]:
    (version, *sides), place = _numbers(data, place, 5)
    if version != _TENSOR or min(sides) < 1:
        raise DlibFileError(f"a tensor of version {version} at byte {place}")
    count = int(np.prod(sides))
    if place + 4 * count > len(data):
        raise DlibFileError("the file ends within a tensor")
    return np.frombuffer(data, "<f4", count, place).astype(np.float32), place + 4 * count
