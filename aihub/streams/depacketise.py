"""RTP packets to coded pictures: RFC 6184 (H.264) and RFC 7798 (H.265), with what was lost on the way noticed.

Handled are single units, aggregations (STAP-A, AP) and fragments (FU-A, FU), that is, all of the modes in which
cameras send over TCP. Interleaved packetisation, which changes the order of units, is not: no camera that is asked for
packetisation in order uses it.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field

LARGEST_UNIT = 8 * 1024 * 1024
"""Most bytes of one coded picture; larger ones are dropped."""

_MOST_PARTS = 4096
_MOST_FRAGMENTS = 65536
_REORDER = 128
_HEADER = struct.Struct("!BBHII")
_RECOVERY_POINT = 6
START_CODE = b"\x00\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class Codec:
    """What tells the NAL units of a codec apart.

    Attributes:
        name: H264 or H265.
        head: bytes of a NAL unit's header.
        sets: types of parameter sets, in the order in which a decoder needs them.
        sps: type of the sequence parameter set, which has the picture's size.
        delimiter: an access unit delimiter with start code; its type is `aud`.
        keys: types of slices of pictures at which decoding can start.
        most_slice: slices have types from `least_slice` to this.
    """

    name: str
    head: int
    sets: tuple[int, ...]
    sps: int
    delimiter: bytes
    aud: int
    keys: frozenset[int]
    least_slice: int
    most_slice: int

    def kind(self, unit: bytes) -> int:
        """Type of a NAL unit."""
        return unit[0] & 31 if self.head == 1 else unit[0] >> 1 & 63

    def is_slice(self, kind: int) -> bool:
        """Whether units of this type are a part of a picture."""
        return self.least_slice <= kind <= self.most_slice

    def is_first(self, unit: bytes) -> bool:
        """Whether a slice is the first of its picture (first_mb_in_slice = 0, first_slice_segment_in_pic_flag)."""
        return len(unit) > self.head and unit[self.head] & 0x80 != 0


H264 = Codec("H264", 1, (7, 8), 7, START_CODE + b"\x09\xf0", 9, frozenset({5}), 1, 5)
H265 = Codec("H265", 2, (32, 33, 34), 33, START_CODE + b"\x46\x01\x50", 35, frozenset(range(16, 22)), 0, 31)
CODECS = {codec.name: codec for codec in (H264, H265)}


@dataclass(slots=True)
class AccessUnit:
    """One coded picture with what belongs to it.

    Attributes:
        codec: how to read it.
        units: NAL units without start codes; delimiters are left out.
        broken: something inside was lost.
        after_loss: something before it was lost.
        has_sets: whether there are parameter sets among the units.
    """

    codec: Codec
    units: list[bytes] = field(default_factory=list)
    broken: bool = False
    after_loss: bool = False
    has_sets: bool = False

    @property
    def is_key(self) -> bool:
        """Whether it is a whole picture that needs no other."""
        codec = self.codec
        slices = [unit for unit in self.units if codec.is_slice(codec.kind(unit))]
        return bool(slices) and codec.is_first(slices[0]) and codec.kind(slices[0]) in codec.keys

    @property
    def is_entry(self) -> bool:
        """Whether decoding can start here. Some cameras never send a key picture again; they mark such places."""
        if self.is_key:
            return True
        if self.codec is not H264:
            return False
        slices = [unit for unit in self.units if H264.is_slice(H264.kind(unit))]
        if not slices or not H264.is_first(slices[0]):
            return False
        if any(H264.kind(unit) == 6 and _says_recovery(unit) for unit in self.units):
            return True
        # first_mb_in_slice 0, then slice_type 7: every slice is I; 2: this one is.
        start = slices[0][1]
        return start == 0x88 or (start & 0xF0 == 0xB0 and len(slices) == 1)


def _says_recovery(unit: bytes) -> bool:
    """Whether supplemental information holds a recovery point (H.264 D.1)."""
    at, end = 1, len(unit) - 1
    while at < end:
        kind = size = 0
        while at < end and unit[at] == 255:
            kind, at = kind + 255, at + 1
        kind, at = kind + unit[at], at + 1
        if kind == _RECOVERY_POINT:
            return True
        while at < end and unit[at] == 255:
            size, at = size + 255, at + 1
        if at >= end:
            return False
        at += 1 + size + unit[at]
    return False


class Depacketiser:
    """Puts packets together to coded pictures.

    A picture is whole as soon as its marker bit is seen, so that it need not wait for the next one. Cameras that set the
    bit elsewhere are found out and read by their timestamps.

    Attributes:
        ready: whole pictures, oldest first; whoever pushes packets takes them out after every few.
        lost: gaps in the numbers of the packets.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._aggregate, self._fragment = (24, 28) if codec is H264 else (48, 49)
        self._expected = -1
        self._ssrc = -1
        self._stamp = -1
        self._current = AccessUnit(codec)
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._has_slice = False
        self._by_marker = True
        self.ready: deque[AccessUnit] = deque()
        self.lost = 0

    def push(self, packet: bytes) -> None:
        """Take one RTP packet."""
        size = len(packet)
        if size < 12:
            return
        first, second, number, stamp, ssrc = _HEADER.unpack_from(packet)
        if first >> 6 != 2:
            return
        if number == self._expected and ssrc == self._ssrc:
            self._expected = (number + 1) & 0xFFFF
        elif not self._in_order(number, ssrc):
            return
        if stamp != self._stamp:
            self._finish()
            self._stamp = stamp
        if first == 0x80 and self._pieces and self._more(packet, size):
            if second & 0x80 and self._by_marker:
                self._finish()
            return
        start = 12 + 4 * (first & 15)
        if first & 0x10 and start + 4 <= size:
            start += 4 + 4 * (packet[start + 2] << 8 | packet[start + 3])
        stop = size - packet[size - 1] if first & 0x20 else size
        if stop > start + self._codec.head:
            self._payload(packet[start:stop])
        elif stop > start or start > size:
            self._current.broken = True
        if second & 0x80 and self._by_marker:
            self._finish()

    def _more(self, packet: bytes, size: int) -> bool:
        """Take the middle of a fragmented unit, which nearly all packets of a large picture are; False if it is not."""
        at = 12 + self._codec.head
        if size <= at + 1 or packet[at] & 0xC0 or self._bytes >= LARGEST_UNIT:
            return False
        kind = packet[12] & 31 if self._codec is H264 else packet[12] >> 1 & 63
        if kind != self._fragment:
            return False
        self._pieces.append(packet[at + 1 :])
        self._bytes += size
        return True

    def _in_order(self, number: int, ssrc: int) -> bool:
        """Note what is missing before this packet; False for one that was there already."""
        if self._expected >= 0:
            if ssrc == self._ssrc and 0 < (self._expected - number) & 0xFFFF <= _REORDER:
                return False
            self.lost += 1
            self._lose()
        self._ssrc = ssrc
        self._expected = (number + 1) & 0xFFFF
        return True

    def _lose(self) -> None:
        """Something is missing here: in the picture that has begun, or before the next."""
        if self._current.units or self._pieces:
            self._current.broken = True
        else:
            self._current.after_loss = True

    def _payload(self, payload: bytes) -> None:
        kind = payload[0] & 31 if self._codec is H264 else payload[0] >> 1 & 63
        if kind == self._fragment:
            self._piece(payload)
        elif kind == self._aggregate:
            self._several(payload)
        elif kind < self._aggregate:
            self._unit(payload)
        else:
            self._current.broken = True

    def _several(self, payload: bytes) -> None:
        at, end = self._codec.head, len(payload)
        while at + 2 < end:
            size = payload[at] << 8 | payload[at + 1]
            at += 2
            if at + size > end:
                self._current.broken = True
                return
            if size > self._codec.head:
                self._unit(payload[at : at + size])
            at += size

    def _piece(self, payload: bytes) -> None:
        head = self._codec.head
        flags = payload[head]
        if flags & 0x80:
            if self._pieces:
                self._current.broken = True
            if head == 1:
                restored = bytes((payload[0] & 0xE0 | flags & 31,))
            else:
                restored = bytes((payload[0] & 0x81 | (flags & 63) << 1, payload[1]))
            self._pieces = [restored]
        elif not self._pieces:
            self._current.broken = True
            return
        self._bytes += len(payload)
        if self._bytes > LARGEST_UNIT or len(self._pieces) > _MOST_FRAGMENTS:
            self._overflow()
            return
        self._pieces.append(payload[head + 1 :])
        if flags & 0x40:
            whole, self._pieces = b"".join(self._pieces), []
            self._bytes -= len(whole)
            if len(whole) > head:
                self._unit(whole)

    def _unit(self, unit: bytes) -> None:
        codec = self._codec
        kind = codec.kind(unit)
        if kind == codec.aud:
            return
        self._bytes += len(unit)
        if self._bytes > LARGEST_UNIT or len(self._current.units) >= _MOST_PARTS:
            self._overflow()
            return
        if codec.is_slice(kind):
            if not self._has_slice and not codec.is_first(unit):
                # The start of this picture is lost, or was taken for a picture of its own at a marker.
                if not (self._current.broken or self._current.after_loss):
                    self._by_marker = False
                self._current.broken = True
            self._has_slice = True
        elif kind in codec.sets:
            self._current.has_sets = True
        self._current.units.append(unit)

    def _overflow(self) -> None:
        self._current.units.clear()
        self._pieces = []
        self._bytes = 0
        self._current.broken = True

    def _finish(self) -> None:
        """Hand over the picture that has begun, if one has; parameter sets wait for theirs."""
        current = self._current
        if self._pieces:
            self._pieces = []
            current.broken = True
        if not self._has_slice and not current.broken:
            return
        self.ready.append(current)
        self._current = AccessUnit(self._codec)
        self._bytes = 0
        self._has_slice = False
