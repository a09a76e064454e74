"""Speech without its noise: GTCRN, a small network that mends one frame of the spectrum after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time, outputs_of
from aihub.algorithms.sound.mel import F32
from aihub.errors import DecodeError
from aihub.types import Recording, Samples, Sound, Task, Tensor

MODEL = "denoise"
LENGTH, STEP = 512, 256
"""Samples of a frame and from one to the next: 32 and 16 ms."""
BINS = LENGTH // 2 + 1
CACHES: dict[str, tuple[int, ...]] = {
    "conv_cache": (2, 1, 16, 16, 33),
    "tra_cache": (2, 3, 1, 1, 16),
    "inter_cache": (2, 1, 33, 16),
}
"""What the network remembers from frame to frame, by the names of its inputs."""

C64 = npt.NDArray[np.complex64]


class DenoiseParams(StageParams):
    """Settings of `suppress-noise`."""

    strength: float = Field(
        1.0, ge=0, le=1, description="Share of the mended sound; the rest is the sound as it came."
    )


class SuppressNoise(SoundStage[DenoiseParams]):
    """The same sound without its noise, as long as it was; `removed_db` says how much fainter it got."""

    name = "suppress-noise"
    gives: ClassVar[Task] = Task.SOUND

    @classmethod
    def models(cls, params: DenoiseParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """GTCRN."""
        return (MODEL,)

    def hear(self, sound: Sound, found: HeardResult | None) -> Recording:  # noqa: ARG002 - a first stage
        """Mend all of it, frame after frame.

        Raises:
            DecodeError: the model is no GTCRN.
            AihubError: the model failed, or the time is over.
        """
        samples = sound.samples
        if not len(samples):
            return Recording(samples.copy())
        made = overlapped(self._mended(sound), len(samples))
        share = np.float32(self.params.strength)
        mixed = (share * made + (1 - share) * samples).clip(-1, 1).astype(np.float32)
        return Recording(mixed, {"removed_db": _fainter(samples, mixed)})

    def _mended(self, sound: Sound) -> Iterator[C64]:
        caches: dict[str, Tensor] = {name: np.zeros(shape, np.float32) for name, shape in CACHES.items()}
        for frame in spectra(sound.samples):
            in_time(sound)
            if not frame.any():  # true silence holds no noise
                yield frame
                continue
            feeds: dict[str, Tensor] = {
                "mix": np.stack([frame.real, frame.imag], axis=-1)[None, :, None, :],
                **caches,
            }
            outputs = outputs_of(self.predictor.run(MODEL, feeds, source=sound.source), sound)
            try:
                caches = {name: outputs[f"{name}_out"] for name in CACHES}
                parts = np.asarray(outputs["enh"], np.float32).reshape(BINS, 2)
            except (KeyError, ValueError) as error:
                raise DecodeError(f"{MODEL} gave {sorted(outputs)}, which cannot be read") from error
            yield (parts[:, 0] + 1j * parts[:, 1]).astype(np.complex64)


def window() -> F32:
    """The square root of Hann's window: used before and after, all frames add up to the sound."""
    return np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(LENGTH) / LENGTH)).astype(np.float32)


def spectra(samples: Samples) -> Iterator[C64]:
    """Spectra `(257,)` of frames; the first and the last reach half a frame beyond the sound, mirrored where there is enough of it."""
    shape = window()
    side = LENGTH // 2
    kind = "reflect" if len(samples) > side else "constant"
    whole = -len(samples) % STEP
    padded = np.pad(np.pad(samples, (side, side), mode=kind), (0, whole))  # type: ignore[call-overload]
    for first in range(0, len(padded) - LENGTH + 1, STEP):
        yield np.fft.rfft(padded[first : first + LENGTH] * shape).astype(np.complex64)


def overlapped(frames: Iterator[C64], length: int) -> Samples:
    """The way back from `spectra`: `length` samples."""
    shape = window()
    made = np.zeros(length + LENGTH + STEP, np.float32)
    for at, frame in enumerate(frames):
        first = at * STEP
        made[first : first + LENGTH] += np.fft.irfft(frame, LENGTH).astype(np.float32) * shape
    return made[LENGTH // 2 : LENGTH // 2 + length].copy()


def _fainter(before: Samples, after: Samples) -> float:
    powers = [float(np.mean(np.square(one, dtype=np.float64))) + 1e-12 for one in (before, after)]
    return float(10 * np.log10(powers[0] / powers[1]))
