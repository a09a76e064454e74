"""What is wrong with a microphone or its line: nothing comes, nothing is heard, or it is driven too hard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time
from aihub.algorithms.sound.happenings import runs
from aihub.algorithms.sound.weighting import STEP, STEP_S, decibels, energies
from aihub.types import SAMPLE_RATE, Samples, Sound, SoundEvents

DEAD, SILENT, CLIPPED = "no-signal", "silence", "clipping"
STUCK = 1e-5
"""Samples that differ by less come from no microphone: a third of the smallest step of 16 bits."""
TOGETHER = 3
"""Samples in a row at the limit: one or two are the peak of a sound that was made just loud enough."""
FLAT = 2e-4
"""What is cut differs by less from one sample to the next: six of the smallest steps of 16 bits."""
NEAR_S = 0.2
"""Clipped peaks that lie no further apart are one event."""

Rows = Iterator[tuple[str, float, float, float]]


class FaultParams(StageParams):
    """Settings of `sound-faults`."""

    silence: float = Field(
        -60.0, ge=-110, le=0, description="Level below which nothing is heard, dB of full scale."
    )
    min_silence: float = Field(2.0, ge=0.1, le=3600, description="Shorter silence is none, seconds.")
    limit: float = Field(0.985, ge=0.3, le=1, description="Share of full scale at which sound is cut.")
    min_share: float = Field(
        0.002, ge=0, le=1, description="Share of samples that are cut, in a stretch, from which it counts."
    )


class SoundFaults(SoundStage[FaultParams]):
    """Stretches named `no-signal`, `silence` and `clipping`; figures `peak_dbfs`, `rms_dbfs`, `offset`, `clipped_share`."""

    name = "sound-faults"
    speech_only: ClassVar[bool] = False

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:  # noqa: ARG002 - a first stage
        """What is wrong and where.

        Raises:
            DeadlineError: the time is over.
        """
        in_time(sound)
        samples = sound.samples
        if not len(samples):
            return SoundEvents.of(())
        cut = _cut(samples, self.params.limit)
        rows = [*self._quiet(sound), *self._clipped(cut)]
        square = float(np.mean(np.square(samples, dtype=np.float64)))
        measures = {
            "peak_dbfs": float(20 * np.log10(max(float(np.abs(samples).max()), 1e-6))),
            "rms_dbfs": float(decibels(square, 0.0)),
            "offset": float(samples.mean(dtype=np.float64)),
            "clipped_share": float(cut.mean()),
        }
        return SoundEvents.of(rows, measures)

    def _quiet(self, sound: Sound) -> Rows:
        """Silence is judged as ears do, so that the hum of the mains on an open line is silence, too."""
        dead = _stuck(sound.samples)
        in_time(sound)
        level = decibels(energies(sound.samples, "A"), 0.0)
        # The filter smears a loud sound some milliseconds into a dead line beside it.
        silent = (level < self.params.silence) & ~dead
        for label, hits in ((DEAD, dead), (SILENT, silent)):
            for first, last in runs(hits):
                start, end = first * STEP_S, min((last + 1) * STEP_S, sound.duration)
                if end - start >= self.params.min_silence:
                    under = self.params.silence - float(level[first : last + 1].mean())
                    yield label, start, end, 1.0 if label == DEAD else min(0.5 + max(under, 0.0) / 40, 1.0)

    def _clipped(self, cut: npt.NDArray[np.bool_]) -> Rows:
        places = np.flatnonzero(cut)
        if not len(places):
            return
        breaks = np.flatnonzero(np.diff(places) > NEAR_S * SAMPLE_RATE)
        firsts = np.concatenate([[0], breaks + 1])
        lasts = np.concatenate([breaks, [len(places) - 1]])
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
            start, end = int(places[first]), int(places[last]) + 1
            share = (last - first + 1) / max(end - start, STEP)
            if share >= self.params.min_share:
                yield CLIPPED, start / SAMPLE_RATE, end / SAMPLE_RATE, min(0.5 + share * 5, 1.0)


def _cut(samples: Samples, limit: float) -> npt.NDArray[np.bool_]:
    """Which samples lie in a flat row of at least `TOGETHER` at the same end of the scale: the round top of a loud tone is none."""
    cut = np.zeros(len(samples), bool)
    for side in (-1, 1):
        at_end = samples * side >= limit
        flat = at_end[1:] & at_end[:-1] & (np.abs(np.diff(samples)) <= FLAT)
        for first, last in runs(flat):
            if last - first + 2 >= TOGETHER:
                cut[first : last + 2] = True
    return cut


def _stuck(samples: Samples) -> npt.NDArray[np.bool_]:
    """Which pieces of 10 ms hold one value only."""
    starts = np.arange(0, len(samples), STEP)
    spread = np.maximum.reduceat(samples, starts) - np.minimum.reduceat(samples, starts)
    return np.asarray(spread < STUCK)
