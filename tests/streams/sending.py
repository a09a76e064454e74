"""The other end of the receiver: a camera that cuts pictures into packets, and a session that hands them over."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from aihub.errors import ConnectError
from aihub.streams.depacketise import H264, Codec


class Sender:
    """Numbers packets as a camera does."""

    def __init__(self, codec: Codec = H264, number: int = 65530) -> None:
        self.codec, self.number, self.stamp = codec, number, 1000

    def packet(self, payload: bytes, *, last: bool = False, ssrc: int = 7) -> bytes:
        head = struct.pack("!BBHII", 0x80, 96 | 128 * last, self.number & 0xFFFF, self.stamp, ssrc)
        self.number += 1
        return head + payload

    def fragments(self, unit: bytes, size: int) -> list[bytes]:
        head, body = unit[: self.codec.head], unit[self.codec.head :]
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        kind = self.codec.kind(unit)
        if self.codec is H264:
            front = bytes((head[0] & 0xE0 | 28,))
        else:
            front = bytes((head[0] & 0x81 | 49 << 1, head[1]))
        ends = len(pieces) - 1
        return [
            front + bytes((128 * (i == 0) | 64 * (i == ends) | kind,)) + piece
            for i, piece in enumerate(pieces)
        ]

    def together(self, units: list[bytes]) -> bytes:
        front = b"\x78" if self.codec is H264 else b"\x60\x01"
        return front + b"".join(struct.pack("!H", len(unit)) + unit for unit in units)

    def picture(self, units: list[bytes], size: int = 1400) -> list[bytes]:
        """Small units together, large ones in pieces, as most cameras do."""
        payloads: list[bytes] = []
        for unit in units:
            payloads += self.fragments(unit, size) if len(unit) > size else [unit]
        packets = [self.packet(payload, last=i == len(payloads) - 1) for i, payload in enumerate(payloads)]
        self.stamp += 3600
        return packets


class GivenSession:
    """A session whose packets are known beforehand: a list of packets is one delivery, None a time-out, an error is
    raised. At the end the connection is lost."""

    def __init__(self, deliveries: Iterable[list[bytes] | BaseException | None]) -> None:
        self._deliveries = iter(deliveries)
        self.delivered = 0
        self.closed = False

    def packets(self, deadline: float) -> list[bytes]:
        delivery = next(self._deliveries, ConnectError("the connection was lost"))
        if isinstance(delivery, BaseException):
            raise delivery
        if delivery is None:
            return []
        self.delivered += 1
        return delivery

    def close(self) -> None:
        self.closed = True
