"""From a card and its file to a model that is ready to run: prepared graph, best known settings, warmed and weighed."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

from aihub.engine import machine
from aihub.engine.backends import backend, backends, default_settings, started
from aihub.engine.decoding import decoder_for
from aihub.engine.graph import prepare_graph
from aihub.engine.model import LiveModel
from aihub.engine.profiles import ProfileBook
from aihub.engine.session import RunSettings
from aihub.engine.tuner import TuneProgress, Tuner, TuneReport
from aihub.engine.weights import Weights, size_of
from aihub.errors import AihubError, ArtifactError, ConfigError, SessionError
from aihub.telemetry import MODEL_LOAD_SECONDS
from aihub.types import ModelCard

logger = logging.getLogger(__name__)

_SIZE_FACTOR = 2
"""A model takes at least this many times its file: weights, and their repacked form."""


def read(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        ArtifactError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from error


class Assembly:
    """Makes models ready on this machine.

    Args:
        cores: cores that runs may use together.
        profiles: folder of measured settings; None keeps them for this process only.
        tune_first: whether a model without measured settings is measured before it is first used.
        device_bytes: most memory of an accelerator that a model takes; 0 sets no limit.
    """

    def __init__(self, cores: int, profiles: Path | None, *, tune_first: bool, device_bytes: int = 0) -> None:
        self._cores, self._profiles, self._tune_first = cores, profiles, tune_first
        self._device_bytes = device_bytes
        self._sizes: dict[str, int] = {}
        self._known_book: ProfileBook | None = None

    def estimate(self, card: ModelCard, path: Path) -> int:
        """Bytes it will take: as measured when it was loaded before, else by its file.

        Raises:
            ArtifactError: the file cannot be read.
        """
        known = self._sizes.get(card.name)
        return size_of(path) * _SIZE_FACTOR if known is None else known

    def assemble(self, card: ModelCard, weights: Weights) -> LiveModel:
        """Prepare, load, warm and weigh. Takes 0.1 to some seconds; one at a time, or the weights mix.

        Raises:
            SessionError: no runtime takes the graph.
            CardError: the card does not fit its graph.
            ArtifactError: the file cannot be read.
            ConfigError: no runtime is installed.
        """
        began = time.monotonic()
        model = prepare_graph(read(weights.path), card)
        settings, tuned = self._settings(card, weights.sha256, model)
        # before weighing: a runtime's own memory is not the model's
        started(settings.backend, self._device_bytes)
        before = machine.resident_bytes()
        try:
            live = self._live(card, model, settings, tuned=tuned)
        except SessionError as error:
            if not tuned:
                raise
            logger.warning("%s runs untuned, since %s failed: %s", card.name, settings, error)
            live = self._live(card, model, self._default(card), tuned=False)
        live.bytes = max(machine.resident_bytes() - before, len(model) * _SIZE_FACTOR)
        live.load_s = time.monotonic() - began
        self._sizes[card.name] = live.bytes
        MODEL_LOAD_SECONDS.labels(card.name).observe(live.load_s)
        logger.info(
            "loaded %s on %s (%s), %d MiB", card.name, live.session.attached, live.settings, live.bytes >> 20
        )
        return live

    def tune(
        self, card: ModelCard, weights: Weights, budget_s: float, progress: TuneProgress | None
    ) -> TuneReport:
        """Measure and keep the best settings; see `Tuner.tune`."""
        model = prepare_graph(read(weights.path), card)
        return self._measure(card, weights.sha256, model, budget_s, progress)

    def _measure(
        self, card: ModelCard, digest: str, model: bytes, budget_s: float, progress: TuneProgress | None
    ) -> TuneReport:
        tuner = Tuner(backends(self._device_bytes), cores=self._cores, book=self._book())
        return tuner.tune(
            card.name,
            digest,
            model,
            pictures=card.input is not None,
            budget_s=budget_s,
            progress=progress,
        )

    def _live(self, card: ModelCard, model: bytes, settings: RunSettings, *, tuned: bool) -> LiveModel:
        decoder = decoder_for(card) if card.decoder is not None else None
        session = backend(settings.backend, self._device_bytes).load(model, settings)
        live = LiveModel(card, session, settings, decoder, tuned=tuned)
        try:
            live.warm()
        except AihubError:
            live.close()
            raise
        return live

    def _settings(self, card: ModelCard, digest: str, model: bytes) -> tuple[RunSettings, bool]:
        """The measured settings, else the default; and whether they were measured."""
        found = self._book().find(digest)
        if found is None and self._tune_first:
            try:
                found = self._measure(card, digest, model, 3.0, None).chosen
            except ConfigError as error:
                logger.info("%s is not tuned: %s", card.name, error)
        return (found, True) if found is not None else (self._default(card), False)

    def _default(self, card: ModelCard) -> RunSettings:
        settings = default_settings(self._cores)
        return settings if card.input is not None else replace(settings, batch=0)

    def _book(self) -> ProfileBook:
        if self._known_book is None:
            self._known_book = ProfileBook(self._profiles, machine.fingerprint(tuple(sorted(backends()))))
        return self._known_book
