"""From conditions that hold on frames to events with a life. Pure: no clock, no input or output, time is passed in.

A condition is known by (stream, task, key). Its life:

    seen for `min_duration`      -> opened     gaps shorter than `close_after` are tolerated
    still seen                   -> updated    every `update_every`; sooner when it is seen much more clearly
    unseen for `close_after`     -> closed     `ended_at` is when it was last seen
    seen again within `cooldown` -> updated    the same event, `ended_at` None again: what flickers is one event
    seen again later             -> opened     a new event

What is decided depends on the times of frames, never on how many there are or on when `tick` is called.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from aihub.events.adoption import WAITING, claimed, waiting_name
from aihub.telemetry import EVENTS_SUPPRESSED
from aihub.types import Event, EventSpec, EventState, Observation, uuid7

UPDATE_FLOOR_S = 1.0
"""No two updates of an event are closer than this, whatever changes."""

CLEARER = 0.1
"""So much more confidence than was last told is worth an update of its own."""

MAX_KEYS = 1024
"""Conditions of one task that are followed at once."""

ORPHANED_S = 60.0
"""Restored events whose task does not come back are closed after this; so is what was seen on one frame only."""

_CLOCK_JUMP_S = 60.0


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose observations these are: one task on one stream.

    Attributes:
        models: model name -> sha256 of the weights that see for it.
    """

    stream_id: str
    tenant: str
    task_id: str
    algorithm: str
    algorithm_version: int
    spec: EventSpec
    models: Mapping[str, str] = field(default_factory=dict)


class _Phase(Enum):
    FORMING = auto()  # seen, not yet for `min_duration`
    OPEN = auto()
    COOLING = auto()  # closed, may reopen


@dataclass(slots=True)
class _Life:
    phase: _Phase
    since: float  # when the present run of sightings began
    seen_at: float  # when it was last seen
    counts_from: float  # where the time unseen counts from; later than seen_at only after a restart
    closed_at: float = 0.0
    told_at: float = 0.0
    event: Event | None = None  # as last told
    best: Observation | None = None  # clearest sight since the event opened
    last: Observation | None = None


@dataclass(slots=True)
class _Watch:
    subject: Subject
    clock: float  # time of its newest frame
    gap: float = math.inf  # between the last two frames
    interval: float = math.inf  # between frames, one long gap left aside
    lives: dict[str, _Life] = field(default_factory=dict)

    @property
    def patience(self) -> float:
        """Seconds unseen after which a condition is over. One missing frame is no proof, however slow the stream."""
        if math.isinf(self.interval):
            return max(self.subject.spec.close_after, ORPHANED_S)
        return max(self.subject.spec.close_after, 2 * self.interval)

    def advance(self, frame_time: float) -> None:
        """A frame of that time came."""
        if self.clock - frame_time > _CLOCK_JUMP_S:
            _shift(self, frame_time - self.clock)
        gap = frame_time - self.clock
        if gap > 0:
            self.interval, self.gap, self.clock = min(gap, self.gap), gap, frame_time


@dataclass(slots=True)
class _Orphans:
    since: float | None = None  # the first tick that saw them
    events: dict[str, Event] = field(default_factory=dict)


