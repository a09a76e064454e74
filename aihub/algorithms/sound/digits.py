"""Spoken digits, zero to nine in English: PocketSphinx with a grammar that knows nothing else."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time
from aihub.algorithms.sound import sphinx
from aihub.algorithms.sound.transcribe import loud_parts
from aihub.algorithms.sound.voice import VoiceRules
from aihub.types import SAMPLE_RATE, Samples, Sound, SoundEvents

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GRAMMAR = f"#JSGF V1.0; grammar digits; public <digit> = {' | '.join(WORDS)};"
RULES = VoiceRules(min_speech_s=0.1, min_silence_s=0.3, pad_s=0.15)
"""One digit a stretch: a grammar of many digits in a row gets half of them wrong."""
LONGEST_S = 1.5
"""Longer stretches are no single digit."""
AROUND = SAMPLE_RATE // 5
"""Samples of almost nothing put before and after a stretch: the recogniser wants to hear a word begin."""
FLOOR = 1e-4
"""Root mean square of that: on true silence its logarithms go astray."""


class DigitParams(StageParams):
    """Settings of `spoken-digits`."""

    confidence: float = Field(0.05, ge=0, le=1, description="Least confidence.")


class SpokenDigits(SoundStage[DigitParams]):
    """Digits as events named `0` to `9`, each with the stretch of sound in which it was."""

    name = "spoken-digits"

    @classmethod
    def unavailable(cls) -> str:
        """PocketSphinx is an extra."""
        return "" if sphinx.installed() else sphinx.MISSING

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:  # noqa: ARG002 - a first stage
        """One digit at most for every stretch of sound between two pauses.

        Raises:
            DeadlineError: the time is over.
            SessionError: the recogniser's process ended.
        """
        rows = []
        for stretch in loud_parts(sound, RULES):
            in_time(sound)
            if stretch.end - stretch.start > LONGEST_S:
                continue
            part = sound.cut(stretch.start, stretch.end)
            for word in sphinx.pool(GRAMMAR).words(sound, surrounded(part.samples), stretch.start):
                if word.text in WORDS and word.confidence >= self.params.confidence:
                    end = min(stretch.end, sound.duration)
                    rows.append((str(WORDS.index(word.text)), stretch.start, end, word.confidence))
        return SoundEvents.of(rows)


def surrounded(samples: Samples) -> Samples:
    """The same with a fifth of a second of faint noise at both ends and under it, the same noise every time."""
    noise = np.random.default_rng(0).normal(0, FLOOR, len(samples) + 2 * AROUND).astype(np.float32)
    noise[AROUND : AROUND + len(samples)] += samples
    return noise.clip(-1, 1)
