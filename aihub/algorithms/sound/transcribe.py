"""Speech to text: stretches of speech first, then each to words, by a network where its weights are here, else by PocketSphinx."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ClassVar, Protocol

import numpy as np
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time
from aihub.algorithms.sound import sphinx
from aihub.algorithms.sound.ctc import CtcRecogniser
from aihub.algorithms.sound.paraformer import ParaformerRecogniser, is_paraformer
from aihub.algorithms.sound.voice import MODEL as VOICE
from aihub.algorithms.sound.voice import STEP, Gate, Stretch, VoiceRules, speech_in
from aihub.errors import WeightsMissingError
from aihub.types import Samples, Segment, Sound, Task, Transcript, Word, joined

AUTO = "auto"
NETWORK = "asr"
"""Role of networks for speech; the best-ranked whose weights are here is taken."""
RULES = VoiceRules(min_silence_s=0.4, pad_s=0.2)
AT_ONCE = 2
"""Stretches of one recording that are worked on at the same time; the recognisers are there for others, too."""
LOUD = 0.004
"""Root mean square from which a step can be speech, where no network tells."""


class Recogniser(Protocol):
    """From a stretch of speech to words."""

    language: str

    def words(self, sound: Sound, samples: Samples, start: float) -> list[Word]:
        """What was said; times count from the zero that `start` counts from."""
        ...


class _Sphinx:
    language = sphinx.LANGUAGE

    def words(self, sound: Sound, samples: Samples, start: float) -> list[Word]:
        return sphinx.pool().words(sound, samples, start)


class TranscribeParams(StageParams):
    """Settings of `transcribe`."""

    language: str = Field(
        AUTO,
        max_length=16,
        description="ISO 639-1 code of what is spoken, or `auto` where the model can tell.",
    )


class Transcribe(SoundStage[TranscribeParams]):
    """What was said, stretch by stretch."""

    name = "transcribe"
    gives: ClassVar[Task] = Task.SPEECH_RECOGNITION

    @classmethod
    def unavailable(cls) -> str:
        """PocketSphinx is what is always there."""
        return "" if sphinx.installed() else sphinx.MISSING

    def hear(self, sound: Sound, found: HeardResult | None) -> Transcript:  # noqa: ARG002 - a first stage
        """All that was said; each segment is told to `sound.heard` as soon as it is known.

        Raises:
            WeightsMissingError: nothing here knows that language.
            AihubError: a model failed, or the time is over.
        """
        recogniser = self._recogniser()
        segments: list[Segment] = []
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="aihub-transcribe") as pool:
            for stretch, words in self._spoken(sound, recogniser, pool):
                if words:
                    segments.append(_segment(stretch, words))
                    if sound.heard is not None:
                        sound.heard(segments[-1])
        return Transcript(tuple(segments), recogniser.language, sound.duration)

    def _spoken(
        self, sound: Sound, recogniser: Recogniser, pool: ThreadPoolExecutor
    ) -> Iterator[tuple[Stretch, list[Word]]]:
        """The words of every stretch, in their order; some stretches are worked on at the same time."""
        under_way: deque[tuple[Stretch, Future[list[Word]]]] = deque()
        for stretch in self._stretches(sound):
            in_time(sound)
            part = sound.cut(stretch.start, stretch.end)
            asked = pool.submit(recogniser.words, sound, part.samples, stretch.start)
            under_way.append((stretch, asked))
            while under_way and (len(under_way) > AT_ONCE or under_way[0][1].done()):
                first, done = under_way.popleft()
                yield first, done.result()
        for first, done in under_way:
            yield first, done.result()

    def _recogniser(self) -> Recogniser:
        if not self.predictor.missing([NETWORK]):
            kind = ParaformerRecogniser if is_paraformer(self.predictor.metadata(NETWORK)) else CtcRecogniser
            return kind(self.predictor, NETWORK, self.params.language)
        if self.params.language.lower().partition("-")[0] not in (AUTO, sphinx.LANGUAGE, ""):
            raise WeightsMissingError(
                f"speech in {self.params.language!r} needs a model that is not here",
                hint=f"bring a model card with the role {NETWORK!r} and run `aihub models pull {NETWORK}`; English works without",
                field="language",
            )
        return _Sphinx()

    def _stretches(self, sound: Sound) -> Iterator[Stretch]:
        if not self.predictor.missing([VOICE]):
            return speech_in(sound, self.predictor, RULES)
        return loud_parts(sound)


def loud_parts(sound: Sound, rules: VoiceRules = RULES) -> Iterator[Stretch]:
    """Stretches by loudness alone, for machines without the network that tells speech: noise counts as speech then."""
    gate = Gate(rules)
    whole = len(sound.samples) // STEP * STEP
    loudness = np.sqrt(np.mean(sound.samples[:whole].reshape(-1, STEP) ** 2, axis=1, dtype=np.float32))
    floor = max(LOUD, 3 * float(np.percentile(loudness, 5))) if len(loudness) else LOUD
    for level in np.minimum(loudness, 1.0).tolist():
        if (stretch := gate.push(float(level >= min(floor, 0.05)))) is not None:
            yield stretch
    if (stretch := gate.finish()) is not None:
        yield stretch


def _segment(stretch: Stretch, words: list[Word]) -> Segment:
    confidence = sum(word.confidence for word in words) / len(words)
    return Segment(joined(word.text for word in words), stretch.start, stretch.end, confidence, tuple(words))
