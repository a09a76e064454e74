"""RTP: cuts coded pictures into packets (RFC 6184, RFC 7798), and writes RTCP reports (RFC 3550).

A picture is cut once and shared by every client; what differs between clients is the header in front of each packet.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass

MTU = 1400
"""Bytes of RTP payload in a packet at most: fits Ethernet with room for tunnels."""

PAYLOAD_TYPE = 96
_FU_A = 28
_FU_HEVC = 49
_HEADER = struct.Struct(">BBHII")
_FRAMED = struct.Struct(">BBHBBHII")
_NTP_EPOCH = 2_208_988_800

Piece = tuple[bytes, memoryview]
"""One packet's payload: its own few bytes (fragment header, else empty), then a view of the coded picture."""

Buffer = bytes | memoryview


def cut(nals: Sequence[bytes], codec: str, *, mtu: int = MTU) -> tuple[Piece, ...]:
    """Cut the NAL units of one picture into payloads: whole where they fit, else in fragments.

    Args:
        nals: NAL units without start codes; empty ones are left out.
        codec: "H264" or "H265"; with any other the units are taken as whole payloads.
        mtu: bytes of payload at most, > 3.
    """
    pieces: list[Piece] = []
    for unit in nals:
        if not unit:
            continue
        if len(unit) <= mtu or codec not in _FRAGMENTERS:
            pieces.append((b"", memoryview(unit)))
        else:
            pieces += _FRAGMENTERS[codec](unit, mtu)
    return tuple(pieces)


def _fragments(unit: bytes, indicator: bytes, kind: int, skip: int, mtu: int) -> list[Piece]:
    view, room = memoryview(unit), mtu - len(indicator) - 1
    ends = range(skip, len(unit), room)
    last = len(ends) - 1
    return [
        (indicator + bytes(((i == 0) << 7 | (i == last) << 6 | kind,)), view[at : at + room])
        for i, at in enumerate(ends)
    ]


def _cut_h264(unit: bytes, mtu: int) -> list[Piece]:
    return _fragments(unit, bytes((unit[0] & 0xE0 | _FU_A,)), unit[0] & 0x1F, 1, mtu)


def _cut_h265(unit: bytes, mtu: int) -> list[Piece]:
    return _fragments(unit, bytes((unit[0] & 0x81 | _FU_HEVC << 1, unit[1])), unit[0] >> 1 & 0x3F, 2, mtu)


_FRAGMENTERS = {"H264": _cut_h264, "H265": _cut_h265}


@dataclass(slots=True)
class Lane:
    """The numbering of one RTP stream to one client.

    Attributes:
        payload_type: 0..127.
        clock: ticks of the timestamp a second.
        ssrc: 32 bits, random.
        sequence: number of the next packet, 16 bits.
        base: timestamp of tick 0, 32 bits, random.
        packets: packets written so far.
        octets: payload bytes written so far.
    """

    payload_type: int
    clock: int
    ssrc: int
    sequence: int
    base: int
    packets: int = 0
    octets: int = 0

    @classmethod
    def fresh(cls, payload_type: int, clock: int) -> Lane:
        """A lane with random numbers, as RFC 3550 wants them."""
        return cls(
            payload_type, clock, random.getrandbits(32), random.getrandbits(16), random.getrandbits(32)
        )

    def timestamp(self, ticks: float) -> int:
        """RTP timestamp of a time on the stream's clock."""
        return (self.base + round(ticks)) & 0xFFFFFFFF

    def framed(self, pieces: Sequence[Piece], ticks: int, channel: int) -> list[Buffer]:
        """Packets of a picture for an RTSP connection (RFC 2326, 10.12): headers and shared views in turn.

        Args:
            pieces: payloads of one picture; the last gets the marker.
            ticks: when it is shown, on the stream's clock.
            channel: interleaved channel, 0..255.
        """
        out: list[Buffer] = []
        stamp, last, pack = self.timestamp(ticks), len(pieces) - 1, _FRAMED.pack
        sequence, kind, ssrc, octets = self.sequence, self.payload_type, self.ssrc, 0
        for i, (lead, body) in enumerate(pieces):
            size = len(lead) + len(body)
            mark = kind | 0x80 if i == last else kind
            out += (pack(0x24, channel, 12 + size, 0x80, mark, sequence, stamp, ssrc) + lead, body)
            sequence = (sequence + 1) & 0xFFFF
            octets += size
        self._count(sequence, len(pieces), octets)
        return out

    def datagrams(self, pieces: Sequence[Piece], ticks: int) -> list[tuple[Buffer, ...]]:
        """Packets of a picture for UDP: (header, shared view) each. Arguments as for `framed`."""
        out: list[tuple[Buffer, ...]] = []
        stamp, last, octets = self.timestamp(ticks), len(pieces) - 1, 0
        for i, (lead, body) in enumerate(pieces):
            number = (self.sequence + i) & 0xFFFF
            mark = self.payload_type | 0x80 if i == last else self.payload_type
            out.append((_HEADER.pack(0x80, mark, number, stamp, self.ssrc) + lead, body))
            octets += len(lead) + len(body)
        self._count((self.sequence + len(pieces)) & 0xFFFF, len(pieces), octets)
        return out

    def _count(self, sequence: int, packets: int, octets: int) -> None:
        self.sequence = sequence
        self.packets += packets
        self.octets += octets

    def skip(self, packets: int) -> None:
        """Use up numbers of packets that are not sent, so that the client sees a gap."""
        self.sequence = (self.sequence + packets) & 0xFFFF

    def report(self, now: float, ticks: float, name: str) -> bytes:
        """A compound RTCP packet: sender report and source description.

        Args:
            now: wall clock, seconds since the epoch.
            ticks: the time on the stream's clock that is captured now.
            name: canonical name of the source, ASCII.
        """
        whole = int(now)
        sender = struct.pack(
            ">BBHIIIIII",
            0x80,
            200,
            6,
            self.ssrc,
            (whole + _NTP_EPOCH) & 0xFFFFFFFF,
            int((now - whole) * (1 << 32)) & 0xFFFFFFFF,
            self.timestamp(ticks),
            self.packets & 0xFFFFFFFF,
            self.octets & 0xFFFFFFFF,
        )
        text = name.encode("ascii", "replace")[:255]
        item = struct.pack(">IBB", self.ssrc, 1, len(text)) + text
        item += bytes(4 - len(item) % 4)
        return sender + struct.pack(">BBH", 0x81, 202, len(item) // 4) + item

    def goodbye(self) -> bytes:
        """An RTCP packet that ends the stream."""
        return struct.pack(">BBHI", 0x81, 203, 1, self.ssrc)


def framed_control(packet: bytes, channel: int) -> bytes:
    """An RTCP packet for an RTSP connection."""
    return struct.pack(">BBH", 0x24, channel, len(packet)) + packet
