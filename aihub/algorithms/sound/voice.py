"""Who speaks when: Silero's network tells for every 32 ms how likely speech is, rules make stretches of speech of that."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time, outputs_of
from aihub.errors import DecodeError
from aihub.types import SAMPLE_RATE, Bill, Predictor, Samples, Sound, SoundEvents, Tensor

MODEL = "vad"
STEP = 512
"""Samples the network looks at in one go: 32 ms."""
STEP_S = STEP / SAMPLE_RATE
CONTEXT = 64
"""Samples before those, which it wants to see again."""
DROP = 0.15
"""Speech ends where the likelihood falls this far below the threshold, so that it does not flutter."""
SPEECH = "speech"

_Run = Future[dict[str, Tensor]]


class Listener:
    """Silero on one source of sound; remembers what came before. Not thread-safe.

    Attributes:
        bill: where its runs are put down; None leaves that to the predictor.
    """

    def __init__(self, predictor: Predictor, source: str = "", bill: Bill | None = None) -> None:
        self._predictor, self._source, self.bill = predictor, source, bill
        self._state = np.zeros((2, 1, 128), np.float32)
        self._before = np.zeros(CONTEXT, np.float32)
        self._rate = np.array(SAMPLE_RATE, np.int64)

    def ask(self, samples: Samples) -> _Run:
        """Start to listen to the next `STEP` samples. The answer goes to `take` before the next question."""
        seen = np.concatenate([self._before, samples])[None]
        self._before = samples[-CONTEXT:]
        feeds: dict[str, Tensor] = {"input": seen, "state": self._state, "sr": self._rate}
        return self._predictor.run(MODEL, feeds, source=self._source, bill=self.bill)

    def take(self, outputs: dict[str, Tensor]) -> float:
        """How likely it is that somebody speaks, in [0, 1].

        Raises:
            DecodeError: the model is no Silero.
        """
        try:
            self._state = np.asarray(outputs["stateN"], np.float32).reshape(2, 1, 128)
            return float(np.clip(np.asarray(outputs["output"]).reshape(-1)[0], 0, 1))
        except (KeyError, ValueError, IndexError) as error:
            raise DecodeError(f"{MODEL} gave {sorted(outputs)}, which cannot be read") from error


@dataclass(frozen=True, slots=True)
class VoiceRules:
    """When sound counts as speech.

    Attributes:
        threshold: likelihood from which somebody speaks, in (0, 1).
        min_speech_s: what is shorter is left out.
        min_silence_s: a pause of this length ends a stretch.
        pad_s: added before and after, at most half of `min_silence_s`.
        max_speech_s: a stretch is cut at this length.
    """

    threshold: float = 0.5
    min_speech_s: float = 0.25
    min_silence_s: float = 0.3
    pad_s: float = 0.1
    max_speech_s: float = 20.0

    @property
    def pad(self) -> float:
        """What is really added: two neighbours never overlap."""
        return min(self.pad_s, self.min_silence_s / 2)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Somebody speaks from `start` to `end`, seconds; `score` is the mean likelihood."""

    start: float
    end: float
    score: float


class Gate:
    """Likelihoods, one a step, to stretches of speech."""

    def __init__(self, rules: VoiceRules) -> None:
        self.rules = rules
        self._at = 0
        self._begun: int | None = None
        self._last = 0
        self._sum = 0.0
        self._free_from = 0.0

    @property
    def speaking_since(self) -> float | None:
        """Where the stretch that is open began, seconds, padding included; None when nobody speaks."""
        return None if self._begun is None else self._start(self._begun)

    @property
    def at(self) -> float:
        """How much was looked at, seconds."""
        return self._at * STEP_S

    def _start(self, begun: int) -> float:
        return max(self._free_from, begun * STEP_S - self.rules.pad)

    def push(self, likelihood: float) -> Stretch | None:
        """Look at one more step; gives a stretch when that ends it."""
        here, self._at = self._at, self._at + 1
        if self._begun is None:
            if likelihood >= self.rules.threshold:
                self._begun, self._last, self._sum = here, here + 1, likelihood
            return None
        if likelihood >= max(self.rules.threshold - DROP, 0.01):
            self._sum += likelihood
            self._last = here + 1
        elif (self._at - self._last) * STEP_S >= self.rules.min_silence_s:
            return self._close()
        if (self._at - self._begun) * STEP_S >= self.rules.max_speech_s:
            return self._close()
        return None

    def finish(self) -> Stretch | None:
        """The stretch that is still open, if one is: the sound has ended, or is to be cut here."""
        return None if self._begun is None else self._close()

    def _close(self) -> Stretch | None:
        begun, self._begun = self._begun or 0, None
        spoken = self._last - begun
        start, end = self._start(begun), min(self._last * STEP_S + self.rules.pad, self._at * STEP_S)
        if spoken * STEP_S < self.rules.min_speech_s:
            return None
        self._free_from = end
        return Stretch(start, end, min(self._sum / spoken, 1.0))


def speech_in(sound: Sound, predictor: Predictor, rules: VoiceRules) -> Iterator[Stretch]:
    """Stretches of speech, each as soon as it has ended; times from the first sample.

    Raises:
        DeadlineError: the sound's deadline is over.
        AihubError: the model failed.
    """
    listener, gate = Listener(predictor, sound.source), Gate(rules)
    for first in range(0, len(sound.samples), STEP):
        in_time(sound)
        part = sound.samples[first : first + STEP]
        if len(part) < STEP:
            part = np.concatenate([part, np.zeros(STEP - len(part), np.float32)])
        stretch = gate.push(listener.take(outputs_of(listener.ask(part), sound)))
        if stretch is not None:
            yield _within(stretch, sound)
    stretch = gate.finish()
    if stretch is not None:
        yield _within(stretch, sound)


def _within(stretch: Stretch, sound: Sound) -> Stretch:
    """The last step may reach beyond the end."""
    return Stretch(stretch.start, min(stretch.end, sound.duration), stretch.score)


class VoiceParams(StageParams):
    """Settings of `voice-activity`."""

    threshold: float = Field(0.5, gt=0, lt=1, description="Likelihood from which it is speech.")
    min_speech: float = Field(0.25, ge=0, le=10, description="Shorter stretches are left out, seconds.")
    min_silence: float = Field(
        0.3, ge=0.032, le=10, description="A pause of this length ends a stretch, seconds."
    )
    pad: float = Field(0.1, ge=0, le=1, description="Added before and after a stretch, seconds.")
    max_speech: float = Field(20.0, ge=1, le=600, description="Longer stretches are cut, seconds.")

    def rules(self) -> VoiceRules:
        """The same for the gate."""
        return VoiceRules(self.threshold, self.min_speech, self.min_silence, self.pad, self.max_speech)


class VoiceActivity(SoundStage[VoiceParams]):
    """Stretches of speech as events named `speech`."""

    name = "voice-activity"

    @classmethod
    def models(cls, params: VoiceParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """Silero."""
        return (MODEL,)

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:  # noqa: ARG002 - a first stage
        """All stretches.

        Raises:
            AihubError: the model failed, or the time is over.
        """
        stretches = speech_in(sound, self.predictor, self.params.rules())
        return SoundEvents.of((SPEECH, one.start, one.end, one.score) for one in stretches)
