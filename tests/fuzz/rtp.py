"""Packets of a camera's video. Input: a byte that chooses the codec, then packets, each after its length in two bytes."""

from __future__ import annotations

import struct

from aihub.streams.depacketise import CODECS, H264, H265, Codec, Depacketiser
from aihub.streams.parameter_sets import picture_format
from tests.streams.sending import Sender

LONGEST = 4096
WORDS = (
    b"\x80\xe0", b"\x80\x60", b"\x90\x60", b"\xb0\xe0", b"\x78\0", b"\x7c\x85", b"\x7c\x45", b"\x7c\x05", b"\x62\x01\x93", b"\x60\x01", b"\x65\x88",
    b"\x41\x9a", b"\x67\x42\0\x1e", b"\x68\xce", b"\x06\x06\x01", b"\x06\xff\xff", b"\x42\x01\x01", b"\x09\xf0", b"\0\0\x03",
)  # fmt: skip
_SPS = bytes.fromhex("6742c01ed900500 5ba10000003001000000303 20f162e480".replace(" ", ""))


def check(data: bytes) -> bool:
    """Pictures that hold no more bytes than were sent; what is said about them can always be asked. It never refuses."""
    codec = H265 if data[:1] and data[0] & 1 else H264
    reader = Depacketiser(codec)
    at, sent, found = 1, 0, 0
    while at + 2 <= len(data):
        size = data[at] << 8 | data[at + 1]
        packet = data[at + 2 : at + 2 + size]
        at += 2 + size
        sent += len(packet)
        before = reader.lost
        reader.push(packet)
        assert before <= reader.lost <= before + 1
        while reader.ready:
            picture = reader.ready.popleft()
            found += sum(map(len, picture.units))
            assert all(len(unit) > codec.head for unit in picture.units)
            assert picture.is_entry or not picture.is_key
            for unit in picture.units:
                _look_at_size(codec, unit)
    assert found <= sent, "pictures are made of what was sent"
    return found > 0


def _look_at_size(codec: Codec, unit: bytes) -> None:
    if codec.kind(unit) == codec.sps and (size := picture_format(codec.name, unit)):
        assert 1 <= size.width <= 16384
        assert 1 <= size.height <= 16384
        assert 0 <= size.chroma <= 3
        assert 8 <= size.depth <= 16


def seeds() -> list[bytes]:
    """Single units, aggregations and fragments of both codecs."""
    made = []
    for mark, codec in enumerate(CODECS.values()):
        sender = Sender(codec)
        key, other, sps = (
            (b"\x65\x88" + bytes(90), b"\x41\x9a\x10", _SPS)
            if codec is H264
            else (b"\x26\x01\xaf" + bytes(90), b"\x02\x01\xd0", b"\x42\x01\x01" + bytes(40))
        )
        packets = [
            sender.packet(sender.together([sps, sps[:9]])),
            *sender.picture([key], 30),
            *sender.picture([other]),
        ]
        made.append(bytes((mark,)) + b"".join(struct.pack("!H", len(packet)) + packet for packet in packets))
    return made
