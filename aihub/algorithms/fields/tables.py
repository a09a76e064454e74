"""Printed tables by where their cells stand: rows by height, columns by the gaps that all rows leave."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aihub.algorithms.fields.page import Page
from aihub.types import Field

F64 = npt.NDArray[np.float64]


def read_table(page: Page) -> list[Field]:
    """Cells named `r1c1`, `r1c2`, ... row by row; what is written twice in one cell is joined by a space.

    Lines of a single cell above or below the table (a title, a note) span several columns: they are in the column they
    begin in.
    """
    rows = page.rows()
    many = [row for row in rows if len(row) > 1]
    if len(many) < 2:
        return []
    columns = columns_of(page.boxes[[index for row in many for index in row]])
    fields = []
    for number, row in enumerate(rows, 1):
        cells: dict[int, list[int]] = {}
        for index in row:
            cells.setdefault(_column(columns, page.boxes[index]), []).append(index)
        for column, indices in sorted(cells.items()):
            lines = [page.lines[index] for index in indices]
            value = " ".join(line.text.strip() for line in lines)
            sure = min(line.confidence for line in lines)
            fields.append(Field(f"r{number}c{column + 1}", value, sure, None, lines[0].quad))
    return fields


def columns_of(boxes: F64) -> F64:
    """`(C, 2)` left and right of the columns that boxes `(N, 4)` fall into, from left to right: they overlap across.

    >>> columns_of(np.array([[0, 0, 40, 9], [100, 0, 130, 9], [5, 20, 30, 29], [110, 20, 160, 29]], float)).tolist()
    [[0.0, 40.0], [100.0, 160.0]]
    """
    order = np.argsort(boxes[:, 0], kind="stable")
    left, right = boxes[order, 0], np.maximum.accumulate(boxes[order, 2])
    fresh = np.r_[True, left[1:] >= right[:-1]]
    starts = np.flatnonzero(fresh)
    ends = np.r_[starts[1:] - 1, len(order) - 1]
    return np.stack([left[starts], right[ends]], axis=1)


def _column(columns: F64, box: F64) -> int:
    """The column that a box shares most with, else the nearest."""
    shared = np.minimum(columns[:, 1], box[2]) - np.maximum(columns[:, 0], box[0])
    return int(shared.argmax())
