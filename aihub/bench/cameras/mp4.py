"""Reads the video track of an MP4 file: what the coded pictures are, where they lie, when they are due.

Only the index (`moov`) is read here; pictures stay in the file. Every size and count is checked against the box it stands
in and against a bound, so a broken or hostile file is an `InputError`, never a crash or an endless loop.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from aihub.errors import InputError, UnsupportedTypeError

CLOCK = 90_000
MAX_INDEX_BYTES = 64 * 1024 * 1024
MAX_SAMPLES = 4_000_000
MAX_SECONDS = 30 * 86_400
MAX_SAMPLE_BYTES = 32 * 1024 * 1024
_CODECS = {b"avc1": "H264", b"avc3": "H264", b"hvc1": "H265", b"hev1": "H265"}
_VISUAL_ENTRY = 78
"""Bytes of a VisualSampleEntry before its boxes (ISO/IEC 14496-12, 12.1.3)."""

Table = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """The video track of a file, in decoding order. All arrays have one entry a picture.

    Attributes:
        codec: "H264" or "H265".
        width: columns, pixels.
        height: rows, pixels.
        parameter_sets: NAL units that a decoder needs first (VPS for H.265, SPS, PPS).
        length_size: bytes before each NAL unit of a picture that hold its length, 1..4.
        offsets: place of the picture in the file, bytes.
        sizes: bytes of the picture.
        steps: time to the next picture in decoding order, 1/90000 s, >= 0.
        ahead: time by which it is shown after it is decoded, 1/90000 s, >= 0; all 0 without B pictures.
        keys: whether decoding can start here.
    """

    codec: str
    width: int
    height: int
    parameter_sets: tuple[bytes, ...]
    length_size: int
    offsets: Table
    sizes: Table
    steps: Table
    ahead: Table
    keys: npt.NDArray[np.bool_]

    @property
    def fps(self) -> float:
        """Mean frames a second; 0 when the file gives no times."""
        total = int(self.steps.sum())
        return len(self.steps) * CLOCK / total if total else 0.0


class _Box:
    """Part of the index: a view with checked access."""

    __slots__ = ("data",)

    def __init__(self, data: memoryview) -> None:
        self.data = data

    def children(self, skip: int = 0) -> Iterator[tuple[bytes, _Box]]:
        """The boxes inside, in order.

        Raises:
            InputError: a size points outside.
        """
        at, end = skip, len(self.data)
        while at + 8 <= end:
            size, kind = struct.unpack_from(">I4s", self.data, at)
            head = 8
            if size == 1:
                if at + 16 > end:
                    raise InputError("MP4: a box ends inside its header")
                size, head = struct.unpack_from(">Q", self.data, at + 8)[0], 16
            elif size == 0:
                size = end - at
            if size < head or size > end - at:
                raise InputError(f"MP4: box {kind!r} has the impossible size {size}")
            yield kind, _Box(self.data[at + head : at + size])
            at += size

    def find(self, *path: bytes) -> _Box | None:
        """The first box at the path, or none."""
        box: _Box | None = self
        for name in path:
            box = next((child for kind, child in box.children() if kind == name), None) if box else None
        return box

    def need(self, *path: bytes) -> _Box:
        """The first box at the path.

        Raises:
            InputError: there is none.
        """
        box = self.find(*path)
        if box is None:
            raise InputError(f"MP4: no box {'/'.join(name.decode() for name in path)}")
        return box

    def unpack(self, form: str, at: int) -> tuple[Any, ...]:
        """`struct.unpack_from` that raises `InputError` past the end."""
        try:
            return struct.unpack_from(form, self.data, at)
        except struct.error as error:
            raise InputError(f"MP4: a box is too short: {error}") from None

    def table(self, form: str, at: int = 4) -> npt.NDArray[np.void]:
        """The counted records of a full box as a structured array with fields f0, f1...

        Args:
            form: NumPy types of a record, as "u4,u4".
            at: where the count stands.
        """
        (count,) = self.unpack(">I", at)
        kind = np.dtype([(f"f{i}", f">{one}") for i, one in enumerate(form.split(","))])
        if count > MAX_SAMPLES or count * kind.itemsize > len(self.data) - at - 4:
            raise InputError(f"MP4: a table of {count} entries does not fit its box")
        return np.frombuffer(self.data, kind, count, at + 4)


def read_track(path: Path) -> Track:
    """Read the index of the first video track.

    Args:
        path: an MP4, M4V or MOV file.

    Raises:
        InputError: it is not such a file, or broken.
        UnsupportedTypeError: it is one, but fragmented, or its video is neither H.264 nor H.265.
    """
    with path.open("rb") as file:
        index, size = _index(file)
    for kind, trak in _Box(memoryview(index)).children():
        if kind == b"trak" and trak.need(b"mdia", b"hdlr").unpack(">8x4s", 0)[0] == b"vide":
            return _track(trak, size)
    raise UnsupportedTypeError("MP4: the file has no video track")


def _index(file: BinaryIO) -> tuple[bytes, int]:
    """The content of `moov`, and the size of the file."""
    size = file.seek(0, 2)
    at = 0
    for _ in range(10_000):
        if at + 8 > size:
            break
        file.seek(at)
        head = file.read(16)
        length, kind = struct.unpack_from(">I4s", head)
        skip = 8
        if at == 0 and kind not in {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp"}:
            raise InputError("not an MP4 file")
        if length == 1 and len(head) == 16:
            length, skip = struct.unpack_from(">Q", head, 8)[0], 16
        elif length == 0:
            length = size - at
        if length < skip or length > size - at:
            raise InputError(f"MP4: box {kind!r} has the impossible size {length}: is the file complete?")
        if kind == b"moov":
            if length > MAX_INDEX_BYTES:
                raise InputError(f"MP4: an index of {length} bytes is too large")
            file.seek(at + skip)
            return file.read(length - skip), size
        at += length
    raise InputError("MP4: no index (moov): is the file complete?")


def _track(trak: _Box, file_size: int) -> Track:
    table = trak.need(b"mdia", b"minf", b"stbl")
    codec, width, height, sets, length_size = _description(table.need(b"stsd"))
    sizes = _sizes(table.need(b"stsz"))
    if not len(sizes):
        raise UnsupportedTypeError("MP4: a fragmented file has no table of pictures")
    offsets = _offsets(table, sizes)
    # The offset is compared alone: added to the size it could wrap around.
    if int(sizes.max()) > MAX_SAMPLE_BYTES or np.any(offsets > file_size - sizes) or offsets.min() < 0:
        raise InputError("MP4: pictures lie outside of the file")
    header = trak.need(b"mdia", b"mdhd")
    (scale,) = header.unpack(">I", 20 if header.unpack("B", 0)[0] == 1 else 12)
    if not scale:
        raise InputError("MP4: the time scale is 0")
    steps, ahead = _times(table, len(sizes), scale)
    keys = np.ones(len(sizes), bool)
    if sync := table.find(b"stss"):
        numbers = sync.table("u4")["f0"].astype(np.int64) - 1
        keys[:] = False
        keys[numbers[(numbers >= 0) & (numbers < len(sizes))]] = True
    if not keys.any():
        raise InputError("MP4: no picture can be decoded by itself")
    return Track(codec, width, height, sets, length_size, offsets, sizes, steps, ahead, keys)


def _description(box: _Box) -> tuple[str, int, int, tuple[bytes, ...], int]:
    kind, entry = next(box.children(skip=8), (b"", box))
    codec = _CODECS.get(kind)
    if codec is None:
        raise UnsupportedTypeError(f"MP4: video of type {kind.decode('latin-1')!r}, not H.264 or H.265")
    width, height = entry.unpack(">HH", 24)
    name = b"avcC" if codec == "H264" else b"hvcC"
    config = next((child for one, child in entry.children(skip=_VISUAL_ENTRY) if one == name), None)
    if config is None or not width or not height:
        raise InputError("MP4: the video is not described")
    sets, length_size = (_avcc if codec == "H264" else _hvcc)(config)
    return codec, width, height, sets, length_size


def _nals(box: _Box, at: int, count: int) -> tuple[list[bytes], int]:
    found = []
    for _ in range(count):
        (size,) = box.unpack(">H", at)
        unit = bytes(box.data[at + 2 : at + 2 + size])
        if len(unit) != size or not size:
            raise InputError("MP4: a parameter set is cut off")
        found.append(unit)
        at += 2 + size
    return found, at


def _avcc(box: _Box) -> tuple[tuple[bytes, ...], int]:
    (lengths,) = box.unpack("B", 4)
    (count,) = box.unpack("B", 5)
    sequence, at = _nals(box, 6, count & 31)
    (count,) = box.unpack("B", at)
    picture, _ = _nals(box, at + 1, count)
    return (*sequence, *picture), (lengths & 3) + 1


def _hvcc(box: _Box) -> tuple[tuple[bytes, ...], int]:
    lengths, arrays = box.unpack("BB", 21)
    found: list[bytes] = []
    at = 23
    for _ in range(arrays):
        kind, count = box.unpack(">BH", at)
        units, at = _nals(box, at + 3, count)
        if kind & 63 in {32, 33, 34}:
            found += units
    return tuple(found), (lengths & 3) + 1


def _sizes(box: _Box) -> Table:
    (same, count) = box.unpack(">II", 4)
    if count > MAX_SAMPLES:
        raise InputError(f"MP4: {count} pictures are too many")
    if same:
        return np.full(count, same, np.int64)
    return np.asarray(box.table("u4", at=8)["f0"].astype(np.int64))


def _offsets(table: _Box, sizes: Table) -> Table:
    """Place of every picture: chunks begin at `stco`, pictures follow each other inside a chunk."""
    wide = table.find(b"co64")
    chunks = wide.table("u8") if wide else table.need(b"stco").table("u4")
    starts = chunks["f0"].astype(np.int64)
    runs = table.need(b"stsc").table("u4,u4,u4")
    first = runs["f0"].astype(np.int64) - 1
    held = runs["f1"].astype(np.int64)
    if not len(first) or first[0] != 0 or np.any(np.diff(first) <= 0) or first[-1] >= max(len(starts), 1):
        raise InputError("MP4: the table of chunks is broken")
    per_chunk = np.repeat(held, np.diff(first, append=len(starts)))
    if int(per_chunk.sum()) < len(sizes) or int(per_chunk.max()) > MAX_SAMPLES:
        raise InputError("MP4: chunks hold fewer pictures than there are")
    begins = np.concatenate(([0], np.cumsum(per_chunk)))[:-1]
    owner = np.searchsorted(begins, np.arange(len(sizes)), side="right") - 1
    before = np.concatenate(([0], np.cumsum(sizes)))
    return np.asarray(starts[owner] + before[:-1] - before[begins[owner]], np.int64)


def _times(table: _Box, count: int, scale: int) -> tuple[Table, Table]:
    """Steps and shown-after-decoded times, 1/90000 s. Both are rounded on the timeline, so errors do not add up."""
    steps = _expand(table.need(b"stts").table("u4,u4"), count)
    begins = np.concatenate(([0], np.cumsum(steps)))
    if begins[-1] > scale * MAX_SECONDS:
        raise InputError("MP4: the video is too long")
    times = np.round(begins * (CLOCK / scale)).astype(np.int64)
    late = np.zeros(count, np.int64)
    if offsets := table.find(b"ctts"):
        late = _expand(offsets.table("u4,i4"), count)
    shown = np.round((begins[:-1] + late) * (CLOCK / scale)).astype(np.int64)
    ahead = shown - times[:-1]
    return np.diff(times), np.asarray(ahead - ahead.min(), np.int64)


def _expand(runs: npt.NDArray[np.void], count: int) -> Table:
    """Runs of (count, value) as one value a picture; the last value fills up."""
    many, values = runs["f0"].astype(np.int64), runs["f1"].astype(np.int64)
    if not len(many):
        raise InputError("MP4: a table of times is empty")
    total = int(many.sum())
    if total > 2 * MAX_SAMPLES:
        raise InputError("MP4: a table of times is too long")
    full = np.repeat(values, many)[:count]
    fill = np.full(count - len(full), values[-1], np.int64)
    return np.concatenate((full, fill))
