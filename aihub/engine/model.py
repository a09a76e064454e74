"""A model that is loaded and ready: payloads of a batch in, answers to their futures out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from aihub.engine import machine
from aihub.engine.batcher import Item
from aihub.engine.decoding import Decoder, Placement
from aihub.engine.measure import example_feeds
from aihub.engine.postprocess import finish
from aihub.engine.session import RunSettings, Session
from aihub.engine.workers import settle
from aihub.errors import ConfigError, InputError, SessionError
from aihub.telemetry import INFERENCE_SECONDS
from aihub.types import Detections, Image, ModelCard, Tensor


@dataclass(slots=True, eq=False)
class Picture:
    """A picture for a detector: `(H, W, 3)` uint8 at the model's size, where the frame lies in it, and the floor."""

    pixels: Image
    placement: Placement
    confidence: float


@dataclass(slots=True, eq=False)
class Tensors:
    """Inputs by name for a raw run."""

    feeds: dict[str, Tensor]


Payload = Picture | Tensors


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, for listings.

    Attributes:
        name: of its card.
        version: of its card.
        attached: what really runs it.
        settings: how it is run.
        tuned: whether the settings were measured on this machine.
        bytes: measured memory.
        load_s: time to load and warm it.
        leases: runs that use it now.
        pinned: whether it may not be evicted.
        idle_s: seconds since its last use.
    """

    name: str
    version: int
    attached: str
    settings: RunSettings
    tuned: bool
    bytes: int
    load_s: float
    leases: int
    pinned: bool
    idle_s: float


class LiveModel:
    """A session with its card and decoder. Thread-safe.

    Attributes:
        bytes: measured memory.
        load_s: time to load and warm it, seconds.
    """

    def __init__(
        self,
        card: ModelCard,
        session: Session,
        settings: RunSettings,
        decoder: Decoder[Any] | None,
        *,
        tuned: bool,
    ) -> None:
        self.card, self.session, self.settings, self.decoder, self.tuned = (
            card,
            session,
            settings,
            decoder,
            tuned,
        )
        self.bytes = 0
        self.load_s = 0.0
        self.batch = settings.batch if session.batchable and settings.batch > 1 else 1
        self._input = session.inputs[0].name
        self._names = {port.name for port in session.inputs}
        self._run_seconds = INFERENCE_SECONDS.labels(card.name, "run")
        self._decode_seconds = INFERENCE_SECONDS.labels(card.name, "decode")

    def warm(self) -> None:
        """Run every batch size that matters, as many at once as later, so that no caller pays for first-run work.

        Raises:
            SessionError: the graph cannot run.
            DecodeError: the card's decoder cannot read its outputs.
        """
        at_once = self.settings.parallel
        with ThreadPoolExecutor(at_once, thread_name_prefix="aihub-warm") as pool:
            for items in {1, self.batch}:
                try:
                    feeds = example_feeds(self.session.inputs, items)
                except ConfigError:
                    return  # sizes vary, so any warm-up would be for the wrong ones
                for run in [pool.submit(self._warm_once, feeds) for _ in range(at_once)]:
                    run.result(timeout=600)

    def _warm_once(self, feeds: dict[str, Tensor]) -> None:
        outputs = self.session.run(feeds)
        if self.decoder is not None:
            self.decoder.decode(outputs, 0.5)

    def close(self) -> None:
        """Give the memory back, to the system too."""
        self.session.close()
        machine.trim()

    def run(self, batch: list[Item[Payload]]) -> None:
        """Run a batch of one kind and answer it.

        When a batch fails its items are run alone, so that a bad one spoils nobody else's answer.

        Raises:
            AihubError: the only item of a batch failed; its future is left for the caller to answer.
        """
        try:
            self._run(batch)
        except SessionError as error:
            if len(batch) == 1:
                raise
            for item in batch:
                try:
                    self._run([item])
                except SessionError as own:
                    own.__context__ = error
                    settle(item.future, error=own)

    def _run(self, batch: list[Item[Payload]]) -> None:
        payloads = [item.payload for item in batch]
        pictures = [payload for payload in payloads if isinstance(payload, Picture)]
        began = time.perf_counter()
        try:
            if pictures:
                answers: Sequence[object] = self._detect(pictures)
            else:
                answers = self._tensors([payload for payload in payloads if isinstance(payload, Tensors)])
        finally:
            # Before anyone is answered, so that whoever has the answer has the whole bill.
            share = (time.perf_counter() - began) / len(batch)
            for item in batch:
                if item.bill is not None:
                    item.bill.add(self.card.name, share)
        for item, answer in zip(batch, answers, strict=True):
            settle(item.future, result=answer)

    def _detect(self, pictures: list[Picture]) -> list[Detections]:
        if self.decoder is None:
            raise ConfigError(f"{self.card.name} has no decoder: only raw runs are possible")
        pixels = [picture.pixels for picture in pictures]
        began = time.perf_counter()
        outputs = self.session.run({self._input: pixels[0][None] if len(pixels) == 1 else np.stack(pixels)})
        ran = time.perf_counter()
        floor = min(picture.confidence for picture in pictures)
        found = self.decoder.decode(outputs, floor)
        answers = []
        for picture, one in zip(pictures, found, strict=True):
            wanted = one if picture.confidence <= floor else one[one.confidence >= picture.confidence]
            answers.append(finish(wanted, self.card, picture.placement))
        self._run_seconds.observe(ran - began)
        self._decode_seconds.observe(time.perf_counter() - ran)
        return answers

    def _tensors(self, asked: list[Tensors]) -> list[dict[str, Tensor]]:
        given = set(asked[0].feeds)
        if given != self._names:
            raise InputError(
                f"{self.card.name} takes the inputs {sorted(self._names)}, but got {sorted(given)}",
                field="inputs",
            )
        began = time.perf_counter()
        if len(asked) == 1:
            outputs = self.session.run(asked[0].feeds)
            answers = [
                {name: value.copy() for name, value in outputs.items()} if self.session.transient else outputs
            ]
        else:
            joined = {name: np.concatenate([one.feeds[name] for one in asked]) for name in asked[0].feeds}
            outputs = self.session.run(joined)
            answers = [
                {name: value[at : at + 1].copy() for name, value in outputs.items()}
                for at in range(len(asked))
            ]
        self._run_seconds.observe(time.perf_counter() - began)
        return answers


def group_of(feeds: dict[str, Tensor]) -> tuple[object, ...] | None:
    """What raw runs must have in common to share a batch: equal names, shapes and types, and a first side of 1.

    None when the inputs have another first side: those run alone.
    """
    if any(value.shape[:1] != (1,) for value in feeds.values()):
        return None
    return tuple((name, value.shape, value.dtype.str) for name, value in sorted(feeds.items()))
