"""Algorithms that read or study, as models: texts, or one series, in; columns and the whole result out."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import numpy as np

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.reading import Item, read
from aihub.errors import DeadlineError, InputError, TooLargeError
from aihub.serve.inference import PICTURES
from aihub.serve.items import open_texts
from aihub.serve.oip.body import RAW
from aihub.serve.oip.card_model import CardModel
from aihub.serve.oip.messages import BYTES, Tensor
from aihub.serve.oip.outputs import output_slots, result_types, tensors_of
from aihub.serve.oip.requests import own_parameters
from aihub.serve.oip.served import Ask, Ground
from aihub.serve.oip.slots import Slot, check_outputs, near
from aihub.serve.tickets import Ticket
from aihub.settings import Settings
from aihub.types import Bill, Series

TEXT = "text"
VALUES, AT = "values", "at"


class ReadingModel(CardModel):
    """One algorithm card that takes texts or a series."""

    given: tuple[Slot, ...]

    def __init__(self, algorithm: Algorithm, ground: Ground) -> None:
        super().__init__(algorithm, ground, self.given, output_slots(result_types(algorithm)))

    def unsuited(self) -> str:
        """Nothing: its card says what it takes."""
        return ""

    @abstractmethod
    def count(self, given: Sequence[Tensor], settings: Settings) -> int:
        """How many items the inputs are, after a look at their form.

        Raises:
            InputError: another name, datatype or shape; names the input.
            TooLargeError: too many, or too long.
        """

    @abstractmethod
    def items(self, given: Sequence[Tensor], settings: Settings, bill: Bill) -> list[Item]:
        """What stages take, of inputs that `count` has passed.

        Raises:
            InputError: an element is wrong; names the input.
            TooLargeError: an element is too large.
        """

    @asynccontextmanager
    async def run(self, ask: Ask) -> AsyncIterator[dict[str, Tensor]]:
        """In a worker thread."""
        check_outputs(self._face.outputs, ask.request.outputs)
        count = self.count(ask.request.inputs, self.ground.services.settings)
        ticket = Ticket(self.ground.admission.enter(ask.caller, [self.name], frames=count))
        with ticket.held():
            asked = time.monotonic()
            work = partial(self._compute, ask, ticket, asked)
            yield await self.ground.workers.run(work, ask.timeout_s, tenant=ask.caller.tenant, gone=ask.gone)

    def _compute(self, ask: Ask, ticket: Ticket, asked: float) -> dict[str, Tensor]:
        """On a thread."""
        services = self.ground.services
        with ticket.held() as bill:
            began = time.monotonic()
            items = self.items(ask.request.inputs, services.settings, bill)
            params = own_parameters(self.algorithm.card, ask.request.parameters, frozenset())
            opened = time.monotonic()
            left = asked + ask.timeout_s - opened
            if left <= 0:
                raise DeadlineError(
                    "the request was not begun in time", hint="send fewer at once, or add replicas"
                )
            results = read(self.algorithm, items, params, services.predictor, bill=bill, timeout_s=left)
            done = time.monotonic()
            made = tensors_of(results)
        PICTURES.labels(self.name).inc(len(items))
        stages = {
            "queue": began - asked,
            "compute_input": opened - began,
            "compute_infer": done - opened,
            "compute_output": time.monotonic() - done,
        }
        self.ground.tallies.computed(self.name, len(items), stages)
        return made


class TextModel(ReadingModel):
    """Texts in: BYTES `[n]`, UTF-8."""

    given = (Slot(TEXT, BYTES, (-1,)),)

    def count(self, given: Sequence[Tensor], settings: Settings) -> int:
        """One a text."""
        tensor = _named([replace(one, name=TEXT) if one.name == RAW else one for one in given], [TEXT])[TEXT]
        if tensor.datatype != BYTES or len(tensor.shape) > 2 or tensor.shape[1:] not in ((), (1,)):
            raise InputError(
                f"{TEXT!r} must be BYTES [n], but {tensor.datatype} {list(tensor.shape)} came", field=TEXT
            )
        if not tensor.data.size:
            raise InputError(f"there is no text in {TEXT!r}", field=TEXT)
        if tensor.data.size > settings.max_texts:
            raise TooLargeError(
                f"{tensor.data.size} texts, at most {settings.max_texts} are allowed", field=TEXT
            )
        return int(tensor.data.size)

    def items(self, given: Sequence[Tensor], settings: Settings, bill: Bill) -> list[Item]:
        """Texts in the order in which they came."""
        texts: list[str] = []
        for index, data in enumerate(given[0].data.ravel().tolist()):
            try:
                texts.append(data.decode())
            except UnicodeDecodeError as error:
                raise InputError(f"{TEXT}[{index}] is not UTF-8", field=TEXT) from error
        try:
            return open_texts(texts, settings, bill)
        except TooLargeError as error:
            error.field = TEXT
            raise


class SeriesModel(ReadingModel):
    """One series in: FP64 `values [n]`, NaN where nothing was measured, and `at [n]`, seconds since the epoch, where that matters."""

    given = (Slot(VALUES, "FP64", (-1,)), Slot(AT, "FP64", (-1,)))

    def count(self, given: Sequence[Tensor], settings: Settings) -> int:
        """One."""
        named = _named(given, [VALUES, AT])
        for name, tensor in named.items():
            if tensor.datatype not in ("FP64", "FP32") or len(tensor.shape) != 1:
                raise InputError(
                    f"{name!r} must be FP64 [n], but {tensor.datatype} {list(tensor.shape)} came", field=name
                )
        size = named[VALUES].data.size
        if size > settings.max_series_points:
            raise TooLargeError(
                f"{size:,} values, at most {settings.max_series_points:,} are allowed", field=VALUES
            )
        if AT in named and named[AT].data.size != size:
            raise InputError(f"{AT!r} must have {size} times, one a value", field=AT)
        return 1

    def items(self, given: Sequence[Tensor], settings: Settings, bill: Bill) -> list[Item]:  # noqa: ARG002 - as `count`
        """The series; without times its values follow each other by a second."""
        named = {tensor.name: tensor.data.astype(np.float64) for tensor in given}
        values = named[VALUES]
        if np.isinf(values).any():
            raise InputError("a value must be a number, or NaN where nothing was measured", field=VALUES)
        at = named.get(AT)
        if at is None:
            at = np.arange(len(values), dtype=np.float64)
        if not np.isfinite(at).all() or (np.diff(at) <= 0).any():
            raise InputError("times must be numbers that rise", field=AT)
        return [Series(at, values, bill=bill)]


def _named(given: Sequence[Tensor], known: Sequence[str]) -> dict[str, Tensor]:
    """The inputs by name; the first of the known ones has to be there."""
    named = {tensor.name: tensor for tensor in given}
    for name in named:
        if name not in known:
            raise InputError(f"there is no input {name!r}", field=name, hint=near(name, known, "inputs"))
    if known[0] not in named:
        raise InputError(f"the input {known[0]!r} is missing", field=known[0])
    return named
