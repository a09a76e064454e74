"""The precision/recall curves of a report, drawn."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from aihub.algorithms.drawing import BLACK, PALETTE, WHITE, Color, put_text
from aihub.evaluation.report import Report
from aihub.types import Image

SIZE = (720, 1080)
"""(height, width), pixels."""
MOST = 16
"""Labels that are drawn, those with the most things first."""
_LEFT, _TOP, _SIDE = 80, 40, 600
_GRID: Color = (225, 225, 225)


def curves(report: Report) -> Image:
    """Precision over recall at an overlap of 0.5 for each label, a dot where it is run.

    Args:
        report: what was measured.

    Returns:
        `(720, 1080, 3)` uint8 BGR.
    """
    image: Image = np.full((*SIZE, 3), WHITE, np.uint8)
    for tenth in range(11):
        x, y = _at(tenth / 10, tenth / 10).tolist()
        cv2.line(image, (x, _TOP), (x, _TOP + _SIDE), _GRID, 1)
        cv2.line(image, (_LEFT, y), (_LEFT + _SIDE, y), _GRID, 1)
        put_text(image, f"{tenth / 10:g}", (x - 10, _TOP + _SIDE + 22), 15, BLACK)
        put_text(image, f"{tenth / 10:g}", (_LEFT - 34, y + 6), 15, BLACK)
    cv2.rectangle(image, (_LEFT, _TOP), (_LEFT + _SIDE, _TOP + _SIDE), BLACK, 1)
    put_text(image, "recall", (_LEFT + _SIDE // 2 - 20, _TOP + _SIDE + 52), 17, BLACK)
    put_text(image, "precision", (_LEFT - 70, _TOP - 14), 17, BLACK)
    things = np.array([int(column.tally.things.sum()) for column in report.columns[1:]])
    drawn = np.argsort(-things, kind="stable").tolist()
    for line, at in enumerate(drawn[:MOST]):
        _curve(image, report, at, line)
    if len(drawn) > MOST:
        put_text(
            image, f"and {len(drawn) - MOST} more", (_LEFT + _SIDE + 30, _TOP + 24 + 36 * MOST), 15, BLACK
        )
    return image


def _curve(image: Image, report: Report, at: int, line: int) -> None:
    column, precision = report.columns[at + 1], report.matches.precision[at]
    color = PALETTE[line % len(PALETTE)]
    told = column.tally.to_json()
    area = "nothing to find" if column.ap50 is None else f"AP {column.ap50:.3f}"
    x, y = _LEFT + _SIDE + 30, _TOP + 24 + 36 * line
    cv2.line(image, (x, y - 6), (x + 24, y - 6), color, 3)
    put_text(image, f"{column.label}  {area}", (x + 34, y), 16, BLACK)
    reached = precision > 0  # beyond the recall that is reached there is no curve
    if np.isfinite(precision).all() and reached.any():
        steps = np.linspace(0, 1, len(precision))[reached]
        path = _at(steps, precision[reached])
        # Second half of the palette's turn: dashes cannot be drawn, so a thin line keeps the two apart.
        cv2.polylines(
            image, [path.reshape(-1, 1, 2)], False, color, 1 if line >= len(PALETTE) else 2, cv2.LINE_AA
        )
    if told["precision"] is not None and told["recall"] is not None:
        cv2.circle(image, _at(told["recall"], told["precision"]).tolist(), 6, color, cv2.FILLED, cv2.LINE_AA)


def _at(
    recall: float | npt.NDArray[np.float64], precision: float | npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    """Pixels `(..., 2)` of a place on the chart."""
    x = _LEFT + _SIDE * np.asarray(recall, np.float64)
    y = _TOP + _SIDE * (1 - np.asarray(precision, np.float64))
    return np.stack([x, y], axis=-1).round().astype(np.int32)