class EventBook:
    """The lives of all conditions that a process follows. Thread-safe."""

    def __init__(self) -> None:
        self._watches: dict[tuple[str, str], _Watch] = {}
        self._restored: dict[tuple[str, str], _Orphans] = {}
        self._lock = threading.Lock()

    def restore(self, events: Iterable[Event]) -> None:
        """Go on with events of an earlier process, so that a restart neither doubles nor ends them.

        The time in which nobody looked does not count as unseen, unless it was longer than any gap that the event may
        have (`update_every` + `close_after` + `cooldown`).

        Args:
            events: those that are open, and if wanted those closed lately, so that they can reopen.
        """
        with self._lock:
            for event in events:
                lives = self._restored.setdefault((event.stream_id, event.task_id), _Orphans()).events
                known = lives.get(event.key)
                if known is None or known.updated_at < event.updated_at:
                    lives[event.key] = event

    def observe(
        self, subject: Subject, observations: Sequence[Observation], frame_time: float
    ) -> list[Event]:
        """Take in one analysed frame of one task.

        Args:
            subject: whose frame.
            observations: the conditions that hold on it; none is news too.
            frame_time: when it was captured, epoch seconds.

        Returns:
            What happened, in order.
        """
        with self._lock:
            watch = self._watch(subject, frame_time)
            now = watch.clock
            told = _end_unseen(watch, now)
            for seen in observations:
                life = watch.lives.get(seen.key) or _go_on(watch, seen)
                if life is None:
                    life = _begin(watch, seen.key, now)
                    if life is None:
                        EVENTS_SUPPRESSED.labels(subject.algorithm).inc()
                        continue
                told += _sight(subject, life, seen, now)
            return told

    def tick(self, now: float) -> list[Event]:
        """Close what nobody looks at any more: a dead camera's events end too. Call about once a second.

        Tasks whose frames come in are left to `observe`, which knows their time better.

        Args:
            now: epoch seconds.
        """
        told: list[Event] = []
        with self._lock:
            for identity, orphans in list(self._restored.items()):
                if orphans.since is None:
                    orphans.since = now
                elif now - orphans.since >= ORPHANED_S:
                    told += _end_orphans(self._restored.pop(identity), now)
            for watch in self._watches.values():
                if watch.clock - now > _CLOCK_JUMP_S:
                    _shift(watch, now - watch.clock)
                if now - watch.clock >= watch.patience:
                    told += _end_unseen(watch, now)
        return told

    def forget(self, stream_id: str, task_ids: Collection[str] | None, now: float) -> list[Event]:
        """End tasks that were removed, all of the stream with None; their open events close.

        Args:
            stream_id: whose tasks.
            task_ids: which; None for all.
            now: epoch seconds.
        """
        told: list[Event] = []
        with self._lock:
            for identity in [key for key in self._watches if _chosen(key, stream_id, task_ids)]:
                watch = self._watches.pop(identity)
                lives = watch.lives.values()
                told += [_close(life, now) for life in lives if life.phase is _Phase.OPEN]
            for identity in [key for key in self._restored if _chosen(key, stream_id, task_ids)]:
                told += _end_orphans(self._restored.pop(identity), now)
        return told

    def drop(self, stream_id: str) -> None:
        """Let go of a stream that another host holds now: its events go on there, so nothing is closed."""
        with self._lock:
            for identity in [key for key in self._watches if key[0] == stream_id]:
                del self._watches[identity]
            for identity in [key for key in self._restored if key[0] == stream_id]:
                del self._restored[identity]

    def open_count(self) -> int:
        """Open events now."""
        with self._lock:
            lives = [life for watch in self._watches.values() for life in watch.lives.values()]
            return sum(life.phase is _Phase.OPEN for life in lives)

    def __len__(self) -> int:
        """Conditions followed now, whatever their phase."""
        with self._lock:
            return sum(len(watch.lives) for watch in self._watches.values())

    def _watch(self, subject: Subject, frame_time: float) -> _Watch:
        identity = (subject.stream_id, subject.task_id)
        watch = self._watches.get(identity)
        if watch is None:
            watch = self._watches[identity] = _Watch(subject, frame_time)
            for event in self._restored.pop(identity, _Orphans()).events.values():
                watch.lives[waiting_name(event)] = _revived(event, subject.spec, frame_time)
        watch.subject = subject
        watch.advance(frame_time)
        return watch


def _chosen(identity: tuple[str, str], stream_id: str, task_ids: Collection[str] | None) -> bool:
    return identity[0] == stream_id and (task_ids is None or identity[1] in task_ids)


def _go_on(watch: _Watch, seen: Observation) -> _Life | None:
    """The life of an earlier process that this sight continues, from now on under the key of today."""
    waiting = {
        name: life.event for name, life in watch.lives.items() if name.startswith(WAITING) and life.event
    }
    name = claimed(waiting, seen) if waiting else None
    if name is None:
        return None
    life = watch.lives[seen.key] = watch.lives.pop(name)
    return life


def _begin(watch: _Watch, key: str, now: float) -> _Life | None:
    if len(watch.lives) >= MAX_KEYS:
        # What is closed can only save an id; what is open or forming is an alarm.
        idle = [name for name, life in watch.lives.items() if life.phase is _Phase.COOLING]
        if not idle:
            return None
        del watch.lives[min(idle, key=lambda name: watch.lives[name].closed_at)]
    life = watch.lives[key] = _Life(_Phase.FORMING, since=now, seen_at=now, counts_from=now)
    return life


def _sight(subject: Subject, life: _Life, seen: Observation, now: float) -> list[Event]:
    if life.phase is _Phase.COOLING:
        life.phase, life.since = _Phase.FORMING, now
    life.seen_at = life.counts_from = now
    life.last = seen
    if life.best is None or seen.confidence > life.best.confidence:
        life.best = seen
    if life.phase is _Phase.OPEN:
        return [_tell(life, now)] if _worth_telling(subject.spec, life, now) else []
    if now - life.since < subject.spec.min_duration:
        return []
    life.phase = _Phase.OPEN
    if life.event is not None:
        return [_tell(life, now)]
    life.event, life.told_at = _opened(subject, life, seen, now), now
    return [life.event]


