"""Long recordings in pieces: cut where it is quiet, each piece heard by itself, the times in the results those of the recording."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aihub.algorithms.sound_files import decode_sound
from aihub.errors import TooLargeError
from aihub.types import SAMPLE_RATE, Samples

PIECE_S = 60.0
"""Longest piece. What is begun in one and ends in the next would be cut, so cuts are made where it is quiet."""
SEARCH_S = 10.0
"""So much of the end of a piece is searched for the quietest place."""
MAX_FILE_BYTES = 512 * 1024 * 1024


def read_recording(path: Path, *, max_seconds: float, check: Callable[[], None]) -> Samples:
    """All of a recording, `(n,)` float32 mono at 16 kHz.

    Args:
        path: the file.
        max_seconds: longest that is read; it is held in memory, 64 kB a second.
        check: called now and then; what it raises ends it.

    Raises:
        TooLargeError: longer, or a larger file than is read.
        UnsupportedTypeError, SoundDecodeError: it cannot be read.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise TooLargeError(f"a recording may have {MAX_FILE_BYTES:,} bytes at most", field="file")
    return decode_sound(path.read_bytes(), max_seconds=max_seconds, check=check)


def pieces_of(samples: Samples, rate: int = SAMPLE_RATE) -> list[tuple[int, int]]:
    """First and last (exclusive) sample of every piece; they follow each other without a gap.

    Args:
        samples: the recording.
        rate: samples a second.
    """
    made: list[tuple[int, int]] = []
    start, longest, search, moment = 0, round(PIECE_S * rate), round(SEARCH_S * rate), rate // 10
    while len(samples) - start > longest:
        begin = start + longest - search
        rows = samples[begin : begin + search // moment * moment].reshape(-1, moment)
        quietest = int(np.argmin(np.square(rows.astype(np.float64)).sum(axis=1)))
        end = begin + quietest * moment + moment // 2
        made.append((start, end))
        start = end
    return [*made, (start, len(samples))]


def seconds_of(first: int, last: int) -> int:
    """Seconds begun between two samples: what usage counts."""
    return max(1, math.ceil((last - first) / SAMPLE_RATE))
