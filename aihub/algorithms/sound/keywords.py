"""Spot words: a small network that knows ten commands, on one second of sound four times a second."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time, outputs_of
from aihub.algorithms.sound.happenings import F32, events, windows
from aihub.algorithms.sound.mel import cepstra, magnitudes, mel_bands
from aihub.errors import DecodeError, ParamsError
from aihub.types import SAMPLE_RATE, Samples, Sound, SoundEvents, Tensor

MODEL = "kws"
WORDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
OTHERS = ("silence", "unknown")
STEP = SAMPLE_RATE // 4
BATCH = 64
"""Windows in one run."""
FAINT = 1e-3
"""A window that never gets louder is silence: blowing it up to full loudness would only show its noise."""


class SpotParams(StageParams):
    """Settings of `spot-keywords`."""

    confidence: float = Field(0.8, ge=0, le=1, description="Least score.")
    words: tuple[str, ...] = Field((), description="Words to report; none reports all that it knows.")


class SpotKeywords(SoundStage[SpotParams]):
    """Commands that were spoken, with start and end of the second in which they were."""

    name = "spot-keywords"

    @classmethod
    def models(cls, params: SpotParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """The network."""
        return (MODEL,)

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:  # noqa: ARG002 - a first stage
        """Words that score enough.

        Raises:
            ParamsError: a word that it does not know.
            AihubError: the model failed, or the time is over.
        """
        unknown = sorted(set(self.params.words) - set(WORDS))
        if unknown:
            raise ParamsError(
                f"{unknown[0]!r} is none of the words it knows",
                field="words",
                hint=f"known: {', '.join(WORDS)}",
            )
        parts = [
            (first, part)
            for first, part in windows(sound.samples, SAMPLE_RATE, STEP)
            if len(part) and np.abs(part).max() > FAINT
        ]
        if not parts:
            return SoundEvents.of(())
        scores = np.concatenate(
            [
                self._scores([part for _, part in parts[at : at + BATCH]], sound)
                for at in range(0, len(parts), BATCH)
            ]
        )
        spans = [(first / SAMPLE_RATE, min(first / SAMPLE_RATE + 1.0, sound.duration)) for first, _ in parts]
        return events(scores[:, : len(WORDS)], spans, WORDS, self.params.confidence, self.params.words)

    def _scores(self, parts: list[Samples], sound: Sound) -> F32:
        in_time(sound)
        feeds: dict[str, Tensor] = {"input_1": np.stack([features(part) for part in parts])}
        outputs = outputs_of(self.predictor.run(MODEL, feeds, source=sound.source), sound)
        scores = next(iter(outputs.values()))
        if scores.shape != (len(parts), len(WORDS) + len(OTHERS)):
            raise DecodeError(f"{MODEL} gave scores of shape {scores.shape} for {len(parts)} windows")
        return np.clip(np.asarray(scores, np.float32), 0, 1)


def features(part: Samples) -> F32:
    """What the network was trained on: `(49, 10, 1)` cepstra of one second at full loudness."""
    loud = part / np.abs(part).max()
    spectrum = magnitudes(loud.astype(np.float32), 480, 320, 512)
    return cepstra(np.log(spectrum @ mel_bands(40, 257, 20.0, 4000.0) + np.float32(1e-6)), 10)[..., None]
