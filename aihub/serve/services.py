"""What the HTTP face stands on. Everything behind these names can be replaced, so the app runs without Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aihub import __version__
from aihub.algorithms import inference
from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.registry import Registry
from aihub.engine.engine import Engine
from aihub.errors import AihubError
from aihub.serve.own_cards import OwnCards
from aihub.serve.usage import UsageBook
from aihub.settings import Settings
from aihub.storage.repository import Repository
from aihub.types import AnyResult, Frame, Predictor


class Infer(Protocol):
    """Runs an algorithm on single pictures, each with fresh state; blocks. See `aihub.algorithms.inference`."""

    def __call__(
        self,
        algorithm: Algorithm,
        frames: Sequence[Frame],
        params: Mapping[str, Any],
        predictor: Predictor,
        *,
        timeout_s: float,
    ) -> list[AnyResult]:
        """One result a picture, in order."""
        ...


class InferMany(Protocol):
    """Runs several algorithms on the same pictures; blocks. See `aihub.algorithms.inference`."""

    def __call__(
        self,
        requests: Sequence[tuple[Algorithm, Mapping[str, Any]]],
        frames: Sequence[Frame],
        predictor: Predictor,
        *,
        timeout_s: float,
    ) -> list[list[AnyResult] | AihubError]:
        """For every request one result a picture, or why there is none."""
        ...


class Artifacts(Protocol):
    """Evidence by name."""

    def read(self, name: str) -> bytes:
        """The picture of that name, JPEG.

        Raises:
            NotFoundError: there is none, or no longer.
        """
        ...


@dataclass(frozen=True)
class Services:
    """The parts that the app is built from.

    Attributes:
        settings: what is set.
        registry: the algorithms.
        predictor: runs their models.
        repository: the database.
        artifacts: evidence of events.
        infer: runs an algorithm on pictures.
        infer_many: runs several on the same pictures, what they share once.
        started_at: when the process started, epoch seconds.
        version: of the hub.
        health: None when the process is fine, else why not.
        usage: counts what was used; None for one of the app's own.
        engine: runs raw models for the Open Inference Protocol; None offers algorithms only.
        own_cards: algorithms that users give to the running hub; None takes none.
        names_requests: whether answers carry X-Request-Id; off behind a server that adds it, as Serve's does.
    """

    settings: Settings
    registry: Registry
    predictor: Predictor
    repository: Repository
    artifacts: Artifacts
    infer: Infer
    infer_many: InferMany = inference.infer_many
    started_at: float = field(default_factory=time.time)
    version: str = __version__
    health: Callable[[], str | None] = lambda: None
    usage: UsageBook | None = None
    engine: Engine | None = None
    own_cards: OwnCards | None = None
    names_requests: bool = True
