"""Stage `orientation`: which way up a document lies, by the run of its lines and by which way its letters stand."""

from __future__ import annotations

import time

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.text import FINDER, PATIENCE_S, TURNER, TURNER_WIDTH, first_output, line_map
from aihub.algorithms.builtin.text_lines import find_lines, side_lengths
from aihub.algorithms.builtin.text_strips import TALL, cut_strips, tensor
from aihub.errors import DecodeError
from aihub.types import AnyResult, Frame, Image, Labels

NAMES = ("upright", "turned-right", "upside-down", "turned-left")
"""How the document lies: turned clockwise by 0, 90, 180, 270 degrees."""
MOST_LINES = 24
"""So many of the longest lines are asked."""


class OrientationParams(StageParams):
    """Parameters of `orientation`."""

    max_side: int = Field(
        640, ge=64, le=4096, description="The picture's long side, pixels, when looking for lines."
    )


class Orientation(Stage[OrientationParams]):
    """The four ways a document may lie, surest first; nothing where there are no lines.

    `turn_deg` is by how much to turn it clockwise to have it upright, `lines` how many lines told.
    """

    name = "orientation"

    @classmethod
    def models(cls, params: OrientationParams) -> tuple[str, ...]:  # noqa: ARG003 - the same with all
        """The finder, and what knows letters on their head."""
        return (FINDER, TURNER)

    def begin(self, frame: Frame) -> None:
        """Start looking for lines."""
        line_map(self.predictor, frame, self.params.max_side)

    def process(self, frame: Frame, found: AnyResult | None) -> Labels:  # noqa: ARG002 - a first stage
        """Look for lines and ask the longest.

        Raises:
            AihubError: a model refused or failed; `DeadlineError` after `PATIENCE_S`.
        """
        until = time.monotonic() + PATIENCE_S
        probability = first_output(line_map(self.predictor, frame, self.params.max_side), until)
        if probability.ndim != 4:
            raise DecodeError(f"{FINDER} gave a map of shape {probability.shape}")
        quads = find_lines(probability[0, 0], (frame.height, frame.width))
        sides = side_lengths(quads).reshape(-1, 2)
        longest = np.argsort(-sides.max(axis=1, initial=0), kind="stable")[:MOST_LINES]
        quads, sides = quads[longest], sides[longest]
        if not len(quads):
            return Labels.of({}, {"lines": 0.0})
        tall = sides[:, 1] >= TALL * sides[:, 0]
        weight = sides.max(axis=1)
        sideways = float(weight[tall].sum() / weight.sum())
        chosen = tall if sideways > 0.5 else ~tall
        head = self._on_head(cut_strips(frame.image, quads[chosen]), weight[chosen], frame, until)
        # `cut_strips` turns a tall line to the left: a document turned right then stands upright
        odds = (
            (1 - sideways) * (1 - head),
            sideways * (1 - head),
            (1 - sideways) * head,
            sideways * head,
        )
        best = int(np.argmax(odds))
        measures = {"turn_deg": float(-90 * best % 360), "lines": float(chosen.sum())}
        return Labels.of(dict(zip(NAMES, map(float, odds), strict=True)), measures)

    def _on_head(
        self, strips: list[Image], weight: np.typing.NDArray[np.float32], frame: Frame, until: float
    ) -> float:
        """How likely the lines stand on their head, 0 to 1: the mean over them, long lines count more."""
        pixels = tensor([_front(strip) for strip in strips], TURNER_WIDTH)
        run = self.predictor.run(TURNER, {"x": pixels}, source=frame.source, deadline=until, bill=frame.bill)
        odds = first_output(run, until)
        if odds.shape != (len(strips), 2):
            raise DecodeError(f"{TURNER} gave odds of shape {odds.shape} for {len(strips)} lines")
        share = odds[:, 1] / np.maximum(odds.sum(axis=1), 1e-6)
        return float(np.clip((share * weight).sum() / weight.sum(), 0, 1))


def _front(strip: Image) -> Image:
    """As much of a strip as the model looks at without squeezing: its middle."""
    spare = max(0, strip.shape[1] - TURNER_WIDTH) // 2
    return strip[:, spare : spare + TURNER_WIDTH]
