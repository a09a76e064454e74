"""Too loud: the level of sound in dB as a sound level meter shows it, and where it lies over a limit."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time
from aihub.algorithms.sound.happenings import runs
from aihub.algorithms.sound.weighting import (
    STEP_S,
    Curve,
    Speed,
    decibels,
    energies,
    levels,
)
from aihub.types import Sound, SoundEvents

LOUD = "loud"
SPAN_DB = 20.0
"""So far over the limit the score is 1."""


class LoudnessParams(StageParams):
    """Settings of `loudness`."""

    limit: float = Field(85.0, ge=-20, le=160, description="Level from which it is too loud, dB.")
    calibration: float = Field(
        120.0, ge=0, le=200, description="Level at which a sine reaches full scale, dB SPL."
    )
    curve: Curve = Field("A", description="Frequency weighting.")
    speed: Speed = Field("fast", description="Time weighting.")
    min_duration: float = Field(0.2, ge=0, le=600, description="Shorter stretches are left out, seconds.")


class Loudness(SoundStage[LoudnessParams]):
    """Stretches named `loud`, and the levels of the whole recording: `leq_db`, `max_db`, `p90_db`, `p10_db`.

    `p90_db` is passed nine tenths of the time: what acousticians call the background, L90.
    """

    name = "loudness"
    speech_only: ClassVar[bool] = False

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:  # noqa: ARG002 - a first stage
        """Where it is too loud; the score goes from 0.5 at the limit to 1 at 20 dB over it.

        Raises:
            DeadlineError: the time is over.
        """
        in_time(sound)
        wanted = self.params
        energy = energies(sound.samples, wanted.curve)
        if not len(energy):
            return SoundEvents.of(())
        in_time(sound)
        shown = decibels(levels(energy, wanted.speed), wanted.calibration)
        background, loudest = np.percentile(shown, (10, 90)).tolist()
        measures = {
            "leq_db": float(decibels(energy.mean(), wanted.calibration)),
            "max_db": float(shown.max()),
            "p90_db": background,
            "p10_db": loudest,
        }
        rows = []
        for first, last in runs(shown >= wanted.limit):
            start, end = first * STEP_S, min((last + 1) * STEP_S, sound.duration)
            if end - start >= wanted.min_duration:
                over = float(shown[first : last + 1].max()) - wanted.limit
                rows.append((LOUD, start, end, min(0.5 + 0.5 * over / SPAN_DB, 1.0)))
        return SoundEvents.of(rows, measures)
