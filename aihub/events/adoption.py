"""Which restored event an observation goes on with.

Keys such as `zone` or `code/ABC` mean the same in every process. Numbers that a tracker gave (`track/12`) do not: after a
restart the same person is `track/1`, and `track/12` will be somebody else. Such events are found again by place.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aihub.types import Event, Observation
from aihub.types.geometry import box_iou

NUMBERED = ("track", "group")
"""First words of keys whose second word is a number that only its own process knows."""

SAME_PLACE_IOU = 0.3
"""Boxes that overlap at least so much are taken for the same thing, seen again after the restart."""

WAITING = "restored/"
"""Prefix under which such events wait; no rule gives keys that begin so."""


def waiting_name(event: Event) -> str:
    """The name under which a restored event waits: its key, or one that only a place can claim."""
    return f"{WAITING}{event.id}" if event.key.split("/")[0] in NUMBERED else event.key


def claimed(waiting: Mapping[str, Event], seen: Observation) -> str | None:
    """Name of the waiting event that the observation continues: same kind, same label, best overlap; None for none."""
    kind, _, number = seen.key.partition("/")
    if kind not in NUMBERED or "/" in number or seen.box is None:
        return None
    alike = {
        name: event.box
        for name, event in waiting.items()
        if event.box is not None and event.label == seen.label and event.key.split("/")[0] == kind
    }
    if not alike:
        return None
    overlap = box_iou(np.array([seen.box]), np.array(list(alike.values())))[0]
    best = int(overlap.argmax())
    return list(alike)[best] if overlap[best] >= SAME_PLACE_IOU else None
