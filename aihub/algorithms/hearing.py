"""Sound through an algorithm: the contract of stages that listen, and running a chain of them on one recording."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.base import P, Stage, StageError
from aihub.algorithms.behalf import OnBehalf
from aihub.algorithms.chains import make_stage, tried
from aihub.errors import DeadlineError, UnsupportedTypeError
from aihub.types import (
    AlgorithmCard,
    AnyResult,
    Frame,
    InputKind,
    Predictor,
    Recording,
    Segment,
    Sound,
    SoundEvents,
    Task,
    Tensor,
    Transcript,
)

HeardResult = Transcript | SoundEvents | Recording
"""What algorithms give for sound."""


class SoundStage(Stage[P]):
    """One step of an algorithm that listens. An instance belongs to one recording.

    Attributes:
        gives: the kind of its result.
        speech_only: whether live sound brings it stretches of speech; else, where it is the first stage, all sound in pieces.
    """

    gives: ClassVar[Task] = Task.SOUND_EVENT_DETECTION
    speech_only: ClassVar[bool] = True
    works_by: ClassVar[str] = "hear"

    @abstractmethod
    def hear(self, sound: Sound, found: HeardResult | None) -> HeardResult:
        """Listen to a whole recording.

        Args:
            sound: never written to; work stops with `DeadlineError` once its `deadline` is over.
            found: result of the stage before, None for the first.
        """

    def process(self, frame: Frame, found: AnyResult | None) -> AnyResult:  # noqa: ARG002 - it has no eyes
        """Refused: it listens.

        Raises:
            UnsupportedTypeError: always.
        """
        raise UnsupportedTypeError(f"stage {self.name!r} takes sound, not pictures")


def takes_sound(card: AlgorithmCard) -> None:
    """Refuse an algorithm that does not listen.

    Raises:
        UnsupportedTypeError: says what it takes.
    """
    if InputKind.AUDIO not in card.input:
        raise UnsupportedTypeError(
            f"{card.id} takes {', '.join(card.input)}, not sound",
            hint=f"send pictures to POST /v1/algorithms/{card.id}/infer",
        )


def gives(algorithm: Algorithm) -> Task | None:
    """What an algorithm makes of sound; None when its last stage does not listen."""
    kind, _ = algorithm.resolve({}).stages[-1]
    return kind.gives if issubclass(kind, SoundStage) else None


def hears_all(algorithm: Algorithm) -> bool:
    """Whether an algorithm listens to more than speech: sirens, keys of a telephone, how loud it is."""
    kind, _ = algorithm.resolve({}).stages[0]
    return issubclass(kind, SoundStage) and not kind.speech_only


def hear(
    algorithm: Algorithm,
    sound: Sound,
    params: Mapping[str, Any],
    predictor: Predictor,
    *,
    timeout_s: float = 300.0,
) -> HeardResult:
    """Run an algorithm on a recording. Blocks.

    Args:
        algorithm: one that listens.
        sound: the recording; what is done for it is put on its bill, if it has one.
        params: the algorithm's parameters; defaults fill the rest.
        predictor: whatever runs the models.
        timeout_s: seconds for all of it; the sound's deadline counts too.

    Raises:
        ParamsError: a parameter is wrong.
        UnsupportedTypeError: the algorithm does not listen.
        AihubError: a stage failed, or the time is over.
    """
    takes_sound(algorithm.card)
    resolved = algorithm.resolve(params)
    sound.deadline = min(sound.deadline, time.monotonic() + timeout_s)
    asking = OnBehalf(predictor, bill=sound.bill, deadline=sound.deadline)
    found: HeardResult | None = None
    for kind, settings in resolved.stages:
        if not issubclass(kind, SoundStage):
            raise UnsupportedTypeError(
                f"stage {kind.name!r} of {algorithm.card.id} takes pictures, not sound"
            )
        stage = make_stage(kind, settings, asking)
        found = _step(stage, sound, found)
    if found is None:
        raise StageError(f"{algorithm.card.id} has no stages")
    return found


def _step(stage: Stage[Any], sound: Sound, found: HeardResult | None) -> HeardResult:
    assert isinstance(stage, SoundStage)  # noqa: S101 - told apart by its class before it was made
    in_time(sound)
    with tried(stage.name, sound.bill):
        return stage.hear(sound, found)


def in_time(sound: Sound) -> None:
    """Go on only while somebody waits.

    Raises:
        DeadlineError: the sound's deadline is over.
    """
    if time.monotonic() > sound.deadline:
        raise DeadlineError("listening took longer than it may", hint="send a shorter recording")


def outputs_of(run: Future[dict[str, Tensor]], sound: Sound) -> dict[str, Tensor]:
    """What a model's run gave.

    Raises:
        DeadlineError: not before the sound's deadline.
        AihubError: whatever the run ended with.
    """
    left = None if math.isinf(sound.deadline) else max(sound.deadline - time.monotonic(), 0.0)
    try:
        return run.result(left)
    except FutureTimeoutError as error:
        raise DeadlineError("a model did not answer in time", hint="send a shorter recording") from error


def shifted(result: HeardResult, by: float) -> HeardResult:
    """The same with all times that much later, seconds."""
    if isinstance(result, Recording):
        return result
    if isinstance(result, SoundEvents):
        late = np.float32(by)
        return replace(result, start=result.start + late, end=result.end + late)
    return Transcript(tuple(_later(one, by) for one in result.segments), result.language, result.duration)


def _later(segment: Segment, by: float) -> Segment:
    words = tuple(replace(word, start=word.start + by, end=word.end + by) for word in segment.words)
    return replace(segment, start=segment.start + by, end=segment.end + by, words=words)
