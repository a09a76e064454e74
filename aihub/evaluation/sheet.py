"""Pictures to judge by: what was hit, what was missed, and what was a false alarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from aihub.algorithms.drawing import BLACK, WHITE, Color, put_text, text_size
from aihub.evaluation.detections import read_picture
from aihub.evaluation.matching import NEVER
from aihub.evaluation.report import Report
from aihub.evaluation.truth import F64, Rows
from aihub.types import Image

TRUE: Color = (60, 180, 60)
HIT: Color = (230, 140, 30)
FALSE: Color = (48, 48, 229)
GREY: Color = (235, 235, 235)

TILE = (240, 320)
"""(height, width) of a picture on the sheet, pixels."""
COLUMNS = 8
ROWS = 2
"""Rows of tiles of each kind: the sheet is at most 2,632 x 1,722 pixels."""
_GAP, _CAPTION, _HEAD, _LETTER = 8, 22, 34, 14


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the sheet.

    Attributes:
        picture: its index.
        box: x1, y1, x2, y2 of the thing that it is shown for, pixels.
        color: of that box.
        caption: what stands below it, beside the picture's name.
    """

    picture: int
    box: F64
    color: Color
    caption: str


def contact_sheet(report: Report) -> Image:
    """Hits from the surest to the least sure, misses from the largest, false alarms from the surest; a picture once a kind.

    True boxes are green, found ones blue where right and red where wrong; the box a tile is shown for is bold.

    Args:
        report: what was measured; its pictures are read anew.

    Returns:
        `(height, width, 3)` uint8 BGR, below 4,000 x 4,000.

    Raises:
        ImageDecodeError, InputError: a picture is no longer what it was.
    """
    bands = (
        ("hits: things that were found, blue", _hits(report)),
        ("misses: things that were not found, green", _misses(report)),
        ("false alarms: boxes over nothing, or over what a surer box had found, red", _false(report)),
    )
    width = COLUMNS * (TILE[1] + _GAP) + _GAP
    parts = [part for title, tiles in bands for part in _band(report, title, tiles, width)]
    return np.ascontiguousarray(np.concatenate(parts))


def _band(report: Report, title: str, tiles: Sequence[Tile], width: int) -> list[Image]:
    head = np.full((_HEAD, width, 3), WHITE, np.uint8)
    put_text(head, title if tiles else f"{title}: none", (_GAP, _HEAD - 10), 20, BLACK)
    parts = [head]
    for start in range(0, len(tiles), COLUMNS):
        row = np.full((TILE[0] + _CAPTION + _GAP, width, 3), WHITE, np.uint8)
        for at, tile in enumerate(tiles[start : start + COLUMNS]):
            left = _GAP + at * (TILE[1] + _GAP)
            row[: TILE[0] + _CAPTION, left : left + TILE[1]] = _drawn(report, tile)
        parts.append(row)
    return parts


def _kept(report: Report) -> tuple[Rows, Rows]:
    """Right and wrong boxes at the thresholds of their labels, the surest first."""
    found, matches = report.found, report.matches
    kept = matches.counted & (found.confidence >= report.thresholds[found.class_id])
    order = np.argsort(-found.confidence, kind="stable")
    return order[(kept & matches.right)[order]], order[(kept & ~matches.right)[order]]


def _once_a_picture(rows: Rows, pictures: Rows) -> Rows:
    """The first row of each picture, in the order given."""
    _, first = np.unique(pictures[rows], return_index=True)
    return rows[np.sort(first)]


def _hits(report: Report) -> list[Tile]:
    rows = _once_a_picture(_kept(report)[0], report.found.picture)
    most = COLUMNS * ROWS
    if len(rows) > most:  # from the surest to the least sure, not the surest alone
        rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(np.intp)]
    return [_found_tile(report, row, HIT) for row in rows.tolist()]


def _false(report: Report) -> list[Tile]:
    rows = _once_a_picture(_kept(report)[1], report.found.picture)[: COLUMNS * ROWS]
    return [_found_tile(report, row, FALSE) for row in rows.tolist()]


def _found_tile(report: Report, row: int, color: Color) -> Tile:
    found = report.found
    caption = f"{found.labels[found.class_id[row]]} {found.confidence[row]:.2f}"
    return Tile(int(found.picture[row]), found.xyxy[row], color, caption)


def _misses(report: Report) -> list[Tile]:
    truth, found_at = report.truth, report.matches.found_at
    missed = ~truth.crowd & (found_at < report.thresholds[truth.class_id])
    order = np.argsort(-truth.area, kind="stable")
    rows = _once_a_picture(order[missed[order]], truth.picture)[: COLUMNS * ROWS]
    tiles = []
    for row in rows.tolist():
        best = "not seen" if found_at[row] == NEVER else f"only {found_at[row]:.2f}"
        label = truth.labels[truth.class_id[row]]
        tiles.append(Tile(int(truth.picture[row]), truth.xyxy[row], TRUE, f"{label} {best}"))
    return tiles


def _drawn(report: Report, tile: Tile) -> Image:
    """`(240 + caption, 320, 3)`: the picture with its boxes, and its name below."""
    picture = report.truth.pictures[tile.picture]
    image = read_picture(picture)
    scale = min(TILE[0] / picture.height, TILE[1] / picture.width)
    size = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    for box in report.truth.xyxy[report.truth.picture == tile.picture]:
        _box(small, box * scale, TRUE)
    right, wrong = _kept(report)
    for rows, color in ((wrong, FALSE), (right, HIT)):
        for box in report.found.xyxy[rows[report.found.picture[rows] == tile.picture]]:
            _box(small, box * scale, color)
    _box(small, tile.box * scale, tile.color, 3)
    canvas = np.full((TILE[0] + _CAPTION, TILE[1], 3), GREY, np.uint8)
    top, left = (TILE[0] - size[1]) // 2, (TILE[1] - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    name = picture.name.removeprefix("images/")
    put_text(canvas, _fitting(name, tile.caption), (4, TILE[0] + _CAPTION - 6), _LETTER, BLACK)
    return canvas


def _fitting(name: str, caption: str) -> str:
    """Name and caption in one line; a long name loses its beginning, which is alike in most data sets."""
    while len(name) > 4 and text_size(f"{name}  {caption}", _LETTER)[0] > TILE[1] - 8:
        name = "..." + name.removeprefix("...")[1:]
    return f"{name}  {caption}"


def _box(image: Image, box: F64, color: Color, stroke: int = 1) -> None:
    x1, y1, x2, y2 = np.round(box).astype(int).tolist()
    cv2.rectangle(image, (x1, y1), (x2, y2), color, stroke, cv2.LINE_AA)
