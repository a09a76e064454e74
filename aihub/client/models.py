"""What the client gives back beyond `aihub.types.answers`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aihub.errors import AihubError
from aihub.types import AnyResult, Event


@dataclass(frozen=True, slots=True)
class InferAnswer:
    """Results of one request, one for each picture, in order.

    Attributes:
        algorithm: its id.
        version: of the algorithm.
        results: columnar, one for each picture; boxes in its pixels.
        took_ms: in the hub, milliseconds.
        drawn: the pictures with the results drawn on them, JPEG; empty unless asked for.
    """

    algorithm: str
    version: int
    results: list[AnyResult]
    took_ms: float
    drawn: list[bytes] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class AlgorithmAnswer:
    """What one of several algorithms gave.

    Attributes:
        algorithm: its id, as it was asked for.
        version: of the algorithm; None when there is none of that id.
        results: one for each picture, in order; empty with an error.
        error: why it gave none.
        drawn: the pictures with the results drawn on them, JPEG; empty unless asked for.
    """

    algorithm: str
    version: int | None
    results: list[AnyResult]
    error: AihubError | None = None
    drawn: list[bytes] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class ManyAnswer:
    """What several algorithms gave for the same pictures, in the order they were asked for; took_ms in the hub."""

    answers: list[AlgorithmAnswer]
    took_ms: float

    def __getitem__(self, algorithm: str) -> AlgorithmAnswer:
        """The answer of one of them.

        Raises:
            KeyError: it was not asked for.
        """
        for answer in self.answers:
            if answer.algorithm == algorithm:
                return answer
        raise KeyError(algorithm)


@dataclass(frozen=True, slots=True)
class Heard:
    """What an algorithm made of a recording.

    Attributes:
        algorithm: its id.
        version: of the algorithm.
        result: a `Transcript` or `SoundEvents`; times in seconds of the recording.
        duration: of the recording, seconds.
        took_ms: in the hub, milliseconds.
    """

    algorithm: str
    version: int
    result: AnyResult
    duration: float
    took_ms: float


@dataclass(frozen=True, slots=True)
class TranscriptPart:
    """A piece of a transcript as it is made; the last one has `whole`, all of it."""

    delta: str
    whole: str | None = None


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """A step in the life of an event; `seq` resumes after it."""

    seq: int
    event: Event


Json = dict[str, Any]
