"""Alarms against what was really shown: which were due, which came, which came twice, which for nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

Sent = tuple[int, float]
"""A picture that a camera sent: its index in the clip, and when, epoch seconds."""
Spell = tuple[float, float]
"""From when to when, epoch seconds."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Something that was shown in one go.

    Attributes:
        camera: that showed it.
        key: what it was; empty where any alarm of the camera is meant.
        times: when each picture with it was sent, epoch seconds, rising.
        due: whether an alarm must come. Where it need not (too short, or amid a fault), it may.
    """

    camera: str
    key: str
    times: tuple[float, ...]
    due: bool = True

    @property
    def begin(self) -> float:
        """When it was first seen."""
        return self.times[0]

    @property
    def end(self) -> float:
        """When it was last seen."""
        return self.times[-1]


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm as it arrived.

    Attributes:
        camera: whose.
        key: for what.
        id: of the event.
        at: when it was received, epoch seconds.
    """

    camera: str
    key: str
    id: str
    at: float


@dataclass(slots=True)
class Matched:
    """Alarms set beside what was shown. Every alarm is in exactly one of `hits`, `duplicates` and `false`.

    Attributes:
        hits: what was shown, due or not, and the first alarm for it.
        missed: what was due and brought none.
        duplicates: further alarms for what had one.
        false: alarms for nothing that was shown.
    """

    hits: list[tuple[Shown, Raised]] = field(default_factory=list)
    missed: list[Shown] = field(default_factory=list)
    duplicates: list[Raised] = field(default_factory=list)
    false: list[Raised] = field(default_factory=list)

    @property
    def due(self) -> int:
        """How many alarms had to come."""
        return len(self.missed) + sum(shown.due for shown, _ in self.hits)

    @property
    def recall(self) -> float:
        """Share of the due alarms that came; 1 if none was due."""
        return 1.0 - len(self.missed) / self.due if self.due else 1.0

    @property
    def precision(self) -> float:
        """Share of the alarms, duplicates aside, that were for something; 1 if none came."""
        every = len(self.hits) + len(self.false)
        return len(self.hits) / every if every else 1.0

    def of(self, camera: str) -> Matched:
        """The part of one camera."""
        return Matched(
            [hit for hit in self.hits if hit[0].camera == camera],
            [shown for shown in self.missed if shown.camera == camera],
            [alarm for alarm in self.duplicates if alarm.camera == camera],
            [alarm for alarm in self.false if alarm.camera == camera],
        )

    def __str__(self) -> str:
        return (
            f"{self.due} due, {len(self.hits)} came, {len(self.missed)} missed, {len(self.false)} false, "
            f"{len(self.duplicates)} duplicates"
        )


def shown_by(
    camera: str,
    sent: Sequence[Sent],
    key_of: Callable[[int], str],
    *,
    faults: Sequence[Spell] = (),
    least_s: float,
    recover_s: float = 0.0,
    pause_s: float = 1.0,
) -> list[Shown]:
    """What a camera showed, by what it sent.

    An alarm is due for what was shown for `least_s` in one go while nothing was wrong with the camera and nothing had been
    for `recover_s`.

    Args:
        camera: its name.
        sent: its pictures, in the order of time.
        key_of: what the picture of an index shows; empty for nothing.
        faults: when something was wrong.
        least_s: seconds.
        recover_s: seconds that the hub has to recover from a fault.
        pause_s: seconds without a picture that end what was shown.
    """
    runs: list[tuple[str, list[float]]] = []
    before, last = "", float("-inf")
    for index, at in sent:
        key = key_of(index)
        if key:
            if key != before or at - last > pause_s:
                runs.append((key, []))
            runs[-1][1].append(at)
        before, last = key, at
    unwell = [(begin, end + recover_s) for begin, end in faults]
    return [
        Shown(camera, key, tuple(times), due=_longest(times, unwell, pause_s) >= least_s)
        for key, times in runs
    ]


def _longest(times: Sequence[float], unwell: Sequence[Spell], pause_s: float) -> float:
    """Longest stretch without a pause and outside all spells; below 0 where there is no picture outside."""
    well = [at for at in times if not any(begin <= at <= end for begin, end in unwell)]
    longest, begin = -1.0, well[0] if well else 0.0
    for at, after in pairwise([*well, float("inf")]):
        longest = max(longest, at - begin)
        # What lies between two pictures may have been unwell although both are not.
        if after - at > pause_s or any(at < end and after > start for start, end in unwell):
            begin = after
    return longest


def remembered(shown: Sequence[Shown], memory_s: float) -> list[Shown]:
    """Shown again within so many seconds is shown still: an event reopens, it does not begin anew.

    Args:
        shown: of any cameras.
        memory_s: `close_after` and `cooldown` of the event together.
    """
    joined: list[Shown] = []
    newest: dict[tuple[str, str], int] = {}
    for one in sorted(shown, key=lambda one: one.begin):
        name = (one.camera, one.key)
        at = newest.get(name)
        if at is not None and one.begin - joined[at].end <= memory_s:
            joined[at] = replace(
                joined[at], times=joined[at].times + one.times, due=joined[at].due or one.due
            )
        else:
            newest[name] = len(joined)
            joined.append(one)
    return joined


def match(shown: Sequence[Shown], raised: Sequence[Raised], *, late_s: float = 10.0) -> Matched:
    """Set alarms beside what was shown.

    An alarm belongs to what its camera showed of its key, from its first picture until `late_s` after its last; to
    the earliest that has none yet.

    Args:
        shown: what one event is expected for each; see `remembered`.
        raised: each event once, when it was first received.
        late_s: an alarm that comes later is for nothing.
    """
    result, first = Matched(), dict[int, Raised]()
    places = sorted(range(len(shown)), key=lambda place: shown[place].begin)
    for alarm in sorted(raised, key=lambda alarm: alarm.at):
        able = [
            place
            for place in places
            if shown[place].camera == alarm.camera
            and shown[place].key in ("", alarm.key)
            and shown[place].begin <= alarm.at <= shown[place].end + late_s
        ]
        free = [place for place in able if place not in first]
        if free:
            first[free[0]] = alarm
        else:
            (result.duplicates if able else result.false).append(alarm)
    result.hits = [(shown[place], first[place]) for place in places if place in first]
    result.missed = [shown[place] for place in places if place not in first and shown[place].due]
    return result
