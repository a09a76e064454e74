"""What a detector recipe says, and the data that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.recipes.pictures import Split, read
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
            InputError: a set is not there.
        """
        parts = [read(data / name, "train", self.labels) for name in self.sets]
        random = np.random.default_rng(self.plan.seed)
        for name, count in self.negatives.items():
            parts.append(read(data / name, "train", self.labels, empty=True).some(count, random))
        parts += [read(folder, "annotations", self.labels) for folder in also]
        return Split.joined(parts)

    def checked_on(self, data: Path) -> Split:
        """The validation part, which chooses among the epochs."""
        return Split.joined([read(data / name, "val", self.labels) for name in self.sets])
