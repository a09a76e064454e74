"""What a camera plays, unit by unit.

A clip is shared by all cameras and clients that play it. Its pictures are cut into packets once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from aihub.bench.cameras.rtp import PAYLOAD_TYPE, Piece

VIDEO_CLOCK = 90_000
"""Ticks a second of every video clip."""


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One coded picture (or piece of sound), cut into payloads.

    Attributes:
        pieces: payloads in order.
        key: whether decoding can start here.
        step: time to the next unit, ticks of the clip's clock.
        ahead: time by which it is shown after it is decoded, ticks.
        size: bytes.
    """

    pieces: tuple[Piece, ...]
    key: bool
    step: int
    ahead: int
    size: int


class Clip(ABC):
    """Something to play, unit by unit. `unit` is called by one thread.

    Attributes:
        name: for people.
        codec: "H264", "H265" or "PCMU".
        payload_type: RTP payload type.
        clock: ticks a second.
        width: columns, pixels; 0 for sound.
        height: rows, pixels; 0 for sound.
        fps: frames a second in force.
        parameter_sets: NAL units a decoder needs first.
        reorder: `ahead` of its units, at most; ticks.
        count: units in it; none until known.
        ticks: its length; none until known.
    """

    name: str
    codec: str = "H264"
    payload_type: int = PAYLOAD_TYPE
    clock: int = VIDEO_CLOCK
    width: int = 0
    height: int = 0
    fps: float = 0.0
    parameter_sets: tuple[bytes, ...] = ()
    reorder: int = 0
    count: int | None = None
    ticks: int | None = None

    @property
    def seconds(self) -> float | None:
        """Its length; none until known."""
        return None if self.ticks is None else self.ticks / self.clock

    @abstractmethod
    def unit(self, index: int, /) -> Unit | None:
        """The unit at `index`, 0 <= index < count; none while it is not ready yet."""

    @abstractmethod
    def key_before(self, index: int, /) -> int:
        """The last unit at or before `index` where decoding can start."""

    @abstractmethod
    def key_after(self, index: int, /) -> int:
        """The first unit at or after `index` where decoding can start; `count` or more if there is none."""

    def at(self, seconds: float) -> int:
        """The unit that is due at a time of the clip, seconds >= 0."""
        return int(seconds * self.fps)

    def begins(self, index: int) -> float:
        """When a unit is due, seconds from the clip's start."""
        return index / self.fps

    @abstractmethod
    def still(self, index: int, number: int, /) -> Unit:
        """Unit `number` (from 0) of a picture that stands still, near unit `index`."""

    def close(self) -> None:  # noqa: B027 - most clips hold nothing
        """Give up files and threads."""


class SilentClip(Clip):
    """Sound only, and nothing to hear: G.711 silence, for cameras without video."""

    codec, payload_type, clock, fps = "PCMU", 0, 8000, 50.0

    def __init__(self, name: str = "silence") -> None:
        self.name = name
        self.count = 3600 * 50
        self.ticks = self.count * 160
        self._unit = Unit(((b"", memoryview(b"\xff" * 160)),), key=True, step=160, ahead=0, size=160)

    def unit(self, _index: int, /) -> Unit:
        """Twenty milliseconds of silence."""
        return self._unit

    def key_before(self, index: int, /) -> int:
        """The index: one can start anywhere."""
        return index

    def key_after(self, index: int, /) -> int:
        """The index: one can start anywhere."""
        return index

    def still(self, _index: int, _number: int, /) -> Unit:
        """Silence."""
        return self._unit
