"""What codecs and broken transmissions leave in a picture: a grid of blocks, blocks that do not fit, combed edges.

All three are looked for in the full picture, since shrinking it takes them away.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.picture_quality import clearness
from aihub.algorithms.colours import full_grey
from aihub.types import AnyResult, Frame, Image, Predictor, Quality

F32 = npt.NDArray[np.float32]
I16 = npt.NDArray[np.int16]

GRID = 8
"""Side of the blocks of JPEG, MPEG and H.264's transforms, pixels."""
SLICE = 1024
"""Most rows, and most columns, of the full picture that are looked at: the middle of it."""


class BlockyParams(StageParams):
    """Settings of `blocky-picture`."""

    blockiness: float = Field(
        1.6,
        gt=1,
        le=10,
        description="Mean step at the edges of blocks over the mean step elsewhere, from which it is a fault.",
    )
    step: float = Field(
        1.0, ge=0, le=50, description="Least step at the edges of blocks more than elsewhere, in grey levels."
    )


class BlockyPicture(Stage[BlockyParams]):
    """The grid of a codec that got too few bits: steps every eight pixels and smooth between them.

    After Wang, Bovik, Evans ("Blind measurement of blocking artifacts in images", ICIP 2000) and Muijs, Kirenko ("A no-reference
    blocking artifact measure for adaptive video processing", EUSIPCO 2005): steps between neighbours are averaged by their
    place modulo eight; the strongest place is held against the others. Medians over the lines keep single edges out.
    """

    name = "blocky-picture"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """The weaker of the two directions against the limit: a fence is a grid one way only."""
        grey = _middle(full_grey(frame))
        across, down = grid_steps(grey), grid_steps(grey.T)
        ratio = min(across[0], down[0])
        step = min(across[1], down[1])
        score = clearness(ratio, self.params.blockiness, 3 * self.params.blockiness)
        if step < self.params.step:
            score = min(score, 0.4999)
        return Quality(score >= 0.5, score, {"blockiness": ratio, "block_step": step})


def _middle(grey: npt.NDArray[np.uint8]) -> I16:
    height, width = grey.shape
    top, left = max(height - SLICE, 0) // 2 // GRID * GRID, max(width - SLICE, 0) // 2 // GRID * GRID
    return grey[top : top + SLICE, left : left + SLICE].astype(np.int16)


