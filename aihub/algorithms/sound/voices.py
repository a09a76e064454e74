"""Voices told apart: a network makes a vector of every stretch of speech; vectors of one voice lie close to each other.

The graph is one that WeSpeaker exports: `feats` (n, t, 80) float32, log mel energies with their mean over time taken away, to one
output (n, d). It compares how voices sound; it knows nobody, and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage, in_time, outputs_of
from aihub.algorithms.sound.mel import F32, kaldi_fbank
from aihub.errors import DecodeError, UnsupportedTypeError
from aihub.types import Predictor, Samples, Sound, SoundEvents

MODEL = "speaker"
INPUT = "feats"
SHORTEST_S, LONGEST_S = 1.0, 6.0
"""Shorter stretches tell too little of a voice; longer ones are looked at in pieces, as two people may be in them."""
MOST = 1000
"""Pieces of speech of one recording that are told apart: their distances are all held in memory."""
SAME, OTHER = "same-voice", "other-voice"

Piece = tuple[float, float]


def pieces_of(found: SoundEvents) -> Iterator[Piece]:
    """Start and end of what is compared, seconds, in order: stretches of speech, long ones in equal parts."""
    for start, end in zip(found.start.tolist(), found.end.tolist(), strict=True):
        if end - start < SHORTEST_S:
            continue
        parts = int(np.ceil((end - start) / LONGEST_S))
        edges = np.linspace(start, end, parts + 1).tolist()
        yield from pairwise(edges)


def features(samples: Samples) -> F32:
    """What the network looks at, `(t, 80)`; the sound's colour, which is the same all the time, is taken away."""
    made = kaldi_fbank(samples)
    return made - made.mean(axis=0, keepdims=True) if len(made) else made


def _heard(found: HeardResult | None, stage: str) -> SoundEvents:
    if not isinstance(found, SoundEvents):
        raise UnsupportedTypeError(f"{stage} stands behind a stage that gives stretches of speech")
    return found


def vectors(predictor: Predictor, sound: Sound, pieces: Sequence[Piece]) -> F32:
    """`(n, d)` of length 1, one for each piece.

    Raises:
        DecodeError: the network gives something else.
        AihubError: it failed, or the time is over.
    """
    rows = []
    for start, end in pieces:
        in_time(sound)
        seen = features(sound.cut(start, end).samples)
        run = predictor.run(MODEL, {INPUT: seen[None]}, source=sound.source)
        made = np.asarray(next(iter(outputs_of(run, sound).values())), np.float32)
        if made.ndim != 2 or len(made) != 1 or not np.isfinite(made).all():
            raise DecodeError(f"{MODEL} gave a vector of shape {made.shape}")
        rows.append(_unit(made[0]))
    return np.stack(rows) if rows else np.zeros((0, 1), np.float32)


def _unit(vector: F32) -> F32:
    return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-9))


class CountParams(StageParams):
    """Settings of `speaker-count`."""

    threshold: float = Field(
        0.5, ge=-1, le=1, description="Likeness (cosine) from which two groups of pieces are one voice."
    )
    min_talk: float = Field(2.0, ge=0, le=600, description="Voices heard for less are left out, seconds.")


class SpeakerCount(SoundStage[CountParams]):
    """Pieces of speech named `speaker-1`, `speaker-2` in the order in which they are first heard; the figure `speakers`."""

    name = "speaker-count"

    @classmethod
    def models(cls, params: CountParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """A network for voices."""
        return (MODEL,)

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:
        """Groups of pieces whose vectors are alike on average.

        Raises:
            AihubError: the model failed, or the time is over.
        """
        pieces = list(pieces_of(_heard(found, self.name)))[:MOST]
        heard = vectors(self.predictor, sound, pieces)
        groups = grouped(heard, self.params.threshold)
        lengths = np.array([end - start for start, end in pieces])
        rows, kept = [], 0
        for group in dict.fromkeys(groups.tolist()):
            members = np.flatnonzero(groups == group)
            if lengths[members].sum() < self.params.min_talk:
                continue
            kept += 1
            centre = _unit(heard[members].mean(axis=0))
            for at in members.tolist():
                likeness = float(np.clip(heard[at] @ centre, 0, 1))
                rows.append((f"speaker-{kept}", *pieces[at], likeness))
        return SoundEvents.of(rows, {"speakers": float(kept), "compared_s": float(lengths.sum())})


def grouped(rows: F32, threshold: float) -> npt.NDArray[np.int64]:
    """Number of the group of each row; groups are joined while their members are alike on average.

    Args:
        rows: `(n, d)` of length 1.
        threshold: least cosine.
    """
    if len(rows) < 2:
        return np.zeros(len(rows), np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage  # here: it takes half a second

    tree = linkage(rows.astype(np.float64), "average", "cosine")
    return np.asarray(fcluster(tree, 1 - threshold, "distance"), np.int64)


class VerifyParams(StageParams):
    """Settings of `speaker-verification`."""

    reference: float = Field(
        5.0, ge=1, le=600, description="Seconds at the beginning in which only the known voice speaks."
    )
    threshold: float = Field(0.5, ge=-1, le=1, description="Likeness (cosine) from which it is that voice.")


class SpeakerVerification(SoundStage[VerifyParams]):
    """What follows the reference, piece by piece: `same-voice` or `other-voice`; the figure `likeness` of all of it, -1 to 1."""

    name = "speaker-verification"

    @classmethod
    def models(cls, params: VerifyParams) -> tuple[str, ...]:  # noqa: ARG003 - always the same
        """A network for voices."""
        return (MODEL,)

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:
        """Compare with the voice at the beginning; nothing is said where either part has too little speech.

        Raises:
            AihubError: the model failed, or the time is over.
        """
        edge = self.params.reference
        speech = _heard(found, self.name)
        known = list(pieces_of(_within(speech, 0.0, edge)))[:MOST]
        asked = list(pieces_of(_within(speech, edge, sound.duration)))[:MOST]
        measures = {
            "reference_s": float(sum(end - start for start, end in known)),
            "compared_s": float(sum(end - start for start, end in asked)),
        }
        if not known or not asked:
            return SoundEvents.of((), measures)
        voice = _unit(vectors(self.predictor, sound, known).mean(axis=0))
        alike = vectors(self.predictor, sound, asked) @ voice
        rows = []
        for (start, end), likeness in zip(asked, alike.tolist(), strict=True):
            beyond = likeness - self.params.threshold
            score = float(np.clip(0.5 + abs(beyond) / 2, 0, 1))
            rows.append((SAME if beyond >= 0 else OTHER, start, end, score))
        lengths = np.array([end - start for start, end in asked])
        return SoundEvents.of(rows, measures | {"likeness": float(np.average(alike, weights=lengths))})


def _within(found: SoundEvents, start: float, end: float) -> SoundEvents:
    """Stretches cut to a part of the recording."""
    rows = zip(found.label, found.start.tolist(), found.end.tolist(), found.score.tolist(), strict=True)
    cut = [(label, max(first, start), min(last, end), score) for label, first, last, score in rows]
    return SoundEvents.of(row for row in cut if row[2] > row[1])
