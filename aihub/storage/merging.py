"""How a new step in an event's life joins what is stored.

Two hands write to an event: the analysis, which counts revisions by itself, and people, who acknowledge while the
condition still holds. So the stored revision is given here, dense from 1, and the analysis need not know of people.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from aihub.errors import ConflictError
from aihub.types import Event, EventState

DESK = "desk"
"""Key in `Event.data` of what people did: `{"state", "actor", "at"}`."""

_STEPS = {EventState.ACKNOWLEDGED: 1, EventState.DISPATCHED: 2, EventState.RESOLVED: 3}


@dataclass(frozen=True, slots=True)
class Current:
    """The row of an event: `event` as people see it; what of the analysis is in it."""

    event: Event
    source_revision: int
    source_time: float


def digest(event: Event) -> str:
    """Fingerprint of a transition as it was handed in, so that handing it in again is recognised.

    The evidence is left out: a second hand-over may come before the picture was kept, or after.
    """
    return hashlib.blake2b(event.model_dump_json(exclude={"snapshot"}).encode(), digest_size=16).hexdigest()


def merge(current: Current | None, incoming: Event) -> tuple[Event, Current]:
    """Join a transition of the analysis to the row.

    - The transition gets the next revision, and keeps the evidence picture and the desk's note where it brings none.
    - The row shows a person's progress for as long as it stands: an event that was acknowledged stays so when it is
      updated or closed (`ended_at` tells that it is over). When a resolved event comes back, it is open again.
    - A transition that is older than the row (it comes late from another host's journal) is stored, the row stays.

    Returns:
        The transition to store, the row to store.
    """
    if current is None:
        first = incoming.model_copy(update={"revision": 1})
        return first, Current(first, incoming.revision, incoming.updated_at)
    old = current.event
    data = incoming.data
    if DESK in old.data:
        data = data | {DESK: old.data[DESK]}
    step = incoming.model_copy(
        update={"revision": old.revision + 1, "snapshot": incoming.snapshot or old.snapshot, "data": data}
    )
    stamp = (incoming.revision, incoming.updated_at)
    if stamp <= (current.source_revision, current.source_time):
        return step, Current(
            old.model_copy(update={"revision": step.revision}), current.source_revision, current.source_time
        )
    return step, Current(step.model_copy(update={"state": _state(old, step)}), *stamp)


def advance(current: Current, state: EventState, actor: str, at: float) -> Current | None:
    """A person's step. None when the event is there already.

    Raises:
        ConflictError: it would be a step back, or `state` is none that a person sets.
    """
    old = current.event
    if state not in _STEPS:
        raise ConflictError(f"{state.value} is not for people to set", field="state")
    if old.state is state:
        return None
    if _STEPS.get(old.state, 0) > _STEPS[state]:
        raise ConflictError(f"event {old.id} is {old.state.value}: it cannot go back to {state.value}")
    note = {"state": state.value, "actor": actor, "at": at}
    changes = {
        "revision": old.revision + 1,
        "state": state,
        "updated_at": at,
        "data": old.data | {DESK: note},
    }
    return Current(old.model_copy(update=changes), current.source_revision, current.source_time)


def _state(old: Event, step: Event) -> EventState:
    reopened = old.ended_at is not None and step.ended_at is None
    if old.state in _STEPS and not (old.state is EventState.RESOLVED and reopened):
        return old.state
    return step.state