def grid_steps(grey: I16) -> tuple[float, float]:
    """Step at the strongest place modulo eight over the median of the others, and the difference of the two in grey levels."""
    width = grey.shape[1]
    if width < 6 * GRID:
        return 1.0, 0.0
    steps = np.abs(np.diff(grey, axis=1))
    columns = np.minimum(steps, 32).mean(axis=0)  # one strong edge must not pass for many
    columns = columns[: len(columns) // GRID * GRID].reshape(-1, GRID)
    places = np.median(columns, axis=0)
    top, others = float(places.max()), float(np.median(places))
    return (top + 0.1) / (others + 0.1), top - others


TORN = 8
"""Step along a whole edge of a block, beyond what is beside it, from which the block does not fit; grey levels."""
RUN = 8
"""Pixels along which the step must hold."""
MOST_EDGES = 136
"""Edges across and down that are looked at, at most: all of them up to 1080 lines."""
PLACES = (16, 20, 28)
"""Columns at which edges are looked for, modulo 16: the grid of the codec, and two that no codec tears."""
USUAL_S = 60.0
"""Time constant with which edges that stay become part of the scene."""
OUTAGE_S = 15.0
"""After a longer gap between frames the scene may be another."""


class TornParams(StageParams):
    """Settings of `torn-blocks`."""

    share: float = Field(
        0.002,
        gt=0,
        le=0.5,
        description="Share of the edges of blocks that do not fit, from which it is a fault.",
    )
    alone: float = Field(
        0.006,
        gt=0,
        le=0.5,
        description="The same on a picture without any before it, where edges of the scene count too.",
    )
    blank: float = Field(
        0.08,
        gt=0,
        le=1,
        description="Share of the picture that is a decoder's empty grey or green, from which it is a fault.",
    )


class TornBlocks(Stage[TornParams]):
    """Blocks that do not belong where they are: packets were lost and the decoder went on.

    On the edges of 16-pixel blocks the step between two pixels is held against the steps right before and after it; an edge
    whose step stands out over its whole length is torn. Edges of things do that too, but anywhere, so what is found beside
    the grid is taken off, and so is what has been there for long. Grey or green areas without any noise are what decoders
    start from.
    """

    name = "torn-blocks"
    stateful = True

    def __init__(self, params: TornParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._usual: list[F32] = []
        self._shape: tuple[int, ...] = ()
        self._since = self._last = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Share of torn edges, or of blank blocks, against their limits."""
        grey, now = full_grey(frame), frame.monotonic
        maps = [torn_edges(view, place) for view in (grey, grey.T) for place in PLACES]
        elapsed, self._last = now - self._last, now
        if grey.shape != self._shape or not 0 <= elapsed <= OUTAGE_S:
            self._shape, self._since = grey.shape, now
            self._usual = [edges.astype(np.float32) for edges in maps]
            fresh, limit = maps, self.params.alone
        else:
            fresh = [edges & (usual < 0.3) for edges, usual in zip(maps, self._usual, strict=True)]
            limit = self.params.share
            share = 1 - math.exp(-elapsed / min(USUAL_S, max(now - self._since, 1e-3)))
            for edges, usual in zip(maps, self._usual, strict=True):
                usual += np.float32(share) * (edges - usual)
        torn = sum(max(_beyond(fresh[first : first + len(PLACES)]), 0.0) / 2 for first in (0, len(PLACES)))
        blank = blank_share(frame.image)
        score = max(clearness(torn, limit, 10 * limit), clearness(blank, self.params.blank, 1.0))
        return Quality(score >= 0.5, score, {"torn_share": torn, "blank_share": blank})


def _beyond(maps: list[npt.NDArray[np.bool_]]) -> float:
    """Share of torn edges on the grid beyond the share beside it."""
    on, *off = (float(edges.mean()) if edges.size else 0.0 for edges in maps)
    return on - max(off)


def torn_edges(grey: npt.NDArray[np.uint8], first: int) -> npt.NDArray[np.bool_]:
    """Which stretches, RUN high, of the upright edges at columns `first`, `first` + 16, ... are torn: `(n, m)`, perhaps empty."""
    height, width = grey.shape
    rows = height // RUN * RUN
    if width < 64 or rows < 4 * RUN:
        return np.zeros((0, 0), np.bool_)
    places = np.arange(first, width - 2, 16 * -(-width // (16 * MOST_EDGES)))
    stretches = np.arange(0, rows // RUN, -(-rows // (RUN * MOST_EDGES)))
    lines = (stretches[:, None] * RUN + np.arange(RUN)).reshape(-1, 1)
    before2, before, after, after2 = (
        grey[lines, places + shift].astype(np.int16) for shift in (-2, -1, 0, 1)
    )
    step = after - before
    beside = np.maximum(np.abs(before - before2), np.abs(after2 - after))
    excess = (np.abs(step) - 2 * beside).reshape(-1, RUN, len(places)).astype(np.float32)
    signs = np.sign(step).reshape(-1, RUN, len(places))
    return np.asarray((excess.mean(axis=1) > TORN) & (np.abs(signs.sum(axis=1)) >= RUN - 2))


def blank_share(image: Image) -> float:
    """Share of 16-pixel blocks that are exactly even in the grey of an empty buffer, or in its green."""
    rows, columns = image.shape[0] // 16, image.shape[1] // 16
    if not rows or not columns:
        return 0.0
    cut = image[: rows * 16, : columns * 16]
    first, *others = (
        cut[down::16, across::16] for down, across in ((3, 4), (8, 12), (12, 3), (13, 11), (7, 7))
    )
    even = np.all([(other == first).all(axis=-1) for other in others], axis=0)
    blue, green, red = first[..., 0], first[..., 1], first[..., 2]
    grey = (
        (first.min(axis=-1) >= 126)
        & (first.max(axis=-1) <= 132)
        & (first.max(axis=-1) - first.min(axis=-1) <= 1)
    )
    empty = (blue <= 4) & (red <= 4) & (green >= 70) & (green <= 160)
    return float((even & (grey | empty)).mean())


COMB = 12
"""Grey levels by which a line must stand out from both its neighbours to be a tooth of a comb."""
COMBED = 0.25
"""Share of the pixels of a block that are teeth where it is combed."""


class CombedParams(StageParams):
    """Settings of `combed-picture`."""

    share: float = Field(
        0.01,
        gt=0,
        le=0.5,
        description="Share of the picture's blocks that are combed, from which it is a fault.",
    )


class CombedPicture(Stage[CombedParams]):
    """Two half pictures of different moments woven into one: edges of what moves have teeth.

    A pixel is a tooth when it stands out, the same way, from the line above and the line below while the line two above is
    like it, as deinterlacers find combs. Upright combs of the scene are counted by the same measure turned, and taken off.
    """

    name = "combed-picture"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Share of combed blocks against its limit."""
        grey = _middle(full_grey(frame))
        combed = max(combed_share(grey) - 2 * combed_share(grey.T), 0.0)
        score = clearness(combed, self.params.share, 12 * self.params.share)
        return Quality(score >= 0.5, score, {"combed_share": combed})


def combed_share(grey: I16) -> float:
    """Share of 16-pixel blocks in which lines alternate, in [0, 1]."""
    rows, columns = (grey.shape[0] - 4) // 16, grey.shape[1] // 16
    if rows < 1 or columns < 1:
        return 0.0
    lines = grey[: rows * 16 + 4, : columns * 16]
    here, above, below = lines[2:-2], lines[1:-3], lines[3:-1]
    up, down = here - above, here - below
    least = np.minimum(np.abs(up), np.abs(down))
    alike = np.maximum(np.abs(here - lines[:-4]), np.abs(here - lines[4:]))
    teeth = (np.sign(up) == np.sign(down)) & (least > COMB) & (alike < least)
    blocks = teeth.reshape(rows, 16, columns, 16).mean(axis=(1, 3))
    return float((blocks > COMBED).mean())
