"""Models as they are: the tensors of the prepared graph in, those that it gives out, through the engine's queues."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import numpy as np

from aihub.engine.engine import Engine
from aihub.engine.signature import Signature, Signatures
from aihub.errors import InputError, ModelError, TooLargeError
from aihub.serve.oip.body import RAW
from aihub.serve.oip.elements import from_raw
from aihub.serve.oip.messages import BYTES, DATATYPES, Array, Tensor, bytes_tensor
from aihub.serve.oip.requests import answered
from aihub.serve.oip.served import Ask, Ground, Served
from aihub.serve.oip.slots import Face, Slot, check_inputs, check_outputs, slot_of
from aihub.types import Bill, ModelCard

READ_S = 60.0
"""Longest that reading a graph for the first time may take."""


class RawModel(Served):
    """One model card.

    Pictures of one request are run as so many requests at once: the engine puts them, and those of others, into batches of
    the size that was measured to be best here.
    """

    platform = "onnxruntime_onnx"
    backend = "onnxruntime"

    def __init__(self, card: ModelCard, engine: Engine, signatures: Signatures, ground: Ground) -> None:
        super().__init__(card.name, card.version, ground)
        self.card, self._engine, self._signatures = card, engine, signatures
        self._face: tuple[Signature, Face] | None = None

    def missing(self) -> str:
        """Why its weights cannot be used."""
        store = self._engine.store
        if store.available(self.card):
            return ""
        if not store.allowed(self.card):
            return f"the licence of its weights, {self.card.artifact.license}, is not allowed here"
        if self.card.artifact.sha256 is None:
            return f"its weights are not here, and no digest is known before a first pull: run `aihub models pull {self.name}`"
        return f"its weights are not here: run `aihub models pull {self.name}`, or set AIHUB_MODEL_MIRROR"

    def labels(self) -> tuple[str, ...]:
        """Those of the card."""
        return self.card.labels

    def models(self) -> tuple[str, ...]:
        """Itself."""
        return (self.name,)

    async def face(self) -> Face:
        """Read from the graph, in a worker thread the first time."""
        found = self._signatures.known(self.card)
        if found is None:
            found = await self.ground.workers.run(partial(self._signatures.of, self.card), READ_S)
        if self._face is None or self._face[0] is not found:
            most = self.ground.services.settings.max_images if found.free_batch else 0
            inputs, outputs = tuple(map(slot_of, found.inputs)), tuple(map(slot_of, found.outputs))
            self._face = (found, Face(inputs, outputs, most))
        return self._face[1]

    @asynccontextmanager
    async def run(self, ask: Ask) -> AsyncIterator[dict[str, Tensor]]:
        """Through the engine, without a thread of our own."""
        until = time.monotonic() + ask.timeout_s
        face = await self.face()
        check_outputs(face.outputs, ask.request.outputs)
        given = check_inputs(face.inputs, [_whole(face, tensor) for tensor in ask.request.inputs])
        items = self._items(face, given)
        feeds = {name: _fed(tensor) for name, tensor in given.items()}
        with self.ground.admission.enter(ask.caller, [self.name], frames=items) as bill:
            parts = [feeds] if items == 1 else [_one(feeds, index) for index in range(items)]
            outputs = await self._together(ask, parts, until, bill)
            yield {slot.name: _tensor(slot, [part[slot.name] for part in outputs]) for slot in face.outputs}

    async def _together(
        self, ask: Ask, parts: list[dict[str, Array]], until: float, bill: Bill
    ) -> list[dict[str, Array]]:
        futures = [
            self._engine.run(self.name, feeds, source=ask.source, deadline=until, bill=bill)
            for feeds in parts
        ]
        try:
            return [
                await answered(future, max(0.0, until - time.monotonic()), ask.gone) for future in futures
            ]
        finally:
            for future in futures:
                future.cancel()

    def _items(self, face: Face, given: dict[str, Tensor]) -> int:
        """How many items are in the request; 1 where its first side does not count them."""
        if not face.most:
            return 1
        sizes = {name: tensor.shape[0] for name, tensor in given.items()}
        items = max(sizes.values())
        for name, size in sizes.items():
            if size != items:
                raise InputError(
                    f"the first side of {name!r} is {size}, that of another input {items}", field=name
                )
        if items > face.most:
            name = next(iter(sizes))
            raise TooLargeError(f"{name!r} has {items} items, at most {face.most} are allowed", field=name)
        return items


def _one(feeds: dict[str, Array], index: int) -> dict[str, Array]:
    return {name: data[index : index + 1] for name, data in feeds.items()}


def _fed(tensor: Tensor) -> Array:
    """The array as runtimes take it: they know texts, not bytes."""
    if tensor.datatype != BYTES:
        return tensor.data
    texts = np.empty(tensor.data.size, np.object_)
    for index, item in enumerate(tensor.data.ravel().tolist()):
        try:
            texts[index] = item.decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"element {index} of {tensor.name!r} is not text in UTF-8", field=tensor.name
            ) from error
    return texts.reshape(tensor.shape)


def _tensor(slot: Slot, parts: list[Array]) -> Tensor:
    data = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if slot.datatype == BYTES:
        texts = bytes_tensor(slot.name, [str(item).encode() for item in data.ravel().tolist()])
        return Tensor(slot.name, BYTES, data.shape, texts.data.reshape(data.shape))
    if data.dtype.newbyteorder("=") != DATATYPES[slot.datatype].newbyteorder("="):
        raise ModelError(f"the output {slot.name!r} is {data.dtype}, not {slot.datatype}")
    return Tensor(slot.name, slot.datatype, data.shape, data)


def _whole(face: Face, tensor: Tensor) -> Tensor:
    """A body without JSON as the model's only input; any other tensor as it is."""
    if tensor.name != RAW or any(slot.name == RAW for slot in face.inputs):
        return tensor
    if len(face.inputs) != 1 or face.inputs[0].shape.count(-1) > 1:
        raise InputError(
            "a body without JSON needs a model with one input of which at most one side is free", field="body"
        )
    slot, data = face.inputs[0], tensor.data[0]
    if slot.datatype == BYTES:
        shape = tuple(1 if side == -1 else side for side in slot.shape)
        if math.prod(shape) != 1:
            raise InputError(
                f"a body without JSON is one element, but {slot.name!r} takes {list(shape)}", field="body"
            )
        return Tensor(slot.name, BYTES, shape, tensor.data.reshape(shape))
    row = math.prod(side for side in slot.shape if side != -1) * DATATYPES[slot.datatype].itemsize
    shape = tuple(len(data) // max(1, row) if side == -1 else side for side in slot.shape)
    return from_raw(slot.name, slot.datatype, shape, data)
