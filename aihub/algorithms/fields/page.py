"""Lines of a document where they stand: what is written behind, or under, a label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aihub.algorithms.fields.match import halfwidth
from aihub.types import Field, Texts

Quad = tuple[tuple[float, float], ...]
_COLON = " :：;.·|-—_"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read.

    Attributes:
        text: full-width signs made plain.
        confidence: in [0, 1].
        quad: four corners x, y, pixels, clockwise from the top left.
    """

    text: str
    confidence: float
    quad: Quad

    def field(self, name: str, value: str, valid: bool | None = None) -> Field:
        """Something that stands in this line."""
        return Field(name, value, self.confidence, valid, self.quad)


class Page:
    """The lines of a document, in reading order.

    Attributes:
        lines: of it.
        boxes: `(N, 4)` float64 pixels around each, x1, y1, x2, y2.
        when: seconds since the epoch at which it was seen.
    """

    def __init__(self, lines: Sequence[Line], when: float = 0.0) -> None:
        self.lines = tuple(lines)
        self.when = when
        corners = np.array([line.quad for line in lines], np.float64).reshape(-1, 4, 2)
        self.boxes: npt.NDArray[np.float64] = np.concatenate(
            [corners.min(axis=1), corners.max(axis=1)], axis=1
        )

    @classmethod
    def of(cls, texts: Texts, when: float = 0.0) -> Page:
        """From what was read."""
        rows = zip(texts.text, texts.confidence.tolist(), texts.quads.tolist(), strict=True)
        return cls([Line(halfwidth(t), c, tuple((x, y) for x, y in quad)) for t, c, quad in rows], when)

    def rows(self) -> list[list[int]]:
        """Indices of the lines that stand side by side, from left to right, the rows from top to bottom."""
        middle = (self.boxes[:, 1] + self.boxes[:, 3]) / 2
        height = self.boxes[:, 3] - self.boxes[:, 1]
        rows: list[list[int]] = []
        for index in np.argsort(middle, kind="stable").tolist():
            near = rows and middle[index] - middle[rows[-1][-1]] < 0.6 * min(
                height[index], height[rows[-1][-1]]
            )
            if near:
                rows[-1].append(index)
            else:
                rows.append([index])
        return [sorted(row, key=lambda index: self.boxes[index, 0]) for row in rows]

    def behind(self, label: str, stop: str = "") -> tuple[str, Line] | None:
        """What is written behind a label: in its line, else to the right of it, else right under it.

        Args:
            label: regular expression, over text without spaces.
            stop: regular expression of the labels that end a value.
        """
        for index, line in enumerate(self.lines):
            match = re.search(label, tight(line.text), re.IGNORECASE)
            if match is None:
                continue
            rest = _ended(tight(line.text)[match.end() :], stop)
            if rest:
                return rest, line
            for other in self._beside(index):
                value = _ended(tight(self.lines[other].text), stop)
                if value:
                    return value, self.lines[other]
        return None

    def _beside(self, index: int) -> list[int]:
        """Indices of the nearest line to the right and the nearest below, in that order."""
        x1, y1, x2, y2 = self.boxes[index].tolist()
        height, middle = y2 - y1, (self.boxes[:, 1] + self.boxes[:, 3]) / 2
        right = np.flatnonzero(
            (np.abs(middle - (y1 + y2) / 2) < 0.6 * height) & (self.boxes[:, 0] > x2 - 0.5 * height)
        )
        below = np.flatnonzero(
            (self.boxes[:, 1] > y2 - 0.4 * height)
            & (self.boxes[:, 1] < y2 + 1.5 * height)
            & (self.boxes[:, 0] < x2)
            & (self.boxes[:, 2] > x1)
        )
        nearest = right[np.argsort(self.boxes[right, 0])][:1].tolist()
        return [*nearest, *below[np.argsort(self.boxes[below, 1])][:1].tolist()]

    def runs(self, most: int = 3) -> Iterable[tuple[str, tuple[int, ...]]]:
        """Lines together with those that follow them, for numbers written in parts: text with spaces, and indices.

        Side by side in one row, or under each other. First the single lines, then two together, and so on.
        """
        rows = self.rows()
        alone = [(index,) for row in rows for index in row]
        beside = [
            tuple(row[k : k + n]) for n in range(2, most + 1) for row in rows for k in range(len(row) - n + 1)
        ]
        first = [row[0] for row in rows]
        below = [
            tuple(first[k : k + n])
            for n in range(2, most + 1)
            for k in range(len(first) - n + 1)
            if self._stacked(first[k : k + n])
        ]
        for indices in (*alone, *beside, *below):
            yield " ".join(self.lines[index].text for index in indices), indices

    def _stacked(self, indices: Sequence[int]) -> bool:
        """Whether lines stand closely under each other."""
        boxes = self.boxes[list(indices)]
        gaps = boxes[1:, 1] - boxes[:-1, 3]
        height = (boxes[:, 3] - boxes[:, 1]).max()
        across = np.minimum(boxes[1:, 2], boxes[:-1, 2]) - np.maximum(boxes[1:, 0], boxes[:-1, 0])
        return bool((gaps < height).all() and (across > 0).all())


def tight(text: str) -> str:
    """Without spaces, which readers of Chinese lose or invent."""
    return "".join(text.split())


def _ended(value: str, stop: str) -> str:
    if stop and (match := re.search(stop, value, re.IGNORECASE)):
        value = value[: match.start()]
    return value.strip(_COLON)


def around(lines: Sequence[Line]) -> Quad:
    """The upright box around some lines, as a quad."""
    corners = np.array([line.quad for line in lines], np.float64).reshape(-1, 2)
    (x1, y1), (x2, y2) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)
