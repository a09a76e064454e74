"""What one process of the hub holds: settings, weights, engine, algorithms, database. Built once, closed once."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import suppress
from functools import cached_property
from types import TracebackType
from typing import Self

from aihub.algorithms.inference import infer
from aihub.algorithms.registry import Registry
from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.errors import AihubError
from aihub.events.courier import Courier
from aihub.events.delivery import Surroundings
from aihub.events.evidence import ArtifactFolder
from aihub.plugins import card_folders, users_folder
from aihub.serve.home import open_repository
from aihub.serve.own_cards import OwnCards
from aihub.serve.services import Services
from aihub.serve.usage import UsageBook
from aihub.settings import Settings
from aihub.storage.records import ProcessInfo
from aihub.storage.repository import Repository
from aihub.telemetry import configure_logging, exposition
from aihub.types import Predictor, uuid7
from aihub.types.addresses import AddressGuard

logger = logging.getLogger(__name__)

HEARTBEAT_S = 2.0


class Runtime:
    """The parts of one process. `with Runtime(...)` closes them.

    Args:
        settings: what is set.
        kind: `gateway`, `stream-host` or `cli`; only the first two beat and deliver.
    """

    def __init__(self, settings: Settings, *, kind: str) -> None:
        self.settings = settings
        self.kind = kind
        self.id = f"{kind}-{uuid7()[-12:]}"
        self.started_at = time.time()
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._beat_forever, name="heartbeat", daemon=True)
        self._beaten_at = time.monotonic()
        configure_logging(settings.log_level, json_lines=settings.log_json)

    @cached_property
    def store(self) -> ModelStore:
        """Model cards and their weights."""
        return ModelStore.from_folder(
            *card_folders("models", self.settings.home),
            cache=self.settings.home / "models",
            mirror=self.settings.model_mirror,
            allow_licenses=self.settings.allow_licenses,
            allow_downloads=self.settings.allow_downloads,
        )

    @cached_property
    def engine(self) -> Engine:
        """The engine of this process."""
        return Engine(
            self.store,
            budget_bytes=self.settings.engine_budget_mb * 1024 * 1024,
            threads=self.settings.engine_threads,
            device_bytes=self.settings.gpu_memory_mb * 1024 * 1024,
            profiles=self.settings.home / "profiles",
        )

    @property
    def predictor(self) -> Predictor:
        """The seam through which models are run."""
        return self.engine

    @cached_property
    def registry(self) -> Registry:
        """The algorithms."""
        own = users_folder(self.settings.home, "pipelines")
        return Registry(self.predictor, (*card_folders("pipelines"), own))

    @cached_property
    def repository(self) -> Repository:
        """The database."""
        return open_repository(self.settings)

    @cached_property
    def own_cards(self) -> OwnCards:
        """Algorithm cards of users."""
        folder = users_folder(self.settings.home, "pipelines")
        return OwnCards(self.repository, self.registry, self.predictor, folder)

    @cached_property
    def usage(self) -> UsageBook:
        """Counts what tenants use in this process."""
        return UsageBook(self.repository, self.settings.home / "usage")

    @cached_property
    def artifacts(self) -> ArtifactFolder:
        """Evidence on disk."""
        return ArtifactFolder(self.settings.home / "artifacts")

    @cached_property
    def courier(self) -> Courier:
        """Delivers what the outbox holds; any number of processes may, each row is claimed."""
        guard = AddressGuard(self.settings.webhook_networks)
        return Courier(
            self.repository, Surroundings(out=self.settings.home / "out", guard=guard), name=self.id
        )

    def start(self) -> None:
        """Begin to beat and to deliver."""
        self.repository  # noqa: B018 - made here so that errors show at start, not at the first request
        self._beat.start()
        self.courier.start()
        self.usage.start()

    def health(self) -> str | None:
        """None when fine, else why not."""
        if self._beat.is_alive() and time.monotonic() - self._beaten_at > 10 * HEARTBEAT_S:
            return "the heartbeat hangs"
        return self.engine.health() if "engine" in self.__dict__ else None

    def services(self) -> Services:
        """What the HTTP application stands on."""
        return Services(
            settings=self.settings,
            registry=self.registry,
            predictor=self.predictor,
            repository=self.repository,
            artifacts=self.artifacts,
            infer=infer,
            started_at=self.started_at,
            health=self.health,
            usage=self.usage,
            engine=self.engine,
            own_cards=self.own_cards,
            names_requests=False,  # Serve does
        )

    def _as_it_is(self) -> ProcessInfo:
        return ProcessInfo(
            id=self.id, kind=self.kind, node=socket.gethostname(), pid=os.getpid(),
            started_at=self.started_at, heartbeat_at=time.time(), metrics=exposition(),
        )  # fmt: skip

    def _beat_forever(self) -> None:
        while True:
            try:
                self.repository.heartbeat(self._as_it_is())
                self.own_cards.sync()
            except (AihubError, OSError) as error:
                logger.warning("heartbeat failed: %s", error)
            self._beaten_at = time.monotonic()
            if self._stop.wait(HEARTBEAT_S):
                return

    def close(self) -> None:
        """Stop and close everything that was made."""
        self._stop.set()
        made = self.__dict__
        if self._beat.is_alive():
            self._beat.join(timeout=HEARTBEAT_S)
            with suppress(AihubError):
                self.repository.end_process(self.id)
        if "courier" in made:
            self.courier.close()
        if "engine" in made:
            self.engine.close()
        if "usage" in made:
            self.usage.close()
        if "repository" in made:
            self.repository.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
