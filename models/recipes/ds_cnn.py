"""What DS-CNN of MLPerf Tiny listens to: the spotter that ours is compared with. It is no longer served."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from aihub.algorithms.sound.mel import F32, frames_of, mel_bands
from aihub.types import Samples

LABELS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "unknown")
INPUT = "input_1"


def features(part: Samples) -> F32:
    """`(49, 10, 1)` cepstra of one second at full loudness."""
    loud = part / np.abs(part).max()
    spectrum = magnitudes(loud.astype(np.float32), 480, 320, 512)
    return cepstra(np.log(spectrum @ mel_bands(40, 257, 20.0, 4000.0) + np.float32(1e-6)), 10)[..., None]


def magnitudes(samples: Samples, length: int, step: int, size: int) -> F32:
    """Short-time spectrum `(n, size / 2 + 1)` under a periodic Hann window."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
    spectrum = np.fft.rfft(frames_of(samples, length, step) * window, size)
    made: F32 = np.abs(spectrum).astype(np.float32)
    return made


@lru_cache(maxsize=4)
def cosines(bands: int, kept: int) -> F32:
    """`(bands, kept)`: from log mel bands to cepstra, scaled as TensorFlow scales them."""
    angle = np.pi * (np.arange(bands)[:, None] + 0.5) * np.arange(kept) / bands
    made: F32 = (np.cos(angle) * 2 / np.sqrt(2 * bands)).astype(np.float32)
    return made


def cepstra(log_mel: F32, kept: int) -> F32:
    """The first `kept` cosine coefficients of each row, scaled as TensorFlow scales them."""
    return np.asarray(log_mel @ cosines(log_mel.shape[-1], kept), np.float32)
