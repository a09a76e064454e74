"""Stage `no-signal`: what recorders and converters show in place of a camera: one colour, a test card, snow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.picture_quality import clearness
from aihub.types import AnyResult, Frame, Image, Quality

SAMPLES = 240
"""Most places across and down at which the picture is looked at."""
COLOURS = 10
"""A test card has so many colours at most."""
WHITE = 244
"""A picture of nothing but this is overexposed, which is another fault."""
SNOW = (0.3, 25.0)
"""Neighbours in snow have hardly anything in common, and it is strong: correlation below, spread in grey levels above."""


class NoSignalParams(StageParams):
    """How much of the picture."""

    share: float = Field(
        0.8,
        gt=0.5,
        lt=1,
        description="Least share of the picture in a few exactly even colours; the rest may be text.",
    )


class NoSignal(Stage[NoSignalParams]):
    """A picture that no lens made: nearly all of it in a few colours without any noise, or snow.

    A lens never gives two neighbours the same colour over most of the picture, let alone in ten shades all told; it is looked
    at in full size, for shrinking would even out the noise of a real but plain scene.
    """

    name = "no-signal"

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:  # noqa: ARG002 - a first stage
        """Share of even pixels in the commonest colours against its limit."""
        if min(frame.height, frame.width) < 16:
            return Quality(False, 0.0, {"even_share": 0.0, "covered_share": 0.0})
        here, right, below = _sampled(frame.image)
        steps = np.maximum(np.abs(right - here).max(axis=-1), np.abs(below - here).max(axis=-1))
        even = steps <= 1
        covered = _covered(here[even]) * float(even.mean())
        score = clearness(covered, self.params.share, 1.0)
        grey, next_grey = here.mean(axis=-1).ravel(), right.mean(axis=-1).ravel()
        spread, alike = float(grey.std()), 1.0
        if spread > SNOW[1] and next_grey.std() > 0:
            alike = float(np.corrcoef(grey, next_grey)[0, 1])
            if alike < SNOW[0]:
                score = max(score, 1.0 - max(alike, 0.0))
        return Quality(
            score >= 0.5,
            score,
            {"even_share": float(even.mean()), "covered_share": covered, "neighbour_likeness": alike},
        )


def _sampled(image: Image) -> tuple[npt.NDArray[np.int16], ...]:
    """Pixels on a grid, their neighbours to the right, and those below; `(n, m, 3)` int16 each."""
    height, width = image.shape[:2]
    down, across = max(height // SAMPLES, 2), max(width // SAMPLES, 2)
    here = image[: height - 1 : down, : width - 1 : across]
    return (
        here.astype(np.int16),
        image[: height - 1 : down, 1::across][:, : here.shape[1]].astype(np.int16),
        image[1::down, : width - 1 : across][: here.shape[0]].astype(np.int16),
    )


def _covered(colours: npt.NDArray[np.int16]) -> float:
    """Share of `(N, 3)` colours that are one of the commonest few, white left out."""
    if not len(colours):
        return 0.0
    # bins of four levels: the codec rounds a colour to one level up or down
    codes = (
        (colours[:, 0] >> 2).astype(np.int64) << 12
        | (colours[:, 1] >> 2).astype(np.int64) << 6
        | colours[:, 2] >> 2
    )
    kinds, counts = np.unique(codes, return_counts=True)
    white = WHITE >> 2
    counts[(kinds >> 12 >= white) & (kinds >> 6 & 63 >= white) & (kinds & 63 >= white)] = 0
    return float(np.sort(counts)[-COLOURS:].sum() / len(colours))
