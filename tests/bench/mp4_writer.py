"""Writes small MP4 files with every layout the reader must know."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aihub.bench.cameras import h264


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, *content: bytes, version: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24), *content)


def table(kind: bytes, form: str, rows: Sequence[tuple[int, ...]], *, version: int = 0) -> bytes:
    packed = b"".join(struct.pack(f">{form}", *row) for row in rows)
    return full(kind, struct.pack(">I", len(rows)), packed, version=version)


def drawn_samples(count: int, *, key_every: int = 5) -> tuple[tuple[bytes, ...], list[bytes]]:
    """Parameter sets, and the slices of `count` pictures of 64x48 with a grey that tells their number."""
    encoder = h264.Encoder(64, 48)
    nals = []
    for number in range(count):
        image = np.full((48, 64, 3), 20 + 8 * number, np.uint8)
        nals.append(encoder.encode(image, key=number % key_every == 0).nal)
    return encoder.parameter_sets, nals


@dataclass
class Mp4:
    """What to write; `file` gives the bytes."""

    sets: tuple[bytes, ...]
    nals: list[bytes]
    scale: int = 1000
    step: int = 100
    late: list[int] | None = None
    chunks: tuple[int, ...] = ()
    wide_offsets: bool = False
    keys: list[int] | None = None
    length_size: int = 4
    entry: bytes = b"avc1"
    index_first: bool = False
    wide_boxes: bool = False
    track_version: int = 0

    def samples(self) -> list[bytes]:
        return [len(nal).to_bytes(self.length_size, "big") + nal for nal in self.nals]

    def file(self) -> bytes:
        head = box(b"ftyp", b"isom\0\0\0\0isomavc1")
        data = b"".join(self.samples())
        if not self.index_first:
            return head + self._mdat(data) + self._moov(len(head) + self._mdat_head())
        size = len(self._moov(0))
        return head + self._moov(len(head) + size + self._mdat_head()) + self._mdat(data)

    def _mdat_head(self) -> int:
        return 16 if self.wide_boxes else 8

    def _mdat(self, data: bytes) -> bytes:
        if self.wide_boxes:
            return struct.pack(">I4sQ", 1, b"mdat", 16 + len(data)) + data
        return box(b"mdat", data)

    def _moov(self, begin: int) -> bytes:
        sizes = [len(sample) for sample in self.samples()]
        chunks = self.chunks or (len(sizes),)
        edges = np.concatenate(([0], np.cumsum(chunks)))[:-1]
        starts = [begin + sum(sizes[: int(edge)]) for edge in edges]
        runs: list[tuple[int, int, int]] = []
        for number, held in enumerate(chunks, 1):
            if not runs or runs[-1][1] != held:
                runs.append((number, held, 1))
        parts = [
            self._stsd(),
            table(b"stts", "II", [(len(sizes), self.step)]),
            table(b"stsc", "III", runs),
            full(b"stsz", struct.pack(">II", 0, len(sizes)), *(struct.pack(">I", size) for size in sizes)),
            table(b"co64", "Q", [(one,) for one in starts])
            if self.wide_offsets
            else table(b"stco", "I", [(one,) for one in starts]),
        ]
        if self.late is not None:
            parts.append(table(b"ctts", "Ii", [(1, one) for one in self.late], version=1))
        if self.keys is not None:
            parts.append(table(b"stss", "I", [(key + 1,) for key in self.keys]))
        return box(b"moov", self._sound(), self._trak(box(b"stbl", *parts)))

    def _sound(self) -> bytes:
        """A sound track before the video's: to be passed over."""
        return box(b"trak", box(b"mdia", full(b"hdlr", b"\0\0\0\0soun", bytes(13))))

    def _trak(self, stbl: bytes) -> bytes:
        times = (
            struct.pack(">QQIQ", 0, 0, self.scale, 0)
            if self.track_version
            else struct.pack(">IIII", 0, 0, self.scale, 0)
        )
        header = full(b"mdhd", times, bytes(4), version=self.track_version)
        handler = full(b"hdlr", b"\0\0\0\0vide", bytes(13))
        return box(b"trak", box(b"mdia", header, handler, box(b"minf", stbl)))

    def _stsd(self) -> bytes:
        sequence, picture = self.sets
        config = bytes((1, *sequence[1:4], 0xFC | self.length_size - 1, 0xE1))
        config += (
            struct.pack(">H", len(sequence)) + sequence + b"\x01" + struct.pack(">H", len(picture)) + picture
        )
        visual = bytes(24) + struct.pack(">HH", 64, 48) + bytes(50)
        entry = box(self.entry, visual, box(b"colr", bytes(4)), box(b"avcC", config))
        return full(b"stsd", struct.pack(">I", 1), entry)