def _worth_telling(spec: EventSpec, life: _Life, now: float) -> bool:
    event, best = life.event, life.best
    if event is None or best is None:
        return False
    waited = now - life.told_at
    gain = best.confidence - event.confidence
    clearer = gain >= CLEARER or (gain > 0 and best.label != event.label)
    return waited >= spec.update_every or (waited >= UPDATE_FLOOR_S and clearer)


def _opened(subject: Subject, life: _Life, seen: Observation, now: float) -> Event:
    best = life.best or seen
    return Event(
        id=uuid7(now),
        revision=1,
        state=EventState.OPENED,
        type=subject.spec.type,
        severity=subject.spec.severity,
        stream_id=subject.stream_id,
        tenant=subject.tenant,
        task_id=subject.task_id,
        algorithm=subject.algorithm,
        algorithm_version=subject.algorithm_version,
        key=seen.key,
        label=best.label,
        confidence=best.confidence,
        box=seen.box,
        started_at=life.since,
        updated_at=now,
        data=dict(seen.data),
        models=dict(subject.models),
    )


def _tell(life: _Life, now: float) -> Event:
    """An update of an open event; of a closed one it is the reopening."""
    event, best, last = life.event, life.best, life.last
    assert event is not None  # noqa: S101 - only called for lives that have been told of
    # Without the picture of an earlier step, which an event that was restored still has: the box would not fit it.
    changes: dict[str, Any] = {
        "state": EventState.UPDATED, "updated_at": now, "ended_at": None, "snapshot": None,
    }  # fmt: skip
    if best is not None and last is not None:
        changes |= {"box": last.box, "data": dict(last.data)}
        if best.confidence > event.confidence:
            changes |= {"confidence": best.confidence, "label": best.label}
    life.told_at = now
    life.event = event.model_copy(update=changes | {"revision": event.revision + 1})
    return life.event


def _ended(event: Event, ended_at: float, at: float) -> Event:
    return event.model_copy(
        update={
            "revision": event.revision + 1,
            "state": EventState.CLOSED,
            "updated_at": max(at, event.updated_at),
            "ended_at": max(ended_at, event.started_at),
        }
    )


def _close(life: _Life, at: float) -> Event:
    assert life.event is not None  # noqa: S101 - an open life has an event
    life.phase, life.closed_at = _Phase.COOLING, at
    life.event = _ended(life.event, life.seen_at, at)
    return life.event


def _end_unseen(watch: _Watch, now: float) -> list[Event]:
    """Close, forget and cool whatever was not seen for long enough at `now`."""
    patience, cooldown, told = watch.patience, watch.subject.spec.cooldown, []
    for key, life in list(watch.lives.items()):
        limit = life.counts_from + patience
        if life.phase is not _Phase.COOLING and now >= limit:
            if life.phase is _Phase.OPEN:
                told.append(_close(life, limit))
            elif life.event is not None:
                life.phase = _Phase.COOLING  # it came back, but not for long enough
            else:
                del watch.lives[key]
                continue
        if life.phase is _Phase.COOLING and now - life.closed_at > cooldown:
            del watch.lives[key]
    return told


def _revived(event: Event, spec: EventSpec, now: float) -> _Life:
    if event.ended_at is not None:
        life = _Life(_Phase.COOLING, event.ended_at, event.ended_at, event.ended_at, event=event)
        return replace(life, closed_at=event.updated_at)
    longest = spec.update_every + spec.close_after + spec.cooldown
    looked_away = now - event.updated_at <= longest
    counts_from = now if looked_away else event.updated_at
    life = _Life(_Phase.OPEN, event.started_at, event.updated_at, counts_from, event=event)
    return replace(life, told_at=event.updated_at)


def _end_orphans(orphans: _Orphans, now: float) -> list[Event]:
    """Restored events whose task did not come back: it is gone, or its camera is dead."""
    standing = [event for event in orphans.events.values() if event.ended_at is None]
    return [_ended(event, event.updated_at, now) for event in standing]


def _shift(watch: _Watch, by: float) -> None:
    """The clock was set back: what was measured by the old one moves along, so that intervals stay what they were."""
    watch.clock += by
    for life in watch.lives.values():
        life.since += by
        life.seen_at += by
        life.counts_from += by
        life.closed_at += by
        life.told_at += by
