"""Read text: PP-OCR finds lines, cuts them out upright, and spells them."""

from __future__ import annotations

import time
from concurrent.futures import Future
from operator import itemgetter
from typing import cast

import cv2
import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.text_lines import F32, find_lines, map_size, side_lengths
from aihub.algorithms.builtin.text_strips import (
    alphabet,
    batches,
    cut_strips,
    normalised,
    spell,
    tensor,
)
from aihub.errors import DeadlineError, DecodeError
from aihub.types import AnyResult, Frame, Image, Predictor, Tensor, Texts

FINDER, READER, TURNER = "ppocr-det", "text-rec", "ppocr-cls"
"""Models or roles: where lines are, what they say, whether they stand on their head."""
PATIENCE_S = 30.0
"""How long one picture may take before the stage gives up."""
TURNER_WIDTH = 192

Run = Future[dict[str, Tensor]]


class ReadTextParams(StageParams):
    """Parameters of `read-text`."""

    min_confidence: float = Field(0.5, ge=0, le=1, description="Lines read with less certainty are left out.")
    min_height: float = Field(
        0, ge=0, le=10000, description="Lines lower than this, pixels of the picture, are left out."
    )
    max_side: int = Field(
        960,
        ge=64,
        le=4096,
        description="The picture's long side, pixels, when looking for lines. More finds smaller print and takes longer.",
    )
    upside_down: bool = Field(False, description="Also read lines that stand on their head: one more model.")


class ReadText(Stage[ReadTextParams]):
    """All text of the picture, line by line, top to bottom and left to right."""

    name = "read-text"

    @classmethod
    def models(cls, params: ReadTextParams) -> tuple[str, ...]:
        """The finder and the reader, and the turner where asked for."""
        return (FINDER, READER, TURNER) if params.upside_down else (FINDER, READER)

    def begin(self, frame: Frame) -> None:
        """Start looking for lines."""
        self._map(frame)

    def process(self, frame: Frame, found: AnyResult | None) -> Texts:  # noqa: ARG002 - the whole picture is read
        """Read the picture.

        Raises:
            AihubError: a model refused or failed; `DeadlineError` after `PATIENCE_S`.
        """
        until = time.monotonic() + PATIENCE_S
        probability = first_output(self._map(frame), until)
        if probability.ndim != 4:
            raise DecodeError(f"{FINDER} gave a map of shape {probability.shape}")
        quads = find_lines(probability[0, 0], (frame.height, frame.width))
        quads = quads[side_lengths(quads).min(axis=1) >= self.params.min_height]
        words = self._words(cut_strips(frame.image, quads), frame, until)
        floor = self.params.min_confidence
        kept = [row for row, (said, sure) in enumerate(words) if said.strip() and sure >= floor]
        said = tuple(words[row][0] for row in kept)
        return Texts(quads[kept], said, np.array([words[row][1] for row in kept], np.float32))

    def _map(self, frame: Frame) -> Run:
        return line_map(self.predictor, frame, self.params.max_side)

    def _words(self, strips: list[Image], frame: Frame, until: float) -> list[tuple[str, float]]:
        """What each strip says and how sure that is; strips that may stand on their head are read both ways."""
        doubtful = self._doubtful(strips, frame, until) if self.params.upside_down else []
        both = [*strips, *(strips[row][::-1, ::-1] for row in doubtful)]
        words = self._read(both, frame, until)
        for row, turned in zip(doubtful, words[len(strips) :], strict=True):
            words[row] = max(words[row], turned, key=itemgetter(1))
        return words[: len(strips)]

    def _read(self, strips: list[Image], frame: Frame, until: float) -> list[tuple[str, float]]:
        runs = [(chosen, self._run(READER, pixels, frame, until)) for chosen, pixels in batches(strips)]
        words = [("", 0.0)] * len(strips)
        for chosen, run in runs:
            scores = first_output(run, until)
            meaning = alphabet(self.predictor.metadata(READER).get("character", ""))
            if scores.ndim != 3 or scores.shape[2] != len(meaning):
                raise DecodeError(
                    f"{READER} gave scores of shape {scores.shape} for {len(meaning)} characters"
                )
            for index, word in zip(chosen, spell(scores, meaning), strict=True):
                words[index] = word
        return words

    def _run(self, model: str, pixels: Tensor, frame: Frame, until: float) -> Run:
        return self.predictor.run(model, {"x": pixels}, source=frame.source, deadline=until, bill=frame.bill)

    def _doubtful(self, strips: list[Image], frame: Frame, until: float) -> list[int]:
        """Strips that the turner takes to stand on their head. It errs on fancy letters."""
        if not strips:
            return []
        run = self._run(TURNER, tensor(strips, TURNER_WIDTH), frame, until)
        odds = first_output(run, until)
        if odds.shape != (len(strips), 2):
            raise DecodeError(f"{TURNER} gave odds of shape {odds.shape} for {len(strips)} lines")
        return [int(index) for index in np.flatnonzero(odds[:, 1] > odds[:, 0])]


def line_map(predictor: Predictor, frame: Frame, max_side: int) -> Run:
    """Start to look for lines, once a frame and size, whoever asks; the map is `first_output` of the run."""
    rows, columns = map_size(frame.height, frame.width, max_side)

    def start() -> Run:
        scaled = cast("Image", cv2.resize(frame.image, (columns, rows), interpolation=cv2.INTER_LINEAR))
        return predictor.run(FINDER, {"x": normalised(scaled)}, source=frame.source, bill=frame.bill)

    return frame.memo.get((FINDER, rows, columns), start)


def first_output(run: Run, until: float) -> F32:
    """The only output of a run.

    Raises:
        AihubError: the model refused or failed; `DeadlineError` after `until`, by the monotonic clock.
    """
    try:
        outputs = run.result(timeout=max(0.0, until - time.monotonic()))
    except TimeoutError as error:
        raise DeadlineError(f"reading text took more than {PATIENCE_S:.0f} s") from error
    return cast("F32", next(iter(outputs.values())))
