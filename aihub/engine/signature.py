"""What a model takes and gives, read from its graph without loading it into a runtime."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from onnx import ValueInfoProto, helper, load_model_from_string

from aihub.engine.assembly import read
from aihub.engine.graph import prepare_graph
from aihub.engine.session import Port
from aihub.engine.store import ModelStore
from aihub.errors import ArtifactError
from aihub.types import ModelCard


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs of a prepared graph.

    Attributes:
        inputs: what it takes.
        outputs: what it gives.
        free_batch: whether the first side of all of them is free and counts items that have nothing to do with each other,
            so that the engine may run requests together.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    free_batch: bool


def read_signature(model: bytes, card: ModelCard) -> Signature:
    """The signature of a graph as `prepare_graph` makes it; takes as long as that.

    Raises:
        SessionError: not an ONNX graph.
        CardError: the card does not fit the graph.
    """
    graph = load_model_from_string(prepare_graph(model, card)).graph
    inputs, outputs = tuple(map(_port, graph.input)), tuple(map(_port, graph.output))
    free = all(port.shape and port.shape[0] is None for port in (*inputs, *outputs))
    return Signature(inputs, outputs, card.input is not None and free)


def _port(value: ValueInfoProto) -> Port:
    tensor = value.type.tensor_type
    sides = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return Port(value.name, helper.tensor_dtype_to_np_dtype(tensor.elem_type), sides)


class Signatures:
    """Signatures by the digest of the weights, each read once. Thread-safe.

    Args:
        store: where the weights are.
    """

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._known: dict[str, Signature] = {}
        self._turn = threading.Lock()

    def known(self, card: ModelCard) -> Signature | None:
        """What was read already; never waits."""
        try:
            return self._known.get(self._store.digest(card) or "")
        except ArtifactError:  # `of` says so
            return None

    def of(self, card: ModelCard) -> Signature:
        """The signature of a model. The first time reads its file, which takes from 0.01 to some seconds.

        Raises:
            WeightsMissingError, LicenseError, ArtifactError: the weights are not to be had.
            SessionError, CardError: they are not what the card says.
        """
        found = self.known(card)
        if found is None:
            path, digest = self._store.weights(card)
            with self._turn:  # one at a time: it is memory and time, and who comes second wants the same
                found = self._known.get(digest)
                if found is None:
                    found = self._known[digest] = read_signature(read(path), card)
        return found
