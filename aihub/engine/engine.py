"""The engine of a process: models by name, pictures or tensors in, futures out.

detect/run -> queue of the model -> a free worker forms a batch -> session -> decoder -> future
                    |
                    +-- not loaded: the loader brings it, the work waits in the queue
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import cv2

from aihub.engine import machine
from aihub.engine.assembly import Assembly, read
from aihub.engine.batcher import Item
from aihub.engine.graph import custom_metadata
from aihub.engine.loader import Loader
from aihub.engine.memory import ModelMemory
from aihub.engine.model import LiveModel, LoadedModel, Payload, Picture, Tensors, group_of
from aihub.engine.preprocess import prepare
from aihub.engine.store import ModelStore
from aihub.engine.tuner import TuneProgress, TuneReport
from aihub.engine.weights import is_text, text_of
from aihub.engine.workers import Lane, Run, Workers
from aihub.errors import (
    AihubError,
    CapacityError,
    ConfigError,
    ModelNotFoundError,
)
from aihub.types import Bill, Detections, Frame, ModelCard, Tensor

logger = logging.getLogger(__name__)

_ALIAS_S = 5.0
"""How long it is remembered which model a role stands for; brought weights are seen after this."""

_LOAD_S = 120.0


class Engine:
    """Runs models in this process. Satisfies `aihub.types.Predictor`; thread-safe.

    Args:
        store: model cards and weights.
        budget_bytes: most memory of loaded models.
        threads: cores that runs may use together, 0 for those of the process.
        device_bytes: most memory of an accelerator that one model takes; 0 sets no limit.
        profiles: folder of measured settings; None keeps them for this process only.
        max_queue: most runs that wait for one model.
        per_source: most items of one source in a batch; 0 for no limit beyond taking turns.
        tune: whether a model without a profile is measured when it is first loaded, which takes seconds.
        stall_s: a run that takes longer makes the engine unhealthy; a load may take four times as long.
        grace_s: how long an unused model stays when nobody needs the room.
    """

    def __init__(
        self,
        store: ModelStore,
        *,
        budget_bytes: int = 2 << 30,
        threads: int = 0,
        device_bytes: int = 0,
        profiles: Path | None = None,
        max_queue: int = 256,
        per_source: int = 0,
        tune: Literal["never", "first-load"] = "never",
        stall_s: float = 30.0,
        grace_s: float = 600.0,
    ) -> None:
        cv2.setNumThreads(1)  # its threads would fight with the workers for the same cores
        self.store = store
        self.cores = threads or machine.cores()
        self._max_queue, self._per_source = max_queue, per_source
        self._stall_s = stall_s
        self._assembly = Assembly(
            self.cores, profiles, tune_first=tune == "first-load", device_bytes=device_bytes
        )
        self._metadata: dict[str, dict[str, str]] = {}
        self._memory: ModelMemory[LiveModel] = ModelMemory(budget_bytes, grace_s=grace_s)
        self._aliases: dict[str, tuple[ModelCard, float]] = {}
        self._lanes: dict[str, Lane[Payload]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._workers: Workers[Payload] = Workers(self.cores)
        self._loader = Loader(self._load, self._loaded, self._memory.sweep)

    def detect(
        self,
        model: str,
        frame: Frame,
        *,
        confidence: float = 0.1,
        source: str = "",
        deadline: float | None = None,
    ) -> Future[Detections]:
        """Find things in one frame; a second call for the same model and confidence shares the first one's future.

        Cancelling the future, while its work still waits, takes that out of the queue.

        Args:
            model: name or role.
            frame: any size; the run's seconds are put on its bill, under the model's name.
            confidence: in (0, 1]; what scores less is left out.
            source: who asks, for fairness: `tenant/who`; empty takes the frame's.
            deadline: `time.monotonic()` after which it need not start.

        Returns:
            A future of detections in pixels of the frame, best first. Its errors: `ModelNotFoundError`,
            `QueueFullError` (at once), `DeadlineError`, `MemoryBudgetError`, and what loading or running raised.
        """
        try:
            card = self._card(model)
        except AihubError as error:
            return _failed(error)
        key = ("detect", card.name, confidence)
        return frame.memo.get(
            key, lambda: self._detect(card, frame, confidence, source or frame.source, deadline)
        )

    def _detect(
        self, card: ModelCard, frame: Frame, confidence: float, source: str, deadline: float | None
    ) -> Future[Detections]:
        lane = self._lane(card)
        if card.input is None:
            return _failed(ConfigError(f"{card.name} describes no picture input: only raw runs are possible"))
        began = time.perf_counter()
        pixels, placement = prepare(frame, card.input)
        lane.prepared(time.perf_counter() - began)
        payload = Picture(pixels, placement, confidence)
        item: Item[Payload] = Item(payload, source, "picture", deadline, time.monotonic(), bill=frame.bill)
        return self._submit(lane, item)

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        source: str = "",
        deadline: float | None = None,
        bill: Bill | None = None,
    ) -> Future[dict[str, Tensor]]:
        """Raw tensors in, raw tensors out; the arrays of the answer are the caller's. Errors as of `detect`.

        Args:
            model: name or role.
            inputs: contiguous arrays by name of the prepared graph's inputs, not to be changed until answered.
            source: who asks, for fairness: `tenant/who`.
            deadline: `time.monotonic()` after which it need not start.
            bill: where the run's seconds are put down, under the model's name.
        """
        try:
            lane = self._lane(self._card(model))
        except AihubError as error:
            return _failed(error)
        feeds = dict(inputs)
        item: Item[Payload] = Item(
            Tensors(feeds), source, group_of(feeds), deadline, time.monotonic(), bill=bill
        )
        return self._submit(lane, item)

    def _submit(self, lane: Lane[Payload], item: Item[Payload]) -> Future[Any]:
        if not lane.open and (failure := self._loader.recent_failure(lane.name)) is not None:
            lane.count("error")
            return _failed(failure)
        self._workers.submit(lane, item)
        if not lane.open:
            self._loader.request(lane.name)
        return item.future

    def missing(self, models: Sequence[str]) -> list[str]:
        """Those of `models` (names or roles) whose weights are not here, and those that nobody knows."""
        return [name for name in models if not self._available(name)]

    def _available(self, name: str) -> bool:
        try:
            return self.store.available(self._card(name))
        except ModelNotFoundError:
            return False

    def metadata(self, model: str) -> Mapping[str, str]:
        """Free-text entries that the graph carries, such as the character set of a text reader; `text` of a word list.

        Reads the file once.

        Raises:
            ModelNotFoundError, WeightsMissingError, LicenseError, ArtifactError: it is not to be had.
            SessionError: not an ONNX graph.
        """
        card = self._card(model)
        digest = self.store.digest(card)
        if digest is None or digest not in self._metadata:
            path, digest = self.store.weights(card)
            data = read(path)
            self._metadata[digest] = {"text": text_of(data)} if is_text(card) else custom_metadata(data)
        return self._metadata[digest]

    def digests(self, names: Sequence[str]) -> dict[str, str]:
        """sha256 of the weights behind each name or role, as evidence of what looked at a picture.

        What nobody has pulled yet, of a model that is trusted on first use, is left out: nothing looks with it.

        Raises:
            ModelNotFoundError: nobody knows one of them.
            ArtifactError: what was pinned cannot be read.
        """
        digests = {name: self.store.digest(self._card(name)) for name in names}
        return {name: digest for name, digest in digests.items() if digest is not None}

    def loaded(self) -> list[LoadedModel]:
        """What is in memory, by name."""
        return [
            LoadedModel(
                held.name,
                held.value.card.version,
                held.value.session.attached,
                held.value.settings,
                held.value.tuned,
                held.value.bytes,
                held.value.load_s,
                held.leases,
                held.pinned,
                held.idle_s,
            )
            for held in self._memory.held()
        ]

    def warm(self, names: Sequence[str], timeout_s: float = _LOAD_S) -> None:
        """Load models (names or roles) and wait until they are ready to run.

        Raises:
            AihubError: one cannot be loaded, or not in time (`CapacityError`).
        """
        until = time.monotonic() + timeout_s
        cards = [self._card(name) for name in names]
        for card in cards:
            self._loader.forgive(card.name)
        for card, loading in [(card, self._loader.request(card.name)) for card in cards]:
            try:
                loading.result(timeout=max(0.0, until - time.monotonic()))
            except TimeoutError:
                raise CapacityError(
                    f"{card.name} is not loaded after {timeout_s:.0f} s", retry_after_s=5.0
                ) from None

    def pin(self, name: str) -> None:
        """Keep a model in memory, once it is loaded, until `unpin`; counted.

        Raises:
            ModelNotFoundError: nobody knows it.
        """
        self._memory.pin(self._card(name).name)

    def unpin(self, name: str) -> None:
        """Take one pin away.

        Raises:
            ModelNotFoundError: nobody knows it.
        """
        self._memory.unpin(self._card(name).name)

    def tune(self, name: str, *, budget_s: float = 3.0, progress: TuneProgress | None = None) -> TuneReport:
        """Measure how a model runs best on this machine, keep it, and run it so from now on. Takes seconds.

        Measure when nothing else runs: work at the same time shows in the figures.

        Args:
            name: name or role.
            budget_s: about how long to measure.
            progress: told every candidate's outcome.

        Raises:
            AihubError: see `Tuner.tune`, and what finding and reading the weights raises.
        """
        card = self._card(name)
        report = self._assembly.tune(card, self.store.weights(card), budget_s, progress)
        if self._memory.drop(card.name):
            self._loader.forgive(card.name)
        return report

    def unload(self, name: str, timeout_s: float = 10.0) -> bool:
        """Give up a model's memory as soon as no run uses it; the next request loads it again. Returns whether it is gone.

        Raises:
            ModelNotFoundError: nobody knows it.
        """
        return self._memory.drop(self._card(name).name, timeout_s)

    def health(self) -> str | None:
        """None when all is well, else why not: closed, or a run or load that has not come back."""
        if self._closed:
            return "the engine is closed"
        return self._workers.stalled(self._stall_s) or self._loader.stalled(4 * self._stall_s)

    def close(self, timeout_s: float = 10.0) -> None:
        """Answer what waits with an error, let runs end, give all memory back. Calling it again does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            lanes = list(self._lanes.values())
        until = time.monotonic() + timeout_s
        for lane in lanes:
            self._workers.fail(lane, CapacityError("the engine is closed"))
        self._workers.close(timeout_s / 2)
        self._loader.close(max(0.1, until - time.monotonic()))
        self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _card(self, model: str) -> ModelCard:
        now = time.monotonic()
        known = self._aliases.get(model)
        if known is None or now > known[1]:
            known = self._aliases[model] = (self.store.resolve(model), now + _ALIAS_S)
        return known[0]

    def _lane(self, card: ModelCard) -> Lane[Payload]:
        lane = self._lanes.get(card.name)
        if lane is None:
            with self._lock:
                lane = self._lanes.get(card.name)
                if lane is None:
                    lane = self._lanes[card.name] = Lane(
                        card.name,
                        bound=self._max_queue,
                        per_source=self._per_source,
                        claim=partial(self._claim, card.name),
                        release=partial(self._memory.release, card.name),
                    )
        return lane

    def _claim(self, name: str) -> Run[Payload] | None:
        live = self._memory.lease(name)
        if live is None:
            self._loader.request(name)  # evicted since its lane was opened
            return None
        return live.run

    def _load(self, name: str) -> None:
        """On the loader's thread."""
        card = self.store.resolve(name)
        weights = self.store.weights(card)
        make = partial(self._assembly.assemble, card, weights)
        estimate = self._assembly.estimate(card, weights.path)
        self._memory.load(name, make, estimate=estimate, timeout_s=_LOAD_S)

    def _loaded(self, name: str, error: AihubError | None) -> None:
        lane = self._lane(self.store.resolve(name))
        if error is not None:
            self._workers.fail(lane, error)
            return
        live = self._memory.lease(name)
        if live is not None:
            settings = live.settings
            self._workers.open(lane, parallel=settings.parallel, cost=settings.threads, batch=live.batch)
            self._memory.release(name)
        elif len(lane.queue):
            self._loader.request(name)


def _failed(error: AihubError) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future
