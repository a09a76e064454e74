"""What is missing, told so that somebody can bring it."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from aihub.engine.store import ModelStore
from aihub.errors import ModelNotFoundError


class WantedWeights(BaseModel):
    """Weights that are not here.

    Attributes:
        model: name of their card.
        file: where the file is to be had.
        source: who publishes it.
        license: of the weights, SPDX.
        command: that brings it.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    file: str
    source: str
    license: str
    command: str

    def words(self) -> str:
        """In a line."""
        return f"{self.model}: {self.file}, {self.license}; {' '.join(self.source.split())} `{self.command}`"


def wanted_weights(store: ModelStore, names: Iterable[str]) -> tuple[WantedWeights, ...]:
    """Of models (names or roles), those whose weights are not here; a name that nobody knows is left out."""
    found = []
    for name in names:
        try:
            card = store.resolve(name)
        except ModelNotFoundError:
            continue
        if not store.available(card):
            art = card.artifact
            found.append(
                WantedWeights(
                    model=card.name,
                    file=art.uri,
                    source=art.source,
                    license=art.license,
                    command=f"aihub models pull {name}",
                )
            )
    return tuple(found)
