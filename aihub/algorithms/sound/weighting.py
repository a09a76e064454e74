"""Sound as ears and sound level meters weigh it: the curves A, C and Z of IEC 61672-1, and the time weightings F and S."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Literal

import numpy as np
import numpy.typing as npt

from aihub.types import SAMPLE_RATE, Samples

F64 = npt.NDArray[np.float64]
Curve = Literal["A", "C", "Z"]
Speed = Literal["fast", "slow"]

TAPS = 8192
"""Of the filter: half a second, so that the curve is right down to 20 Hz."""
BLOCK = 65_536
"""Samples filtered in one go; bounds the memory for recordings of hours."""
STEP = SAMPLE_RATE // 100
"""Samples whose energy is taken together: 10 ms."""
STEP_S = STEP / SAMPLE_RATE
TIME_CONSTANTS: dict[Speed, float] = {"fast": 0.125, "slow": 1.0}
"""Seconds, IEC 61672-1, 5.8."""
FAINTEST = 1e-12
"""Mean square below which nothing is told apart: 120 dB under full scale."""


def gains(hz: npt.ArrayLike, curve: Curve) -> F64:
    """How much louder or fainter a tone counts, as a factor of its amplitude: IEC 61672-1, annex E.

    Args:
        hz: frequencies, not negative.
        curve: Z changes nothing.
    """
    squared = np.asarray(hz, np.float64) ** 2
    if curve == "Z":
        return np.ones_like(squared)
    low, high = 20.598997**2, 12194.217**2
    heard = high * squared / ((squared + low) * (squared + high))
    if curve == "C":
        return np.asarray(heard * 10 ** (0.0619 / 20))
    middle = squared / np.sqrt((squared + 107.65265**2) * (squared + 737.86223**2))
    return np.asarray(heard * middle * 10 ** (1.9997 / 20))


@lru_cache(maxsize=4)
def _kernel(curve: Curve) -> npt.NDArray[np.complex128]:
    """Spectrum of a symmetric filter with the curve's gains, for blocks of `BLOCK`."""
    wanted = gains(np.fft.rfftfreq(TAPS, 1 / SAMPLE_RATE), curve)
    taps = np.roll(np.fft.irfft(wanted), TAPS // 2) * np.hanning(TAPS)
    return np.asarray(np.fft.rfft(taps, BLOCK + TAPS))


def energies(samples: Samples, curve: Curve) -> F64:
    """Mean square of every 10 ms of the weighted sound, `(n,)`; a beginning that is not 10 ms long counts for itself."""
    rows: list[F64] = []
    kernel = _kernel(curve)
    kept = BLOCK // STEP * STEP
    half = TAPS // 2
    padded = np.concatenate([np.zeros(half, np.float32), samples, np.zeros(half, np.float32)])
    for first in range(0, len(samples), kept):
        part = padded[first : first + kept + TAPS]
        heard = np.fft.irfft(np.fft.rfft(part, BLOCK + TAPS) * kernel, BLOCK + TAPS)
        length = min(kept, len(samples) - first)
        rows.append(_means(heard[TAPS : TAPS + length]))
    return np.concatenate(rows) if rows else np.zeros(0)


def _means(heard: F64) -> F64:
    """Mean squares of pieces of `STEP`; the last may be shorter."""
    starts = np.arange(0, len(heard), STEP)
    counts = np.minimum(len(heard) - starts, STEP)
    return np.asarray(np.add.reduceat(heard * heard, starts) / counts)


def levels(energy: F64, speed: Speed) -> F64:
    """What the meter shows every 10 ms, as mean squares: the past fades with the time constant of `speed`."""
    keep = float(np.exp(-STEP_S / TIME_CONSTANTS[speed]))
    shown = accumulate(energy.tolist(), lambda before, now: keep * before + (1 - keep) * now, initial=0.0)
    return np.fromiter(shown, np.float64, len(energy) + 1)[1:]


def decibels(energy: npt.ArrayLike, full_scale: float) -> F64:
    """Mean squares to dB, where a sine as loud as can be has `full_scale` dB."""
    return np.asarray(10 * np.log10(np.maximum(np.asarray(energy, np.float64) * 2, FAINTEST)) + full_scale)
