"""What the HTTP face stands on. Everything behind these names can be replaced, so the app runs without Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aihub import __version__
from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.registry import Registry
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
        started_at: when the process started, epoch seconds.
        version: of the hub.
        health: None when the process is fine, else why not.
        names_requests: whether answers carry X-Request-Id; off behind a server that adds it, as Serve's does.
    """

    settings: Settings
    registry: Registry
    predictor: Predictor
    repository: Repository
    artifacts: Artifacts
    infer: Infer
    started_at: float = field(default_factory=time.time)
    version: str = __version__
    health: Callable[[], str | None] = lambda: None
    names_requests: bool = True
