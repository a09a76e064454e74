"""Spot words: a small network that hears one second of sound, eight times a second."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time, outputs_of
from aihub.algorithms.sound.happenings import F32, events
from aihub.errors import DecodeError, ParamsError
from aihub.types import SAMPLE_RATE, Samples, Sound, SoundEvents, Tensor

MODEL = "kws"
INPUT = "samples"
OTHERS = frozenset({"unknown", "silence"})
"""Labels of the network that are no words."""
WINDOW = SAMPLE_RATE
"""Samples it hears at once."""
STEP = SAMPLE_RATE // 8
MARGIN = SAMPLE_RATE // 4
"""Silence put before and after a recording; the middle half of a window is where its word is."""
TOGETHER = 3
"""Windows in a row whose mean counts: what looks like a word at one moment only is none."""
BATCH = 64
"""Windows in one run."""
FAINT = 1e-3
"""A window that never gets louder is silence: the network hears no loudness, and would listen to its noise."""


class SpotParams(StageParams):
    """Settings of `spot-keywords`."""

    confidence: float = Field(0.96, ge=0, le=1, description="Least score.")
    words: tuple[str, ...] = Field((), description="Words to report; none reports all that it knows.")


class SpotKeywords(SoundStage[SpotParams]):
    """Words that were spoken, with start and end of the part in which they were."""

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
        known = self.words()
        unknown = sorted(set(self.params.words) - set(known))
        if unknown:
            raise ParamsError(
                f"{unknown[0]!r} is none of the words it knows",
                field="words",
                hint=f"known: {', '.join(known)}",
            )
        scores = self.shares(sound)
        return events(
            scores, spans(len(scores), sound.duration), known, self.params.confidence, self.params.words
        )

    def words(self) -> list[str]:
        """What it knows, in the order of the network.

        Raises:
            DecodeError: the network does not say.
        """
        return [label for label in self._labels() if label not in OTHERS]

    def shares(self, sound: Sound) -> F32:
        """How sure it is of each word: `(windows, words)` in [0, 1], eight windows a second, each the mean of three.

        Raises:
            AihubError: the model failed, or the time is over.
        """
        labels = self._labels()
        heard = [self._scores(part, labels, sound) for part in batches(sound.samples)]
        kept = [at for at, label in enumerate(labels) if label not in OTHERS]
        return smoothed(np.concatenate(heard))[:, kept] if heard else np.zeros((0, len(kept)), np.float32)

    def _labels(self) -> list[str]:
        """What the network tells apart: its file says so."""
        written = self.predictor.metadata(MODEL).get("labels", "")
        if not written:
            raise DecodeError(f"the file of {MODEL} does not name its labels")
        return written.split(",")

    def _scores(self, part: F32, labels: list[str], sound: Sound) -> F32:
        """(n, labels) of (n, 16000); nothing is heard in what is faint."""
        in_time(sound)
        made = np.zeros((len(part), len(labels)), np.float32)
        loud = np.abs(part).max(axis=1) > FAINT
        if not loud.any():
            return made
        feeds: dict[str, Tensor] = {INPUT: part[loud]}
        outputs = outputs_of(self.predictor.run(MODEL, feeds, source=sound.source), sound)
        scores = next(iter(outputs.values()))
        if scores.shape != (int(loud.sum()), len(labels)):
            raise DecodeError(f"{MODEL} gave scores of shape {scores.shape} for {int(loud.sum())} windows")
        made[loud] = np.clip(np.asarray(scores, np.float32), 0, 1)
        return made


def batches(samples: Samples) -> Iterator[F32]:
    """Windows `(n, 16000)` of a recording with silence around it, at most `BATCH` at a time; none of an empty one."""
    if not len(samples):
        return
    steps = max(0, -(-(len(samples) + 2 * MARGIN - WINDOW) // STEP))
    filled = np.zeros(WINDOW + steps * STEP, np.float32)
    filled[MARGIN : MARGIN + len(samples)] = samples
    views: npt.NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(filled, WINDOW)[::STEP]
    for at in range(0, len(views), BATCH):
        yield views[at : at + BATCH]


def spans(count: int, duration: float) -> list[tuple[float, float]]:
    """Start and end of the middle half of each window, seconds."""
    starts = np.minimum(np.arange(count) * (STEP / SAMPLE_RATE), duration)
    ends = np.minimum(starts + (WINDOW - 2 * MARGIN) / SAMPLE_RATE, duration)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def smoothed(scores: F32) -> F32:
    """The mean of each window's scores `(n, labels)` and its neighbours'; before the first and after the last there is nothing."""
    around = np.pad(scores, ((TOGETHER // 2, TOGETHER // 2), (0, 0)))
    rows = np.lib.stride_tricks.sliding_window_view(around, TOGETHER, axis=0)
    return np.asarray(rows.mean(axis=-1), np.float32)
