"""The classification extension: of an output, the highest values with their index and label instead of all numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aihub.errors import InputError, TooLargeError
from aihub.serve.oip.elements import MAX_TEXTS
from aihub.serve.oip.messages import BYTES, RequestedOutput, Tensor


def classes_wanted(output: RequestedOutput) -> int:
    """How many classes of this output are wanted; 0 for the output as it is.

    Raises:
        InputError: not a number; names the output.
    """
    value = output.parameters.get("classification", 0)
    if type(value) is not int or value < 0:
        raise InputError(
            f"classification of {output.name!r} must be a whole number of classes",
            field=f"{output.name}.classification",
        )
    return value


def classified(
    outputs: Sequence[Tensor], wanted: Sequence[RequestedOutput], labels: Sequence[str]
) -> list[Tensor]:
    """The same outputs, those that are wanted as classes in that form. Sorts whole outputs, so it may take a while.

    Raises:
        InputError: an output has no numbers to choose from; names it.
        TooLargeError: too many classes of too many rows.
    """
    counts = {output.name: classes_wanted(output) for output in wanted}
    return [_top(one, counts[one.name], labels) if counts.get(one.name) else one for one in outputs]


def _top(tensor: Tensor, count: int, labels: Sequence[str]) -> Tensor:
    if tensor.datatype in (BYTES, "BOOL") or not tensor.shape or not tensor.data.size:
        raise InputError(f"the output {tensor.name!r} has no numbers to classify by", field=tensor.name)
    rows = tensor.data.reshape(tensor.shape[0] if len(tensor.shape) > 1 else 1, -1)
    named: Sequence[Any] = labels if len(labels) == rows.shape[1] else ()
    count = min(count, rows.shape[1])
    if count * len(rows) > MAX_TEXTS:
        raise TooLargeError(
            f"{count} classes of each of the {len(rows)} rows of {tensor.name!r} are more than {MAX_TEXTS} texts",
            field=f"{tensor.name}.classification",
        )
    best = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :count]
    texts = np.empty(best.shape, np.object_)
    for row, columns in enumerate(best.tolist()):
        for rank, index in enumerate(columns):
            label = f":{named[index]}" if named else ""
            texts[row, rank] = f"{float(rows[row, index]):f}:{index}{label}".encode()
    data = texts if len(tensor.shape) > 1 else texts[0]
    return Tensor(tensor.name, BYTES, data.shape, data)
