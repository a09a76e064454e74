"""Stage `fire-witnesses`: what looks like fire or smoke to a network, and what moves like it, heard together.

The two err on different things: the network on lamps, sunsets and orange vests, which do not flicker; flicker on what sways and
blinks, which does not look like flames. So where both point at the same place they are believed more than either. Of flames the
network may tell alone, and flicker once it has lasted; of smoke the network alone is believed by half.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aihub.algorithms.base import Stage, StageError
from aihub.algorithms.builtin.fire import LABELS, STILL_MOST, FireFlicker, FireFlickerParams
from aihub.types import AnyResult, Detections, Frame, Predictor
from aihub.types.geometry import overlap_of_smaller

FIRE, SMOKE = (LABELS.index(name) for name in ("fire", "smoke"))

SMOKE_ALONE = 0.5
"""How much of its confidence the network keeps for smoke that nothing else confirms: on an hour of ten clips without fire it
took a blank wall and an empty road for smoke, with up to 0.87, and on none of them anything for fire."""

LASTING_S = 2.0
"""For so long flicker must have gone on where the network sees nothing, or it is believed by half: flames stay in their place, while
who walks by in orange, looked at three to five times a second, flickers for one to three seconds along the way."""

UNPROVEN = 0.5
"""How much of its confidence flicker keeps until then."""

CONFIRMED_S = 5.0
"""So long after the network has seen something there flicker is still believed at once."""

PAUSE_S = 1.5
"""Flicker that comes back after longer than this begins anew."""

SHARED = 0.3
"""Part of the smaller of two boxes that must lie in the other for both to mean the same place."""


class FireWitnesses(Stage[FireFlickerParams]):
    """Detections labelled `fire` and `smoke`. Follows `detect` with a model that has these labels."""

    name = "fire-witnesses"
    stateful = True

    def __init__(self, params: FireFlickerParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._flicker = FireFlicker(params, predictor)
        self._places = _Places()

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """Boxes of both. One that the other confirms has 1 - (1 - a)(1 - b) as its confidence.

        Raises:
            StageError: what comes before is no detector of fire and smoke.
        """
        if not isinstance(found, Detections) or (found.labels and not set(found.labels) >= set(LABELS)):
            raise StageError(f"{self.name} follows a detector with the labels {', '.join(LABELS)}")
        seen = _relabelled(found.select(LABELS if self.params.smoke else LABELS[:1]))
        moving = self._flicker.process(frame, None)
        # Colour alone adds nothing to a network that sees colours.
        moving = moving[moving.confidence > STILL_MOST]
        if not len(moving):
            return heard_together(seen, moving)
        proven = np.ones(len(moving), np.bool_)
        flames = moving.class_id == FIRE
        confirmed = np.logical_or.reduce(same_place(seen, moving)[:, flames])
        proven[flames] = self._places.proven(moving.xyxy[flames], confirmed, frame.monotonic)
        believed = (moving.confidence * np.where(proven, 1.0, UNPROVEN)).astype(np.float32)
        return heard_together(seen, replace(moving, confidence=believed))


class _Places:
    """Where something flickered lately: where and when it began, and when the network last saw the same there."""

    def __init__(self) -> None:
        self._began = np.zeros((0, 4), np.float32)
        self._since, self._last, self._confirmed = np.zeros((3, 0))

    def proven(
        self, flickers: npt.NDArray[np.float32], confirmed: npt.NDArray[np.bool_], now: float
    ) -> npt.NDArray[np.bool_]:
        """Which of these are to be believed without a second witness.

        Args:
            flickers: `(n, 4)`, what flickers now.
            confirmed: `(n,)`, which of them the network sees now.
            now: `time.monotonic()` of the frame.
        """
        known = (now - self._last <= PAUSE_S) & (now >= self._last)
        began, since = self._began[known], self._since[known]
        last, lately = self._last[known], self._confirmed[known]
        same = overlap_of_smaller(flickers, began) >= SHARED
        seen_at = np.where(same, lately, -np.inf).max(axis=1, initial=-np.inf)
        seen_at[confirmed] = now
        goes_on, resting = same.any(axis=1), ~same.any(axis=0)
        begun, where = np.full(len(flickers), now), flickers.copy()
        if goes_on.any():
            first = np.where(same[goes_on], since, np.inf).argmin(axis=1)
            # What walks on leaves where it began, and so begins anew.
            begun[goes_on], where[goes_on] = since[first], began[first]
        self._began = np.concatenate((where, began[resting]))
        self._since = np.concatenate((begun, since[resting]))
        self._last = np.concatenate((np.full(len(flickers), now), last[resting]))
        self._confirmed = np.concatenate((seen_at, lately[resting]))
        lasting: npt.NDArray[np.bool_] = (now - begun >= LASTING_S) | (now - seen_at <= CONFIRMED_S)
        return lasting


def same_place(seen: Detections, moving: Detections) -> npt.NDArray[np.bool_]:
    """`(N, M)`: which of them mean the same thing in the same place."""
    same: npt.NDArray[np.bool_] = overlap_of_smaller(seen.xyxy, moving.xyxy) >= SHARED
    same &= seen.class_id[:, None] == moving.class_id[None]
    return same


def heard_together(seen: Detections, moving: Detections) -> Detections:
    """Join two witnesses with the labels of this stage, surest first.

    Args:
        seen: by a network. Kept, and believed more where `moving` confirms it; smoke that it does not confirm, less.
        moving: kept where the network saw nothing.
    """
    same = same_place(seen, moving)
    support = np.where(same, moving.confidence[None], 0.0).max(axis=1, initial=0.0)
    doubtful = (seen.class_id == SMOKE) & ~same.any(axis=1)
    raised = (1 - (1 - seen.confidence) * (1 - support)) * np.where(doubtful, SMOKE_ALONE, 1.0)
    alone = ~same.any(axis=0)
    confidence = np.concatenate((raised, moving.confidence[alone])).astype(np.float32)
    joined = Detections(
        np.concatenate((seen.xyxy, moving.xyxy[alone])),
        confidence,
        np.concatenate((seen.class_id, moving.class_id[alone])),
        LABELS,
    )
    return joined[np.argsort(-confidence, kind="stable")]


def _relabelled(found: Detections) -> Detections:
    if found.labels == LABELS:
        return found
    places = np.array([LABELS.index(name) for name in found.names()], np.int32)
    return Detections(found.xyxy, found.confidence, places, LABELS)
