"""Stage `gauge`: the water's level on a staff gauge, from the numbers above the water and where the plate goes under."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field as Setting

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.document_fields import page_of, within
from aihub.algorithms.fields.page import Line, Page, tight
from aihub.types import AnyResult, Field, Fields, Frame, Image, Predictor

F64 = npt.NDArray[np.float64]
FEWEST = 3
"""Numbers that must stand on one straight scale: less is no gauge."""
MEMORY_S = 3600.0
"""Seconds that a scale is remembered after a number was last seen on it."""
STRAY = 0.25
"""Of the distance of neighbouring numbers, how far one may stand from its place on the scale."""
WHOLE = 0.85
"""Of the usual height, what a number must have to count as altogether above the water."""
REACH = 1.3
"""Distances of neighbouring numbers below the lowest in which the water must begin: else the next would be read."""
SHARE = 0.6
"""Of the difference of rows that the parting at the water must explain to be one."""
_NUMBER = re.compile(r"-?\d{1,4}(?:\.\d)?")


class GaugeParams(StageParams):
    """Parameters of `gauge`."""

    unit: float = Setting(0.01, gt=0, le=100, description="Metres of the number 1 on the plate.")
    offset: float = Setting(0.0, ge=-10000, le=10000, description="Metres that the plate's zero stands at.")


@dataclass(frozen=True, slots=True)
class Scale:
    """Which number stands at which row.

    Attributes:
        value: at `row`.
        row: pixels.
        slope: value a pixel, negative.
        step: pixels between neighbouring numbers.
        column: left and right of the numbers, pixels.
        size: (height, width) of the picture, pixels.
    """

    value: float
    row: float
    slope: float
    step: float
    column: tuple[float, float]
    size: tuple[int, int]

    def at(self, row: F64 | float) -> Any:
        """The value at a row, or at several."""
        return self.value + self.slope * (row - self.row)


class Gauge(Stage[GaugeParams]):
    """Fields `lowest-number`, the last above the water, and `level`, metres.

    Numbers get smaller downwards, evenly. Three tell the scale; where the camera stands still, one of them is enough
    afterwards. The level is valid where the water's edge was seen; where it was not, it is half a step below the lowest
    number. Its place is the scale from the lowest number to the water.
    """

    name = "gauge"
    stateful = True

    def __init__(self, params: GaugeParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._known: Scale | None = None
        self._seen_at = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Fields:
        """See the class.

        Raises:
            StageError: the stage before gave no text.
        """
        numbers = numbers_of(page_of(self.name, frame, found))
        scale = self._scale(frame, numbers)
        if scale is None:
            return Fields()
        fits = np.abs(scale.at(numbers.rows) - numbers.values) <= STRAY * abs(scale.slope) * scale.step
        chosen = np.flatnonzero(fits)
        last = int(chosen[numbers.rows[chosen].argmax()])
        lowest = float(numbers.rows[last])
        edge = water_edge(frame.image, scale.column, lowest, scale.step)
        row = lowest + scale.step / 2 if edge is None else edge
        level = float(scale.at(row)) * self.params.unit + self.params.offset
        sure = min(numbers.lines[index].confidence for index in chosen.tolist())
        x1, x2 = scale.column
        under = ((x1, lowest), (x2, lowest), (x2, row), (x1, row))
        return within(
            frame,
            [
                numbers.lines[last].field("lowest-number", f"{numbers.values[last]:g}"),
                Field("level", f"{level:.2f}", sure, edge is not None, under),
            ],
        )

    def _scale(self, frame: Frame, numbers: Numbers) -> Scale | None:
        """The scale that the numbers tell, else the one that was told before, if a number still stands on it."""
        size = (frame.height, frame.width)
        told = scale_of(numbers, size)
        if told is not None:
            self._known, self._seen_at = told, frame.monotonic
            return told
        known = self._known
        if known is None or known.size != size or not 0 <= frame.monotonic - self._seen_at <= MEMORY_S:
            self._known = None
            return None
        close = np.abs(known.at(numbers.rows) - numbers.values) <= STRAY * abs(known.slope) * known.step
        across = (numbers.middles >= known.column[0]) & (numbers.middles <= known.column[1])
        if not (close & across).any():
            return None
        self._seen_at = frame.monotonic
        return known


@dataclass(frozen=True, slots=True)
class Numbers:
    """Lines that are numbers: their values, the rows and columns of their middles, and heights, `(N,)` float64 each."""

    lines: tuple[Line, ...]
    values: F64
    rows: F64
    middles: F64
    heights: F64


def numbers_of(page: Page) -> Numbers:
    """The numbers of a page."""
    kept = [index for index, line in enumerate(page.lines) if _NUMBER.fullmatch(tight(line.text))]
    lines = tuple(page.lines[index] for index in kept)
    boxes = page.boxes[kept]
    values = np.array([float(tight(line.text)) for line in lines], np.float64)
    middles, heights = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3] - boxes[:, 1]
    return Numbers(lines, values, (boxes[:, 1] + boxes[:, 3]) / 2, middles, heights)


def scale_of(numbers: Numbers, size: tuple[int, int]) -> Scale | None:
    """The straight scale, falling downwards, that most of the numbers stand on; None where they are fewer than three.

    Args:
        numbers: any.
        size: (height, width) of the picture, pixels.
    """
    values, rows = numbers.values, numbers.rows
    apart, change = rows[:, None] - rows, values[:, None] - values
    pairs = np.argwhere((apart > 0) & (change < 0))
    if len(values) < FEWEST or not len(pairs):
        return None
    # each falling pair proposes a scale, and each number is held against each proposal
    one, other = pairs.T
    slope = change[one, other] / apart[one, other]
    strays = np.abs(values[one][:, None] + slope[:, None] * (rows - rows[one][:, None]) - values)
    agree = strays <= STRAY * np.abs(change[one, other])[:, None]
    best = int(np.lexsort((apart[one, other], -agree.sum(axis=1)))[0])
    chosen = np.flatnonzero(agree[best])
    if len(np.unique(values[chosen])) < FEWEST:
        return None
    whole = chosen[numbers.heights[chosen] >= WHOLE * np.median(numbers.heights[chosen])]
    if len(whole) >= 2:
        chosen = whole  # the middle of what half stands in the water is not where the number's middle is
    fitted, _ = np.polyfit(rows[chosen], values[chosen], 1)
    step = float(np.median(np.diff(np.sort(rows[chosen]))))
    if fitted >= 0 or step < 1:
        return None
    corners = np.array([numbers.lines[index].quad for index in chosen.tolist()])
    left, right = np.median(corners[:, :, 0].min(axis=1)), np.median(corners[:, :, 0].max(axis=1))
    middle = float(rows[chosen].mean())
    return Scale(float(values[chosen].mean()), middle, float(fitted), step, (float(left), float(right)), size)


def water_edge(image: Image, column: tuple[float, float], lowest: float, step: float) -> float | None:
    """The row where the plate goes into the water; None where no edge parts the rows below the lowest number clearly.

    Args:
        image: `(H, W, 3)` uint8.
        column: left and right of the numbers, pixels.
        lowest: row of the middle of the lowest number, pixels.
        step: distance of neighbouring numbers, pixels.
    """
    height, width = image.shape[:2]
    begin, end = round(lowest - 0.5 * step), min(round(lowest + (REACH + 0.7) * step), height)
    left, right = max(round(column[0]), 0), min(round(column[1]), width)
    part = image[max(begin, 0) : end, left:right]
    if len(part) < 6 or part.shape[1] < 3:
        return None
    rows = np.percentile(part, 80, axis=1).astype(np.float64)  # the plate's ground, not the digits on it
    total = ((rows - rows.mean(axis=0)) ** 2).sum()
    counts = np.arange(1, len(rows))
    sums = np.cumsum(rows, axis=0)[:-1]
    above, below = sums / counts[:, None], (rows.sum(axis=0) - sums) / (len(rows) - counts)[:, None]
    between = (counts * (len(rows) - counts) / len(rows)) * ((above - below) ** 2).sum(axis=1)
    split = int(between.argmax())
    row = max(begin, 0) + split + 1
    clear = total > 0 and between[split] >= SHARE * total and np.abs(above[split] - below[split]).max() >= 12
    return float(row) if clear and row <= lowest + REACH * step else None
