"""Every algorithm of this hub, read from folders of cards."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Sequence
from pathlib import Path

from aihub.algorithms.algorithm import Algorithm
from aihub.errors import AlgorithmNotFoundError, CardError
from aihub.plugins import PluginFailure, card_folders, load_group
from aihub.types import AlgorithmCard, Predictor, load_card

SCENARIOS = "scenarios"
"""Folder beside the domains that holds bundles of algorithms, which are no algorithm cards."""

_Stamp = tuple[int, int]


class Registry:
    """All `*.yaml` below some folders. A broken card is listed in `failures`; it never stops the others.

    Safe to use from several threads.
    """

    def __init__(self, predictor: Predictor, folders: Sequence[Path] | None = None) -> None:
        """Read the cards; stages are imported first.

        Args:
            predictor: whatever runs models; asked which weights are here.
            folders: where to look, by default the algorithms that come with the hub and with installed packages. An id may occur once in all.
        """
        self._predictor = predictor
        self._folders = tuple(folders) if folders is not None else card_folders("pipelines")
        self.plugin_failures: tuple[PluginFailure, ...] = (
            *load_group("aihub.algorithms"),
            *load_group("aihub.rules"),
        )
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[_Stamp, Algorithm]] = {}
        self._algorithms: dict[str, Algorithm] = {}
        self._failures: list[CardError] = []
        self.reload()

    def list(self) -> list[Algorithm]:
        """Every algorithm whose card is sound, by domain and id; ask each for its readiness."""
        return list(self._algorithms.values())

    def get(self, id: str) -> Algorithm:  # noqa: A002 - the word of the field
        """One algorithm.

        Raises:
            AlgorithmNotFoundError: nobody has that id; suggests the nearest, or says why its card is broken.
        """
        algorithms = self._algorithms
        if found := algorithms.get(id):
            return found
        error = AlgorithmNotFoundError(id, algorithms)
        for failure in self._failures:
            if Path(failure.where.rpartition(".yaml")[0]).name == id:
                error.hint = f"its card is broken: {failure.message}"
        raise error

    @property
    def failures(self) -> builtins.list[CardError]:
        """Cards that could not be used, each with file, cause and field."""
        return [*self._failures]

    def reload(self) -> None:
        """Read what is new or has changed; forget what is gone. What runs keeps the card it started with."""
        with self._lock:
            read: dict[Path, tuple[_Stamp, Algorithm]] = {}
            algorithms: dict[str, Algorithm] = {}
            failures: list[CardError] = []
            for path in self._files():
                try:
                    loaded = self._load(path)
                except CardError as error:
                    failures.append(error)
                    continue
                read[path] = loaded
                card = loaded[1].card
                owner = algorithms.setdefault(card.id, loaded[1])
                if owner is not loaded[1]:
                    message = f"id {card.id!r} is already that of {owner.path}"
                    failures.append(CardError(message, where=str(path), field="id"))
            ordered = sorted(algorithms.values(), key=lambda a: (a.card.domain, a.card.id))
            self._read, self._failures = read, failures
            self._algorithms = {algorithm.card.id: algorithm for algorithm in ordered}

    def _files(self) -> builtins.list[Path]:
        return [
            path
            for folder in self._folders
            for path in sorted(folder.rglob("*.yaml"))
            if path.relative_to(folder).parts[0] != SCENARIOS
        ]

    def _load(self, path: Path) -> tuple[_Stamp, Algorithm]:
        try:
            status = path.stat()
        except OSError as error:
            raise CardError(f"cannot be read: {error}", where=str(path)) from error
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._read.get(path)
        if known is not None and known[0] == stamp:
            return known
        try:
            return stamp, Algorithm(load_card(path, AlgorithmCard), self._predictor, path)
        except CardError as error:
            if broken := self._broken_plugins():
                error.hint = "; ".join(filter(None, (error.hint, broken)))
            raise

    def _broken_plugins(self) -> str:
        return "; ".join(f"plug-in {f.name} is broken: {f.cause}" for f in self.plugin_failures)
