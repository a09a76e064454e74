"""What a detector recipe says, and the data that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aihub.evaluation import Predict
from models.recipes.donor import donor_labels
from models.recipes.pictures import Split, read
from models.recipes.training import Plan


@dataclass(frozen=True, slots=True)
class Recipe:
    """A detector of our own.

    Attributes:
        name: of the model.
        labels: what it tells apart, in order.
        sets: data sets, and which of the labels each marks wherever they show. Of the others nothing is learned from it: neither
            that they are there nor that they are not.
        negatives: other sets, and how many of their training pictures teach what is none of the labels.
        unsure: labels that may show in those all the same.
        inherits: labels that begin with what the donor knows -> its name for them.
        beside: the donor stays as it is, and what it does not know is learned beside it; these labels come last.
        sharp: the donor's body also gets fine textures, for small things.
        teacher: model that labels the pictures in place of people; empty for none.
        plan: how it is trained.
    """

    name: str
    labels: tuple[str, ...]
    sets: Mapping[str, tuple[str, ...]]
    negatives: Mapping[str, int] = field(default_factory=dict)
    unsure: tuple[str, ...] = ()
    inherits: Mapping[str, str] = field(default_factory=dict)
    beside: bool = False
    sharp: bool = False
    teacher: str = ""
    plan: Plan = field(default_factory=Plan)

    @property
    def notes(self) -> dict[str, str]:
        """Free texts that go into the file."""
        return {"license": "Apache-2.0", "labels": ",".join(self.labels)}

    @property
    def inherited(self) -> dict[int, int]:
        """`inherits` by index: ours -> the donor's."""
        theirs = donor_labels() if self.inherits else []
        return {self.labels.index(mine): theirs.index(name) for mine, name in self.inherits.items()}

    @property
    def fresh(self) -> tuple[str, ...]:
        """Labels that are learned: all, or those that the donor beside does not know."""
        return tuple(label for label in self.labels if not (self.beside and label in self.inherits))

    def learned_from(self, data: Path, teacher: Predict | None = None, also: Sequence[Path] = ()) -> Split:
        """The training part. Never a `test` part, of any set.

        Args:
            data: folder of the data sets.
            teacher: the model of that name.
            also: folders of further pictures, each with `annotations.json`, as `aihub datasets export` writes them.

        Raises:
            InputError: a set is not there.
        """
        parts = [read(data / name, "train", marked) for name, marked in self.sets.items()]
        random = np.random.default_rng(self.plan.seed)
        absent = [label for label in self.labels if label not in self.unsure]
        for name, count in self.negatives.items():
            parts.append(read(data / name, "train", absent).some(count, random))
        parts += [read(folder, "annotations", self.labels) for folder in also]
        return self._labelled(Split.joined(parts), teacher)

    def checked_on(self, data: Path, teacher: Predict | None = None) -> Split:
        """The validation part, which chooses among the epochs."""
        parts = [read(data / name, "val", marked) for name, marked in self.sets.items()]
        return self._labelled(Split.joined(parts), teacher)

    def _labelled(self, split: Split, teacher: Predict | None) -> Split:
        return split.labelled_by(teacher, self.fresh) if teacher else split
