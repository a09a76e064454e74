"""What algorithms have in common as models, whatever goes in: readiness and models are those of the card."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from aihub.algorithms.algorithm import Algorithm
from aihub.serve.oip.served import Ground, Served
from aihub.serve.oip.slots import Face, Slot
from aihub.types import Readiness


class CardModel(Served):
    """One algorithm card.

    Args:
        algorithm: of that card.
        ground: what it stands on.
        given: its inputs.
        made: its outputs.
    """

    platform = "aihub"
    backend = "aihub"

    def __init__(
        self, algorithm: Algorithm, ground: Ground, given: Sequence[Slot], made: Sequence[Slot]
    ) -> None:
        super().__init__(algorithm.card.id, algorithm.card.version, ground)
        self.algorithm = algorithm
        self._face = Face(tuple(given), tuple(made))

    @abstractmethod
    def unsuited(self) -> str:
        """Why it could not be asked even if it were ready; empty when it can."""

    def missing(self) -> str:
        """Why it cannot be asked: it is unsuited, or not ready."""
        if reason := self.unsuited():
            return reason
        readiness, reason = self.algorithm.readiness()
        return "" if readiness is Readiness.READY else reason

    def labels(self) -> tuple[str, ...]:
        """None: its outputs are no classes."""
        return ()

    def models(self) -> tuple[str, ...]:
        """What its stages need."""
        return self.algorithm.models()

    async def face(self) -> Face:
        """Known from the card."""
        return self._face
