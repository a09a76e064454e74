"""Algorithms as models: pictures in, typed columns and the whole result out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from aihub.algorithms.algorithm import Algorithm
from aihub.errors import DeadlineError
from aihub.serve.inference import PICTURES, takes
from aihub.serve.oip.body import RAW
from aihub.serve.oip.card_model import CardModel
from aihub.serve.oip.messages import BYTES, Tensor
from aihub.serve.oip.outputs import output_slots, result_types, tensors_of
from aihub.serve.oip.pictures import CONTENT_TYPE, IMAGE, PIXEL_FORMAT, check_pictures, frames_of
from aihub.serve.oip.requests import own_parameters
from aihub.serve.oip.served import Ask, Ground
from aihub.serve.oip.slots import Slot, check_outputs
from aihub.serve.tickets import Ticket
from aihub.types import InputKind

_INPUT = Slot(IMAGE, BYTES, (-1,))
_HANDLED = frozenset({PIXEL_FORMAT, CONTENT_TYPE})


class AlgorithmModel(CardModel):
    """One algorithm card."""

    def __init__(self, algorithm: Algorithm, ground: Ground) -> None:
        super().__init__(algorithm, ground, (_INPUT,), output_slots(result_types(algorithm)))

    def unsuited(self) -> str:
        """That it cannot look at single pictures."""
        kinds = self.algorithm.card.input
        return "" if InputKind.IMAGE in kinds else f"takes {', '.join(kinds)}, not single pictures"

    @asynccontextmanager
    async def run(self, ask: Ask) -> AsyncIterator[dict[str, Tensor]]:
        """In a worker thread: decode, infer, and make columns."""
        takes(self.algorithm.card, InputKind.IMAGE)
        if "keypoints" not in {
            output.name for output in ask.request.outputs
        }:  # only some detectors give them
            check_outputs(self._face.outputs, ask.request.outputs)
        inputs = [
            replace(tensor, name=IMAGE) if tensor.name == RAW else tensor for tensor in ask.request.inputs
        ]
        tensor, count = check_pictures(inputs, self.ground.services.settings)
        ticket = Ticket(self.ground.admission.enter(ask.caller, [self.name], frames=count))
        with ticket.held():
            asked = time.monotonic()
            work = partial(self._compute, ask, tensor, count, ticket, asked)
            yield await self.ground.workers.run(work, ask.timeout_s, tenant=ask.caller.tenant, gone=ask.gone)

    def _compute(
        self, ask: Ask, tensor: Tensor, count: int, ticket: Ticket, asked: float
    ) -> dict[str, Tensor]:
        """On a thread."""
        services = self.ground.services
        with ticket.held() as bill:
            began = time.monotonic()
            frames = frames_of(
                tensor, ask.request.parameters, services.settings, source=ask.source, bill=bill
            )
            opened = time.monotonic()
            left = asked + ask.timeout_s - opened
            if left <= 0:
                raise DeadlineError(
                    "the request was not begun in time", hint="send fewer at once, or add replicas"
                )
            params = own_parameters(self.algorithm.card, ask.request.parameters, _HANDLED)
            results = services.infer(self.algorithm, frames, params, services.predictor, timeout_s=left)
            inferred = time.monotonic()
            made = tensors_of(results)
        PICTURES.labels(self.name).inc(count)
        stages = {
            "queue": began - asked,
            "compute_input": opened - began,
            "compute_infer": inferred - opened,
            "compute_output": time.monotonic() - inferred,
        }
        self.ground.tallies.computed(self.name, count, stages)
        return made
