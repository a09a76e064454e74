"""A detector that stays as it is, and beside it one more that finds something new in what the first one sees.

The first loses nothing, since none of its weights change, and the two cost little more than one: all they do not share are the
last layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from models.recipes.donor import Detector, Donor


class _Twice(nn.Module):
    """One tower in place of two: its features serve classes and boxes alike."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, *stems: Tensor) -> list[Tensor]:
        return [feature for one in self.tower(*stems) for feature in (one, one)]


class Branched(nn.Module):
    """What training sees is the new detector alone.

    Args:
        trunk: (n, 3, 416, 416) -> what both detectors look at.
        old: is kept as it is.
        new: learns.
    """

    def __init__(self, trunk: nn.Module, old: Detector, new: Detector) -> None:
        super().__init__()
        self.trunk, self.old, self.new = trunk, old, new
        self.body, self.classes = new.body, new.classes
        for part in (trunk, old):
            part.requires_grad_(requires_grad=False)

    @property
    def cells(self) -> Tensor:
        """See `grid`."""
        return self.new.cells

    @property
    def strides(self) -> Tensor:
        """See `grid`."""
        return self.new.strides

    def forward(self, pictures: Tensor) -> Tensor:
        """What the new detector finds; see `Detector.forward`."""
        with torch.no_grad():
            stems = self.trunk(pictures)
        return self.new(*stems)

    def corners(self, raw: Tensor) -> Tensor:
        """See `Detector.corners`."""
        return self.new.corners(raw)

    def both(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """What each of the two finds."""
        stems = self.trunk(pictures)
        return self.old(*stems), self.new(*stems)


def beside_donor(path: Path, kept: Mapping[int, int], fresh: int) -> Branched:
    """The donor with some of its classes, and a detector of others beside it, which begins with the donor's tower for boxes.

    Args:
        path: see `Donor`.
        kept: classes of the one that stays -> the donor's index of each.
        fresh: classes of the one that learns.
    """
    donor = Donor(path)
    stems = donor.stems()
    old = Detector(donor.part(stems, donor.features("cls", "reg")), donor.channels, len(kept))
    donor.lend(old, kept)
    new = Detector(_Twice(donor.part(stems, donor.features("reg"))), donor.channels, fresh)
    donor.lend_boxes(new)
    return Branched(donor.part(["images"], stems), old, new)
