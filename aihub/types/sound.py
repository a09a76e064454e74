"""Sound on its way through the hub, and what algorithms hear in it."""

from __future__ import annotations

import base64
import io
import math
import wave
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from aihub.types.bill import Bill
from aihub.types.frame import Memo
from aihub.types.tasks import Task

SAMPLE_RATE = 16_000
"""Samples a second of all sound inside the hub."""

Samples = npt.NDArray[np.float32]
"""`(n,)` float32 mono, in [-1, 1], at `SAMPLE_RATE`."""

Json = dict[str, Any]


@dataclass(slots=True, eq=False)
class Sound:
    """A piece of sound with where it came from: the sibling of `Frame`.

    Attributes:
        samples: `(n,)` float32 mono in [-1, 1] at 16 kHz. Never written to.
        start: where its first sample lies in its source, seconds.
        source: who sent it, as `tenant/key`; the batcher is fair between sources.
        deadline: `time.monotonic()` after which work on it may stop; moved into the past when nobody waits any more.
        heard: called with each segment of a transcript as soon as it is known, from the thread that does the work.
        memo: shared intermediate results of this sound.
        bill: where work on this sound is put down; None when nobody counts.
    """

    samples: Samples
    start: float = 0.0
    source: str = ""
    deadline: float = math.inf
    heard: Callable[[Segment], None] | None = field(default=None, repr=False)
    memo: Memo = field(default_factory=Memo, repr=False)
    bill: Bill | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(
                f"samples must be float32 of shape (n,), not {self.samples.dtype} {self.samples.shape}"
            )

    @property
    def duration(self) -> float:
        """Length, seconds."""
        return len(self.samples) / SAMPLE_RATE

    def cut(self, start: float, end: float) -> Sound:
        """The part from `start` to `end`, seconds from the first sample, clipped. Shares the samples, not the memo."""
        first, last = (min(max(round(side * SAMPLE_RATE), 0), len(self.samples)) for side in (start, end))
        part = self.samples[first : max(first, last)]
        return Sound(part, self.start + first / SAMPLE_RATE, self.source, self.deadline, bill=self.bill)


