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

WIDTH = 48
"""Channels of the new towers."""
TEXTURES = (32, 64, 128)
"""Channels of the donor's own features at strides 4, 8 and 16."""
STEM = 64
"""Channels of what both of the donor's towers begin with."""


class Towers(nn.Module):
    """Features of something small, from fine textures and from what the donor makes of the whole; they serve classes and boxes alike.

    Takes features at strides 4, 8 and 16 before the donor joins them, and its stems at strides 8, 16 and 32.
    """

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = TEXTURES
        self.finer = nn.Conv2d(fine, fine, 3, stride=2, padding=1, groups=fine)
        mixed = (fine + middle + STEM, coarse + STEM, STEM)
        self.towers = nn.ModuleList(_tower(channels) for channels in mixed)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor, *stems: Tensor) -> list[Tensor]:
        """(n, 32, 104, 104), (n, 64, 52, 52), (n, 128, 26, 26) and three stems -> class and box features of each stride in turn."""
        mixed = (
            torch.cat((self.finer(fine), middle, stems[0]), 1),
            torch.cat((coarse, stems[1]), 1),
            stems[2],
        )
        found = [tower(seen) for tower, seen in zip(self.towers, mixed, strict=True)]
        return [feature for one in found for feature in (one, one)]


def _tower(channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(channels, WIDTH, 1), nn.SiLU()]
    for _ in range(2):
        layers += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH), nn.Conv2d(WIDTH, WIDTH, 1), nn.SiLU()]
    return nn.Sequential(*layers)


class Branched(nn.Module):
    """What training sees is the new detector alone.

    Args:
        trunk: (n, 3, 416, 416) -> textures and stems, see `Towers`; the old one looks at the stems only.
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
            seen = self.trunk(pictures)
        return self.new(*seen)

    def corners(self, raw: Tensor) -> Tensor:
        """See `Detector.corners`."""
        return self.new.corners(raw)

    def both(self, pictures: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """What each of the two finds; see `Detector.columns`."""
        seen = self.trunk(pictures)
        return self.old.columns(*seen[len(TEXTURES) :]), self.new.columns(*seen)


class Sharpened(nn.Module):
    """A body that also sees fine textures where small things are answered for; it begins as what it is made from.

    Args:
        trunk: (n, 3, 416, 416) -> textures and stems, see `Towers`.
        towers: stems -> class and box features of each stride in turn.
    """

    def __init__(self, trunk: nn.Module, towers: nn.Module) -> None:
        super().__init__()
        fine, middle, _ = TEXTURES
        self.trunk, self.towers = trunk, towers
        self.finer = nn.Conv2d(fine, fine, 3, stride=2, padding=1, groups=fine)
        self.added = nn.Conv2d(fine + middle, STEM, 1)
        for weight in self.added.parameters():
            nn.init.zeros_(weight)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """See `Detector`."""
        fine, middle, _, first, *others = self.trunk(pictures)
        first = first + self.added(torch.cat((self.finer(fine), middle), 1))
        return list(self.towers(first, *others))


def sharpened_donor(path: Path, classes: int, inherited: Mapping[int, int]) -> Detector:
    """As `from_donor`, with a body that also sees fine textures."""
    donor = Donor(path)
    stems, textures = donor.stems(), donor.halvings()[1 : 1 + len(TEXTURES)]
    body = Sharpened(
        donor.part(["images"], [*textures, *stems]), donor.part(stems, donor.features("cls", "reg"))
    )
    made = Detector(body, donor.channels, classes)
    donor.lend(made, inherited)
    return made


def beside_donor(path: Path, kept: Mapping[int, int], fresh: int) -> Branched:
    """The donor with some of its classes, and a detector of others beside it.

    Args:
        path: see `Donor`.
        kept: classes of the one that stays -> the donor's index of each.
        fresh: classes of the one that learns.
    """
    donor = Donor(path)
    stems = donor.stems()
    old = Detector(donor.part(stems, donor.features("cls", "reg")), donor.channels, len(kept))
    donor.lend(old, kept)
    textures = donor.halvings()[1 : 1 + len(TEXTURES)]
    return Branched(donor.part(["images"], [*textures, *stems]), old, Detector(Towers(), WIDTH, fresh))
