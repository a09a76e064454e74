"""How long somebody speaks: stretches of speech, joined to turns, and added up."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from aihub.algorithms.base import StageParams
from aihub.algorithms.hearing import HeardResult, SoundStage
from aihub.errors import UnsupportedTypeError
from aihub.types import Sound, SoundEvents

TURN = "turn"


class TurnParams(StageParams):
    """Settings of `talk-time`."""

    pause: float = Field(
        1.0,
        ge=0,
        le=60,
        description="A pause of this length ends a turn; shorter ones belong to it, seconds.",
    )


class TalkTime(SoundStage[TurnParams]):
    """Turns, and the figures `talk_s`, `talk_share`, `turns`, `longest_turn_s` and `longest_pause_s`.

    It stands behind `voice-activity`. Who speaks is not told: two people who answer each other quickly are one turn.
    """

    name = "talk-time"

    def hear(self, sound: Sound, found: HeardResult | None) -> SoundEvents:
        """Turns of what was found to be speech; `talk_s` counts speech only, not the pauses in a turn.

        Raises:
            UnsupportedTypeError: the stage before gives no stretches of speech.
        """
        if not isinstance(found, SoundEvents):
            raise UnsupportedTypeError("talk-time stands behind a stage that gives stretches of speech")
        starts, ends = found.start.astype(np.float64), found.end.astype(np.float64)
        talk = float((ends - starts).sum())
        gaps = starts[1:] - ends[:-1]
        breaks = np.flatnonzero(gaps >= self.params.pause)
        firsts = np.concatenate([[0], breaks + 1])[: len(starts)].astype(int)
        lasts = np.concatenate([breaks, [len(starts) - 1]])[: len(starts)].astype(int)
        rows = [
            (TURN, float(starts[first]), float(ends[last]), float(found.score[first : last + 1].mean()))
            for first, last in zip(firsts, lasts, strict=True)
        ]
        silences = np.diff(np.concatenate([[0.0], np.stack([starts, ends], 1).ravel(), [sound.duration]]))[
            ::2
        ]
        measures = {
            "talk_s": talk,
            "talk_share": min(talk / sound.duration, 1.0) if sound.duration else 0.0,
            "turns": float(len(rows)),
            "longest_turn_s": max((end - start for _, start, end, _ in rows), default=0.0),
            "longest_pause_s": max(float(silences.max()), 0.0),
        }
        return SoundEvents.of(rows, measures)
