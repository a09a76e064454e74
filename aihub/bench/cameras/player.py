"""One client's playing of one camera: which picture, when, and with which fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aihub.bench.cameras.clip import Clip, Unit
from aihub.bench.cameras.faults import Corrupt, Damage, Drop, Fault, Freeze, Jump, Slow
from aihub.bench.cameras.rtp import Lane
from aihub.bench.cameras.wire import Sink

OnSent = Callable[[str, int, float], None]
"""Told the camera's name, the clip's unit that was shown and when it was handed to the network, epoch seconds."""

REPORT_EVERY_S = 4.0
_LATE_S = 2.0
_EARLY_S = 0.0005
_RETRY_S = 0.02
_AT_ONCE = 256


@dataclass(slots=True)
class Counts:
    """What a camera has done since the server started.

    Attributes:
        plays: PLAY requests served.
        units_sent: pictures handed to the network, over all clients.
        units_dropped: pictures a slow client lost.
        bytes_sent: coded bytes in the pictures sent.
        packets_hit: packets damaged or lost by a fault.
        slips: times a client's timeline was moved because the server was more than two seconds late.
    """

    plays: int = 0
    units_sent: int = 0
    units_dropped: int = 0
    bytes_sent: int = 0
    packets_hit: int = 0
    slips: int = 0


@dataclass(slots=True, eq=False)
class Camera:
    """A name, what it plays and what is wrong with it.

    Attributes:
        name: path of its address, "cam1".
        clip: what it plays; may be shared with other cameras.
        repeat: start again at the end.
        fault: what is wrong, if anything.
        fault_since: loop time at which it began.
        counts: what it has done.
        players: its clients.
        on_sent: told of every picture sent; on the server's thread.
    """

    name: str
    clip: Clip
    repeat: bool = True
    fault: Fault | None = None
    fault_since: float = 0.0
    counts: Counts = field(default_factory=Counts)
    players: set[Player] = field(default_factory=set)
    on_sent: OnSent | None = None

    @property
    def clock_off_s(self) -> float:
        """How far its clock is off, seconds."""
        return self.fault.seconds if isinstance(self.fault, Jump) else 0.0


class Player:
    """Sends a camera's pictures to one client when they are due.

    The client's timeline (`_time`, ticks since it first played) only grows, whatever happens to the place in the clip.

    Args:
        loop: the loop all calls come from.
        camera: what to play.
        sink: where to.
        on_end: called when a clip that does not repeat is over.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        camera: Camera,
        sink: Sink,
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._camera = camera
        self._sink = sink
        self._on_end = on_end
        self.lane = Lane.fresh(camera.clip.payload_type, camera.clip.clock)
        self._index = 0
        self._time = 0
        self._shown = 0
        self._anchor = 0.0
        self._reported = 0.0
        self._stills = 0
        self._seam = False
        self._lost_key = False
        self._damage: Damage | None = None
        self._timer: asyncio.Handle | None = None

    @property
    def playing(self) -> bool:
        """Whether it sends."""
        return self._timer is not None

    def play(self, start: float | None) -> tuple[int, int, float]:
        """Start, go on or jump.

        Args:
            start: where in the clip, seconds; none goes on where it was.

        Returns:
            Sequence number and timestamp of the first packet, and the place in the clip, seconds.
        """
        clip = self._camera.clip
        if start is not None:
            if clip.ticks:
                start %= clip.ticks / clip.clock
            self._index = clip.key_before(clip.at(start))
            self._seam = self._time > 0
        if clip.count is not None and self._index >= clip.count:
            self._index, self._seam = 0, self._time > 0
        self.fault_changed(None)
        self._anchor = self._loop.time() - self._time / clip.clock
        self._reported = 0.0
        first = clip.unit(self._index)
        if first and self._seam:
            self._close_seam(first)
        self._schedule(0.0)
        self._camera.players.add(self)
        self._camera.counts.plays += 1
        stamp = self.lane.timestamp(self._time + (first.ahead if first else 0))
        return self.lane.sequence, stamp, clip.begins(self._index)

    def pause(self) -> None:
        """Stop sending; `play` goes on from here."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._camera.players.discard(self)

    def close(self, *, farewell: bool = True) -> None:
        """Stop for good and close the sink."""
        if self.playing and farewell:
            self._sink.control(self.lane.goodbye())
        self.pause()
        self._sink.close()

    def fault_changed(self, before: Fault | None) -> None:
        """The camera's fault is another one than `before`."""
        fault = self._camera.fault
        self._damage = Damage(fault) if isinstance(fault, Corrupt) else None
        self._stills = 0
        if isinstance(fault, Freeze):
            self._seam = self._time > 0
        elif isinstance(before, Freeze | Drop):
            self._index = self._camera.clip.key_after(self._index)
            self._seam, self._lost_key = True, False
        if self._timer:
            self._schedule(0.0)

    def _schedule(self, delay: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = (
            self._loop.call_later(delay, self._step) if delay > 0 else self._loop.call_soon(self._step)
        )

    def _step(self) -> None:
        """Send all that is due, then sleep until the next is."""
        clock = self._camera.clip.clock
        for _ in range(_AT_ONCE):
            unit = self._upcoming()
            if unit is None:
                if self._timer:
                    self._schedule(_RETRY_S)
                return
            if self._seam:
                self._close_seam(unit)
            now, due = self._loop.time(), self._due(self._time / clock)
            if due > now + _EARLY_S:
                self._timer = self._loop.call_at(due, self._step)
                return
            if now - due > _LATE_S:
                self._anchor += now - due
                self._camera.counts.slips += 1
            self._emit(unit, now)
            self._time += unit.step
            if isinstance(self._camera.fault, Freeze):
                self._stills += 1
            else:
                self._index += 1
        self._schedule(0.0)

    def _due(self, seconds: float) -> float:
        due = self._anchor + seconds
        fault = self._camera.fault
        if isinstance(fault, Slow) and due > self._camera.fault_since:
            return self._camera.fault_since + fault.delayed(due - self._camera.fault_since)
        return due

    def _upcoming(self) -> Unit | None:
        """The unit to send next; none while it is not ready, and at the end."""
        clip = self._camera.clip
        if isinstance(self._camera.fault, Freeze):
            return clip.still(self._index, self._stills)
        if clip.count is not None and self._index >= clip.count:
            if not self._camera.repeat:
                self._sink.control(self.lane.goodbye())
                self.pause()
                self._on_end()
                return None
            self._index = 0
        return clip.unit(self._index)

    def _close_seam(self, unit: Unit) -> None:
        """Move the timeline on so that a unit that does not follow the one before is shown after all before it."""
        self._seam = False
        self._time = max(self._time, self._shown + unit.step - unit.ahead)

    def _emit(self, unit: Unit, now: float) -> None:
        camera = self._camera
        if isinstance(camera.fault, Drop):
            return
        if self._lost_key and not unit.key:
            self._skip(unit)
            return
        if not self._reported or now - self._reported >= REPORT_EVERY_S:
            self._report(now)
        shown = self._time + unit.ahead
        hit = self._damage.hit if self._damage else 0
        stamped = shown + round(camera.clock_off_s * camera.clip.clock)
        if not self._sink.send(self.lane, unit, stamped, self._damage):
            self._skip(unit)
            return
        self._lost_key = False
        self._shown = max(self._shown, shown)
        camera.counts.units_sent += 1
        camera.counts.bytes_sent += unit.size
        if self._damage:
            camera.counts.packets_hit += self._damage.hit - hit
        if camera.on_sent is not None:
            still = isinstance(camera.fault, Freeze)
            camera.on_sent(
                camera.name, camera.clip.key_before(self._index) if still else self._index, time.time()
            )

    def _skip(self, unit: Unit) -> None:
        """The client has no room: it gets nothing until the next picture it can decode by itself."""
        self._lost_key = True
        self.lane.skip(len(unit.pieces))
        self._camera.counts.units_dropped += 1

    def _report(self, now: float) -> None:
        clip, off = self._camera.clip, self._camera.clock_off_s
        self._reported = now
        ticks = (now - self._anchor + off) * clip.clock + clip.reorder
        self._sink.control(self.lane.report(time.time() + off, ticks, f"{self._camera.name}@aihub"))