@dataclass(frozen=True, slots=True)
class Word:
    """One word that was said: from `start` to `end`, seconds of the sound; `confidence` in [0, 1]."""

    text: str
    start: float
    end: float
    confidence: float

    def to_json(self) -> Json:
        """Plain values."""
        return {
            "text": self.text,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "confidence": round(self.confidence, 4),
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        return cls(body["text"], body["start"], body["end"], body["confidence"])


@dataclass(frozen=True, slots=True)
class Segment:
    """What was said between two pauses.

    Attributes:
        text: the words.
        start: seconds of the sound.
        end: seconds of the sound, not before `start`.
        confidence: in [0, 1].
        words: each word with its time, where the recogniser tells; else empty.
    """

    text: str
    start: float
    end: float
    confidence: float
    words: tuple[Word, ...] = ()

    def to_json(self) -> Json:
        """Plain values; times to the millisecond."""
        return {
            "text": self.text,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "confidence": round(self.confidence, 4),
            "words": [word.to_json() for word in self.words],
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        words = tuple(map(Word.from_json, body["words"]))
        return cls(body["text"], body["start"], body["end"], body["confidence"], words)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said.

    Attributes:
        segments: in the order of time; none when nobody spoke.
        language: ISO 639-1 code; empty when it is not known.
        duration: of the sound, seconds.
    """

    segments: tuple[Segment, ...]
    language: str
    duration: float
    task: ClassVar[Task] = Task.SPEECH_RECOGNITION

    def __len__(self) -> int:
        return len(self.segments)

    @property
    def text(self) -> str:
        """All of it in one line."""
        return joined(segment.text for segment in self.segments)

    def to_json(self) -> Json:
        """`{"task", "language", "duration", "text", "segments": [{"text", "start", "end", "confidence", "words"}]}`."""
        return {
            "task": self.task.value,
            "language": self.language,
            "duration": round(self.duration, 3),
            "text": self.text,
            "segments": [segment.to_json() for segment in self.segments],
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        return cls(tuple(map(Segment.from_json, body["segments"])), body["language"], body["duration"])


@dataclass(frozen=True, slots=True, eq=False)
class SoundEvents:
    """What was heard and when.

    Attributes:
        label: name of each event, such as `Speech`, `Dog`, `yes`.
        start: `(N,)` float32 seconds of the sound, in order.
        end: `(N,)` float32 seconds, not before `start`.
        score: `(N,)` float32 in [0, 1].
        measures: figures of the whole sound, by name with the unit in the name; none for most.
    """

    label: tuple[str, ...]
    start: npt.NDArray[np.float32]
    end: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    measures: dict[str, float] = field(default_factory=dict)
    task: ClassVar[Task] = Task.SOUND_EVENT_DETECTION

    def __post_init__(self) -> None:
        for name in ("start", "end", "score"):
            column = getattr(self, name)
            if column.shape != (len(self.label),):
                raise ValueError(f"{name} must have shape ({len(self.label)},), but has {column.shape}")

    @classmethod
    def of(
        cls, rows: Iterable[tuple[str, float, float, float]], measures: Mapping[str, float] | None = None
    ) -> Self:
        """From rows of label, start, end and score; put in the order of time."""
        ordered = sorted(rows, key=lambda row: (row[1], row[2], row[0]))
        columns = [np.array([row[at] for row in ordered], np.float32) for at in (1, 2, 3)]
        return cls(tuple(row[0] for row in ordered), columns[0], columns[1], columns[2], dict(measures or {}))

    def __len__(self) -> int:
        return len(self.label)

    def to_json(self) -> Json:
        """`{"task", "events": [{"label", "start", "end", "score"}], "measures"?}`; times to the millisecond."""
        columns = zip(self.label, self.start.tolist(), self.end.tolist(), self.score.tolist(), strict=True)
        body: Json = {
            "task": self.task.value,
            "events": [
                {"label": label, "start": round(start, 3), "end": round(end, 3), "score": round(score, 4)}
                for label, start, end, score in columns
            ],
        }
        if self.measures:
            body["measures"] = {name: round(float(value), 4) for name, value in self.measures.items()}
        return body

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`."""
        rows = body["events"]
        columns = [np.array([row[name] for row in rows], np.float32) for name in ("start", "end", "score")]
        measures = dict(body.get("measures", {}))
        return cls(tuple(row["label"] for row in rows), columns[0], columns[1], columns[2], measures)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Sound made out of the one that was given: without its noise, say.

    Attributes:
        samples: `(n,)` float32 mono in [-1, 1] at 16 kHz.
        measures: what was done, in numbers, by name with the unit in the name.
    """

    samples: Samples
    measures: dict[str, float] = field(default_factory=dict)
    task: ClassVar[Task] = Task.SOUND

    def __len__(self) -> int:
        return 1

    def encoded(self) -> bytes:
        """As a WAV file, 16 bits a sample."""
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(SAMPLE_RATE)
            out.writeframes(np.round(self.samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
        return file.getvalue()

    def to_json(self) -> Json:
        """`{"task", "duration", "measures", "audio"}`; the sound as base64 of a WAV file."""
        return {
            "task": self.task.value,
            "duration": round(len(self.samples) / SAMPLE_RATE, 3),
            "measures": {name: round(float(value), 4) for name, value in self.measures.items()},
            "audio": base64.b64encode(self.encoded()).decode(),
        }

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """The way back from `to_json`, to 16 bits a sample."""
        with wave.open(io.BytesIO(base64.b64decode(body["audio"]))) as file:
            ticks = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return cls((ticks / np.float32(32767)).astype(np.float32), dict(body["measures"]))


def joined(texts: Iterable[str]) -> str:
    """Pieces of text as one: a blank between them, but not between Chinese characters.

    >>> joined(["turn left", "now"])
    'turn left now'
    >>> joined(["你好", "世界"])
    '你好世界'
    """
    whole = ""
    for text in filter(None, (text.strip() for text in texts)):
        wide = whole and "\u2e80" <= whole[-1] <= "\uffef" and "\u2e80" <= text[0] <= "\uffef"
        whole += text if wide or not whole else f" {text}"
    return whole
