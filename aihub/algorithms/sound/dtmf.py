"""Keys of a telephone: two tones at once, one of four low and one of four high frequencies (ITU-T Q.23)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time
from aihub.algorithms.sound.happenings import runs
from aihub.algorithms.sound.mel import frames_of
from aihub.types import SAMPLE_RATE, Samples, Sound, SoundEvents

LOW = (697.0, 770.0, 852.0, 941.0)
HIGH = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = ("123A", "456B", "789C", "*0#D")
LENGTH, STEP = 410, 160
"""Samples looked at at once, as long as the 205 at 8 kHz that all receivers use, and from one time to the next: 26 and 10 ms."""
STEP_S, LENGTH_S = STEP / SAMPLE_RATE, LENGTH / SAMPLE_RATE
TWIST_DB = 8.0
"""Most that one of the two tones may be louder than the other (ITU-T Q.24 names 4 to 10)."""
ALONE_DB = 6.0
"""A tone stands out so far from the others of its group; less is speech."""
FAINTEST_DB = -50.0
"""Quieter frames hold no keys, dB of full scale."""
BATCH = 8192
"""Frames worked on in one go: bounds the memory for long recordings."""

F64 = npt.NDArray[np.float64]


class DtmfParams(StageParams):
    """Settings of `dtmf-tones`."""

    confidence: float = Field(
        0.5, ge=0, le=1, description="Least share of the sound's energy that lies in the two tones."
    )
    min_tone: float = Field(0.04, ge=0.01, le=5, description="Shorter tones are none, seconds.")


class DtmfTones(SoundStage[DtmfParams]):
    """Keys that were pressed, one event each, named `0` to `9`, `*`, `#`, `A` to `D`."""

    name = "dtmf-tones"
    speech_only: ClassVar[bool] = False

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:  # noqa: ARG002 - a first stage
        """Keys in the order in which they were pressed.

        Raises:
            DeadlineError: the time is over.
        """
        rows = []
        keys, shares = self._frames(sound)
        hits = np.where(shares >= self.params.confidence, keys, -1)
        for key in np.unique(hits[hits >= 0]).tolist():
            for first, last in runs(_closed(hits == key, shares)):
                # A frame counts from its first quarter to its last: a tone half as long as it is heard in it.
                start = first * STEP_S + LENGTH_S / 4
                end = min(last * STEP_S + LENGTH_S * 3 / 4, sound.duration)
                if end - start >= self.params.min_tone:
                    sure = float(np.median(shares[first : last + 1]))
                    rows.append((KEYS[key // 4][key % 4], start, end, min(sure, 1.0)))
        return SoundEvents.of(rows)

    def _frames(self, sound: Sound) -> tuple[npt.NDArray[np.int64], F64]:
        frames = frames_of(sound.samples, LENGTH, STEP)
        parts = []
        for at in range(0, len(frames), BATCH):
            in_time(sound)
            parts.append(keys_in(frames[at : at + BATCH]))
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0)
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _closed(hits: npt.NDArray[np.bool_], shares: F64) -> npt.NDArray[np.bool_]:
    """Fill a gap of one frame: noise may spoil a moment of a tone, while a pause between keys is at least 25 ms long."""
    around = np.zeros(len(hits), bool)
    around[1:-1] = hits[:-2] & hits[2:] & (shares[1:-1] > 0)
    return hits | around


def _waves() -> npt.NDArray[np.complex128]:
    moments = np.arange(LENGTH) / SAMPLE_RATE
    return np.asarray(np.exp(-2j * np.pi * np.outer(moments, (*LOW, *HIGH))))


_WAVES = _waves()


def keys_in(frames: Samples) -> tuple[npt.NDArray[np.int64], F64]:
    """Key of each frame, as row times four plus column, -1 for none, and the share of its energy in the two tones.

    Goertzel's sums of all frames at once, as one product with the eight waves.

    Args:
        frames: `(n, 410)`.

    Returns:
        `(n,)` keys and `(n,)` shares in [0, 1]; a share is 0 where there is no key.
    """
    pieces = frames.astype(np.float64)
    total = np.maximum(np.square(pieces).mean(axis=1), 1e-20)
    power = 2 * np.abs(pieces @ _WAVES / LENGTH) ** 2  # mean square of each tone
    low, high = power[:, :4], power[:, 4:]
    row, column = low.argmax(axis=1), high.argmax(axis=1)
    of_row, of_column = low.max(axis=1), high.max(axis=1)
    alone = 10 ** (ALONE_DB / 10)
    fine = (of_row >= alone * np.sort(low, axis=1)[:, -2]) & (
        of_column >= alone * np.sort(high, axis=1)[:, -2]
    )
    fine &= np.abs(10 * np.log10(np.maximum(of_row, 1e-20) / np.maximum(of_column, 1e-20))) <= TWIST_DB
    fine &= total >= 10 ** (FAINTEST_DB / 10)
    share = np.clip((of_row + of_column) / total, 0, 1)
    return np.where(fine, row * 4 + column, -1), np.where(fine, share, 0.0)
