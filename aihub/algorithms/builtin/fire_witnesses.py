"""Stage `fire-witnesses`: what looks like fire or smoke to a network, and what moves like it, heard together.

The two err on different things: the network on lamps, sunsets and orange vests, which do not flicker; flicker on what sways and
blinks, which does not look like flames. So where both point at the same place they are believed more than either. Flames either
may tell of alone; of smoke the network alone is believed by half.
"""

from __future__ import annotations

import numpy as np

from aihub.algorithms.base import Stage, StageError
from aihub.algorithms.builtin.fire import LABELS, STILL_MOST, FireFlicker, FireFlickerParams
from aihub.types import AnyResult, Detections, Frame, Predictor
from aihub.types.geometry import overlap_of_smaller

SMOKE_ALONE = 0.5
"""How much of its confidence the network keeps for smoke that nothing else confirms: on an hour of ten clips without fire it
took a blank wall and an empty road for smoke, with up to 0.87, and on none of them anything for fire."""

SHARED = 0.3
"""Part of the smaller of two boxes that must lie in the other for both to mean the same place."""


class FireWitnesses(Stage[FireFlickerParams]):
    """Detections labelled `fire` and `smoke`. Follows `detect` with a model that has these labels."""

    name = "fire-witnesses"
    stateful = True

    def __init__(self, params: FireFlickerParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._flicker = FireFlicker(params, predictor)

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
        return heard_together(seen, moving)


def heard_together(seen: Detections, moving: Detections) -> Detections:
    """Join two witnesses with the labels of this stage, surest first.

    Args:
        seen: by a network. Kept, and believed more where `moving` confirms it; smoke that it does not confirm, less.
        moving: kept where the network saw nothing.
    """
    same = overlap_of_smaller(seen.xyxy, moving.xyxy) >= SHARED
    same &= seen.class_id[:, None] == moving.class_id[None]
    support = np.where(same, moving.confidence[None], 0.0).max(axis=1, initial=0.0)
    doubtful = (seen.class_id == LABELS.index("smoke")) & ~same.any(axis=1)
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
