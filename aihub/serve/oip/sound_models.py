"""Algorithms that listen, as models: a recording in, columns with times and the whole result out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.hearing import gives
from aihub.errors import InputError
from aihub.serve.audio.desk import Asked, SoundDesk
from aihub.serve.oip.body import RAW
from aihub.serve.oip.card_model import CardModel
from aihub.serve.oip.messages import BYTES, Tensor
from aihub.serve.oip.outputs import output_slots, tensors_of
from aihub.serve.oip.requests import own_parameters
from aihub.serve.oip.served import Ask, Ground
from aihub.serve.oip.slots import Slot, check_outputs
from aihub.types import Recording, SoundEvents, Task, Transcript

AUDIO = "audio"
_INPUT = Slot(AUDIO, BYTES, (1,))


class SoundModel(CardModel):
    """One algorithm card that takes sound."""

    def __init__(self, algorithm: Algorithm, desk: SoundDesk, ground: Ground) -> None:
        kinds = {
            Task.SPEECH_RECOGNITION: Transcript,
            Task.SOUND_EVENT_DETECTION: SoundEvents,
            Task.SOUND: Recording,
        }
        given = gives(algorithm)
        super().__init__(algorithm, ground, (_INPUT,), output_slots([kinds[given]] if given in kinds else []))
        self._desk = desk

    def unsuited(self) -> str:
        """That it does not listen."""
        return "its last stage does not listen" if gives(self.algorithm) is None else ""

    @asynccontextmanager
    async def run(self, ask: Ask) -> AsyncIterator[dict[str, Tensor]]:
        """At the desk where all sound is worked on."""
        check_outputs(self._face.outputs, ask.request.outputs)
        data = _recording(ask.request.inputs)
        params = own_parameters(self.algorithm.card, ask.request.parameters, frozenset())
        asked = Asked(self.algorithm, params, data, ask.timeout_s)
        began = time.monotonic()
        recording = await self._desk.open(ask.caller, asked, gone=ask.gone)
        opened = time.monotonic()
        with recording.ticket.held():
            result, _ = await self._desk.listen(ask.caller, recording, gone=ask.gone)
            heard = time.monotonic()
            made = tensors_of([result])
            stages = {"compute_input": opened - began, "compute_infer": heard - opened}
            self.ground.tallies.computed(self.name, 1, stages)
            yield made


def _recording(given: Sequence[Tensor]) -> bytes:
    if len(given) != 1 or given[0].name not in (AUDIO, RAW):
        named = next((tensor.name for tensor in given if tensor.name != AUDIO), AUDIO)
        raise InputError(f"an algorithm for sound takes one input named {AUDIO!r}", field=named)
    tensor = given[0]
    if tensor.datatype != BYTES or tensor.data.size != 1:
        raise InputError(
            f"{AUDIO!r} must be BYTES [1], one file, but {tensor.datatype} {list(tensor.shape)} came",
            field=AUDIO,
        )
    data: bytes = tensor.data.ravel()[0]
    return data
