"""Algorithm cards that users give to a running hub: checked, stored, and known to every process of it within seconds."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.expectations import read_expect
from aihub.algorithms.registry import Registry
from aihub.errors import AlgorithmNotFoundError, CardError, ConflictError, InputError
from aihub.storage.own_cards import OwnCard
from aihub.storage.records import Actor
from aihub.storage.repository import Repository
from aihub.types import AlgorithmCard, Predictor, read_card

logger = logging.getLogger(__name__)

COMPLAIN_EVERY_S = 60.0


class OwnCards:
    """Users' cards of one process. The folder is a copy of what the database holds; thread-safe.

    Args:
        repository: where they are.
        registry: reads the folder.
        predictor: whatever runs models; cards are bound to it when they are checked.
        folder: below the hub's home, read by `registry`.
    """

    def __init__(
        self, repository: Repository, registry: Registry, predictor: Predictor, folder: Path
    ) -> None:
        self._repository, self._registry, self._predictor = repository, registry, predictor
        self._folder = folder
        self._stamp: tuple[int, int] | None = None
        self._turn = threading.Lock()
        self._complained_at = -math.inf

    def sync(self) -> None:
        """Take over what other processes changed. Costs one small query when nothing did.

        Raises:
            StorageError: the database does not answer.
        """
        with self._turn:
            stamp = self._repository.cards_stamp()
            if stamp == self._stamp:
                return
            try:
                self._copy(self._repository.list_cards())
            except OSError as error:  # a full disk must not keep streams from being analysed
                self._complain(error)
                return
            self._registry.reload()
            self._stamp = stamp

    def _complain(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_EVERY_S:
            self._complained_at = now
            logger.warning("cards of users cannot be written to %s: %s", self._folder, error)

    def _copy(self, cards: Sequence[OwnCard]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        names = {f"{card.id}.yaml" for card in cards}
        for gone in self._folder.glob("*.yaml"):
            if gone.name not in names:
                gone.unlink(missing_ok=True)
        for card in cards:
            self._write(self._folder / f"{card.id}.yaml", card.text)
        logger.info("%d cards of users", len(cards))

    @staticmethod
    def _write(path: Path, text: str) -> None:
        """Only where it differs, so that what has not changed is not read again; whole or not at all."""
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
        fresh = path.with_suffix(f".{threading.get_ident()}.new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)

    def checked(self, card_id: str, text: str) -> Algorithm:
        """The algorithm that a text describes.

        Raises:
            InputError: it is no sound card; says line or field, and what is wrong.
            ConflictError: an algorithm of that id comes with the hub.
        """
        try:
            card = read_card(text, AlgorithmCard, f"{card_id}.yaml")
            for example in card.examples:
                read_expect(example.expect)
            algorithm = Algorithm(card, self._predictor)
        except CardError as error:
            raise InputError(str(error), field=error.field or "body", hint=error.hint) from error
        if card.id != card_id:
            raise InputError(f"the card's id is {card.id!r}, not {card_id!r}", field="id")
        self._refuse_shipped(card_id)
        return algorithm

    def _refuse_shipped(self, card_id: str) -> None:
        try:
            known = self._registry.get(card_id)
        except AlgorithmNotFoundError:
            return
        if known.path is None or known.path.parent != self._folder:
            raise ConflictError(f"the algorithm {card_id!r} comes with the hub", hint="give yours another id")

    def put(self, card_id: str, text: str, by: Actor) -> bool:
        """Check and store a card; this process knows it at once, the others within two seconds.

        Returns:
            Whether it is new.

        Raises:
            InputError, ConflictError: as `checked`.
        """
        self.checked(card_id, text)
        fresh = self._repository.put_card(card_id, text, by=by)
        self.sync()
        return fresh

    def remove(self, card_id: str, by: Actor) -> None:
        """Forget a card.

        Raises:
            AlgorithmNotFoundError: no user gave one of that id.
            ConflictError: it comes with the hub.
        """
        self._refuse_shipped(card_id)
        self._repository.delete_card(card_id, by=by)
        self.sync()
