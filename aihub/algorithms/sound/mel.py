"""From waveforms to what networks for sound look at: frames, mel bands. All float32."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from aihub.types import SAMPLE_RATE, Samples

F32 = npt.NDArray[np.float32]


def hz_to_mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Frequency to pitch, the formula of HTK."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0))


@lru_cache(maxsize=8)
def mel_bands(bands: int, bins: int, lowest: float, highest: float) -> F32:
    """Triangles of equal width in mel.

    Args:
        bands: how many.
        bins: of the spectrum, from 0 Hz to half the sample rate.
        lowest: edge of the first band, Hz.
        highest: edge of the last, Hz.

    Returns:
        `(bins, bands)` float32; the bin of 0 Hz is in none.
    """
    pitch = hz_to_mel(np.linspace(0, SAMPLE_RATE / 2, bins))[:, None]
    edges = np.linspace(hz_to_mel(lowest), hz_to_mel(highest), bands + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (pitch - left) / (centre - left), (right - pitch) / (right - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return weights.astype(np.float32)


def frames_of(samples: Samples, length: int, step: int) -> F32:
    """Overlapping pieces `(n, length)` of a waveform, a view; what is left at the end is dropped."""
    if len(samples) < length:
        return np.zeros((0, length), np.float32)
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::step]


def kaldi_fbank(samples: Samples, bands: int = 80) -> F32:
    """Log mel energies the way Kaldi makes them: 25 ms every 10 ms, Hamming, pre-emphasis 0.97, of 16-bit sized samples.

    Returns:
        `(n, bands)` float32, no rows for less than 25 ms.
    """
    pieces = frames_of(samples, 400, 160) * np.float32(32768.0)
    pieces = pieces - pieces.mean(axis=1, keepdims=True, dtype=np.float32)
    before = np.concatenate([pieces[:, :1], pieces[:, :-1]], axis=1)
    window = np.hamming(400).astype(np.float32)
    power = np.abs(np.fft.rfft((pieces - np.float32(0.97) * before) * window, 512)).astype(np.float32) ** 2
    bands_of = power @ mel_bands(bands, 257, 20.0, SAMPLE_RATE / 2)
    return np.asarray(np.log(np.maximum(bands_of, np.finfo(np.float32).eps)), np.float32)
