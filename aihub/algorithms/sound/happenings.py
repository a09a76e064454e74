"""Scores of windows that slide over a recording, to events: neighbours with the same label are one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from aihub.types import Samples, SoundEvents

F32 = npt.NDArray[np.float32]
Row = tuple[str, float, float, float]


def windows(samples: Samples, length: int, step: int) -> Iterator[tuple[int, Samples]]:
    """Windows of a recording with where each begins; the last ends with the recording. What is shorter is filled with silence."""
    if len(samples) <= length:
        filled = np.zeros(length, np.float32)
        filled[: len(samples)] = samples
        yield 0, filled
        return
    last = len(samples) - length
    for first in [*range(0, last, step), last]:
        yield first, np.ascontiguousarray(samples[first : first + length])


def events(
    scores: F32,
    spans: Sequence[tuple[float, float]],
    labels: Sequence[str],
    threshold: float,
    wanted: Sequence[str],
) -> SoundEvents:
    """Where a label scores enough, one event for all windows in a row.

    Args:
        scores: `(windows, labels)` in [0, 1].
        spans: start and end of each window, seconds, in order.
        labels: name of each column.
        threshold: least score.
        wanted: labels to report; empty reports all.
    """
    rows: list[Row] = []
    hits = scores >= threshold
    for column in np.flatnonzero(hits.any(axis=0)).tolist():
        if wanted and labels[column] not in wanted:
            continue
        for first, last in runs(hits[:, column]):
            best = float(scores[first : last + 1, column].max())
            rows.append((labels[column], spans[first][0], spans[last][1], best))
    return SoundEvents.of(rows)


def runs(hits: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last index of each row of hits."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hits, [False]]).astype(np.int8)))
    for first, after in edges.reshape(-1, 2).tolist():
        yield first, after - 1
