"""Name what is heard: YAMNet, 521 kinds of sound of AudioSet, for every half second."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time, outputs_of
from aihub.algorithms.sound.happenings import F32, events, windows
from aihub.errors import DecodeError, ParamsError
from aihub.types import SAMPLE_RATE, Samples, Sound, SoundEvents, Tensor

MODEL = "audio-tag"
LENGTH, STEP = 15_600, 7_800
"""Samples the network hears at once, and from one time to the next: 0.975 s and half of that."""
AT_ONCE = 16
"""Windows of one recording under way, at most: the queue of the model is for all."""


@cache
def kinds() -> tuple[str, ...]:
    """Names of the network's outputs, in their order."""
    text = Path(__file__).with_name("audioset.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


class TagParams(StageParams):
    """Settings of `tag-sound`."""

    confidence: float = Field(0.3, ge=0, le=1, description="Least score.")
    labels: tuple[str, ...] = Field((), description="Kinds of sound to report; none reports all.")
    name: str = Field(
        "", max_length=64, description="One name for all of these kinds: the highest of their scores counts."
    )


class TagSound(SoundStage[TagParams]):
    """What is heard, with start and end."""

    name = "tag-sound"
    speech_only: ClassVar[bool] = False

    @classmethod
    def models(cls, params: TagParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """YAMNet."""
        return (MODEL,)

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:  # noqa: ARG002 - a first stage
        """Kinds of sound that score enough.

        Raises:
            ParamsError: a label that the network does not know.
            AihubError: the model failed, or the time is over.
        """
        unknown = sorted(set(self.params.labels) - set(kinds()))
        if unknown:
            raise ParamsError(
                f"no kind of sound is named {unknown[0]!r}",
                field="labels",
                hint="names are those of AudioSet",
            )
        if not len(sound.samples):
            return SoundEvents.of(())
        starts, scores = self._scores(sound)
        spans = [
            (first / SAMPLE_RATE, min((first + LENGTH) / SAMPLE_RATE, sound.duration)) for first in starts
        ]
        if self.params.name:
            together = [at for at, kind in enumerate(kinds()) if kind in self.params.labels]
            best = scores[:, together].max(axis=1, keepdims=True, initial=0.0)
            return events(best, spans, (self.params.name,), self.params.confidence, ())
        return events(scores, spans, kinds(), self.params.confidence, self.params.labels)

    def _scores(self, sound: Sound) -> tuple[list[int], F32]:
        starts: list[int] = []
        rows: list[F32] = []
        under_way: deque[Future[dict[str, Tensor]]] = deque()
        for first, part in windows(sound.samples, LENGTH, STEP):
            in_time(sound)
            if len(under_way) >= AT_ONCE:
                rows.append(_row(outputs_of(under_way.popleft(), sound)))
            starts.append(first)
            under_way.append(self._ask(part, sound))
        rows += [_row(outputs_of(run, sound)) for run in under_way]
        return starts, np.stack(rows)

    def _ask(self, part: Samples, sound: Sound) -> Future[dict[str, Tensor]]:
        return self.predictor.run(MODEL, {"input_1": part[None]}, source=sound.source)


def _row(outputs: dict[str, Tensor]) -> F32:
    """The scores among the outputs; the other one is the spectrogram."""
    for value in outputs.values():
        if value.shape == (1, len(kinds())):
            return np.clip(np.asarray(value[0], np.float32), 0, 1)
    raise DecodeError(
        f"{MODEL} gave {[value.shape for value in outputs.values()]}, but 521 scores are needed"
    )
