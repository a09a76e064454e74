"""What a model takes and gives: names, datatypes and shapes, and whether the tensors of a request are those."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aihub.engine.session import Port
from aihub.errors import InputError, NotSupportedError
from aihub.serve.oip.messages import BYTES, RequestedOutput, Tensor, datatype_of


@dataclass(frozen=True, slots=True)
class Slot:
    """One input or output; -1 in its shape is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def metadata(self) -> dict[str, Any]:
        """As the protocol's metadata says it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}

    def config(self, *, batched: bool) -> dict[str, Any]:
        """As Triton's configuration says it, which leaves the side of the batch out."""
        kind = "STRING" if self.datatype == BYTES else self.datatype
        dims = list(self.shape[1:] if batched else self.shape)
        return {"name": self.name, "data_type": f"TYPE_{kind}", "dims": dims}


@dataclass(frozen=True, slots=True)
class Face:
    """All that a model takes and gives.

    Attributes:
        inputs: every one is needed.
        outputs: in the order of answers.
        most: items in one request where the first side of everything counts items; 0 where it does not.
    """

    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    most: int = 0


def slot_of(port: Port) -> Slot:
    """A port of a graph.

    Raises:
        NotSupportedError: its elements are of a type that the protocol has no name for here.
    """
    try:
        datatype = datatype_of(port.dtype)
    except KeyError as error:
        raise NotSupportedError(f"{port.name!r} is of type {port.dtype}, which is not spoken here") from error
    return Slot(port.name, datatype, tuple(-1 if side is None else side for side in port.shape))


def check_inputs(slots: Sequence[Slot], tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """The tensors by name, if they are exactly what is taken.

    Raises:
        InputError: one is missing, unknown, or of another datatype or shape; names it.
    """
    given = {tensor.name: tensor for tensor in tensors}
    known = [slot.name for slot in slots]
    for name in given:
        if name not in known:
            raise InputError(f"there is no input {name!r}", field=name, hint=near(name, known, "inputs"))
    for slot in slots:
        if slot.name not in given:
            raise InputError(f"the input {slot.name!r} is missing", field=slot.name)
        _check(slot, given[slot.name])
    return given


def _check(slot: Slot, tensor: Tensor) -> None:
    if tensor.datatype != slot.datatype:
        raise InputError(
            f"the input {slot.name!r} is {slot.datatype}, but {tensor.datatype} came", field=slot.name
        )
    fits = len(tensor.shape) == len(slot.shape) and all(
        want in (-1, have) for want, have in zip(slot.shape, tensor.shape, strict=True)
    )
    if not fits:
        raise InputError(
            f"the input {slot.name!r} has the shape {list(slot.shape)}, but {list(tensor.shape)} came",
            field=slot.name,
            hint="-1 stands for any size" if -1 in slot.shape else None,
        )
    if not tensor.data.size:
        raise InputError(f"the input {slot.name!r} has no elements", field=slot.name)


def check_outputs(slots: Sequence[Slot], wanted: Sequence[RequestedOutput]) -> None:
    """Refuse outputs that there are not.

    Raises:
        InputError: names it.
    """
    known = [slot.name for slot in slots]
    for output in wanted:
        if output.name not in known:
            raise InputError(
                f"there is no output {output.name!r}",
                field=output.name,
                hint=near(output.name, known, "outputs"),
            )


def near(name: str, known: Sequence[str], what: str) -> str:
    """A hint: the name that was meant, else all there are."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"{what} are {', '.join(known)}"


def ordered(made: Mapping[str, Tensor], wanted: Sequence[RequestedOutput]) -> list[Tensor]:
    """The outputs that are wanted, in the order they were asked for; all where none was named.

    Raises:
        InputError: one is wanted that this run did not give; names it.
    """
    for output in wanted:
        if output.name not in made:
            raise InputError(f"this run gave no output {output.name!r}", field=output.name)
    return [made[output.name] for output in wanted] if wanted else list(made.values())
