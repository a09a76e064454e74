"""The signs that a network for speech spells with: in the graph's metadata, else in a text file that was published beside it.

Such a file is a model of its own with the role `ROLE-tokens` and an address that ends in `.txt`: one sign a line, or a sign, a blank and
its number, as sherpa-onnx writes them.
"""

from __future__ import annotations

from collections.abc import Mapping

from aihub.errors import DecodeError, WeightsMissingError
from aihub.types import Predictor


def tokens_of(predictor: Predictor, model: str, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The signs in the order of the network's outputs.

    Args:
        predictor: knows the file.
        model: name or role of the network.
        metadata: what its graph carries.

    Raises:
        WeightsMissingError: the file is not here; says what brings it.
        DecodeError: there are no tokens, or they are not numbered from 0 on.
    """
    if written := metadata.get("tokens", ""):
        return tuple(written.split("\n"))
    apart = f"{model}-tokens"
    if predictor.missing([apart]):
        raise WeightsMissingError(
            f"the tokens of {model} are not here",
            hint=f"aihub models pull {apart}",
            field="language",
        )
    text = predictor.metadata(apart).get("text", "")
    if not text.strip():
        raise DecodeError(f"neither the graph of {model} nor {apart} holds its tokens")
    return read_tokens(text)


def read_tokens(text: str) -> tuple[str, ...]:
    """Signs of a file, one a line, numbered or in order.

    Raises:
        DecodeError: the numbers have gaps.

    >>> read_tokens("<blank> 0\\n你 2\\nhe@@ 1\\n")
    ('<blank>', 'he@@', '你')
    """
    lines = [line for line in text.split("\n") if line.strip()]
    parted = [line.rpartition(" ") for line in lines]
    if not all(number.strip().isdecimal() and blank for _, blank, number in parted):
        return tuple(lines)
    numbered = {int(number): sign for sign, _, number in parted}
    if len(numbered) != len(lines) or sorted(numbered) != list(range(len(lines))):
        raise DecodeError("the tokens are not numbered from 0 on without a gap")
    return tuple(numbered[at] for at in range(len(lines)))
