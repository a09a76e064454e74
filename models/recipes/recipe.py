"""What a detector recipe says, and the data that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.recipes.pictures import Picture, Split, read
from models.recipes.training import Plan


@dataclass(frozen=True, slots=True)
class Recipe:
    """A detector of our own.

    Attributes:
        name: of the model.
        labels: what it tells apart, in order.
        sets: data sets with these labels.
        negatives: other sets, and how many of their training pictures teach what is none of the labels.
        plan: how it is trained.
    """

    name: str
    labels: tuple[str, ...]
    sets: tuple[str, ...]
    negatives: Mapping[str, int] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)

    def learned_from(self, data: Path, also: Sequence[Path] = ()) -> Split:
        """The training part. Never a `test` part, of any set.

        Args:
            data: folder of the data sets.
            also: folders of further pictures, each with `annotations.json`, as `aihub datasets export` writes them.

        Raises:
            FileNotFoundError: a set is not there.
        """
        pictures: list[Picture] = []
        digests: dict[str, str] = {}
        for name in self.sets:
            part = read(data / name, "train", self.labels)
            pictures += part.pictures
            digests |= part.digests
        random = np.random.default_rng(self.plan.seed)
        for name, count in self.negatives.items():
            part = read(data / name, "train", self.labels, empty=True)
            chosen = random.permutation(len(part.pictures))[:count]
            pictures += [part.pictures[at] for at in sorted(chosen.tolist())]
            digests |= part.digests
        for folder in also:
            part = read(folder, "annotations", self.labels)
            pictures += part.pictures
            digests |= part.digests
        return Split(pictures, digests)

    def checked_on(self, data: Path) -> Split:
        """The validation part, which chooses among the epochs."""
        parts = [read(data / name, "val", self.labels) for name in self.sets]
        digests = {name: digest for part in parts for name, digest in part.digests.items()}
        return Split([picture for part in parts for picture in part.pictures], digests)
