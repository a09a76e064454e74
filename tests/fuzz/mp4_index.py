"""MP4 files that simulated cameras play: the index of their pictures."""

from __future__ import annotations

from aihub.bench.cameras.mp4 import MAX_SAMPLE_BYTES, MAX_SAMPLES, read_track
from tests.bench.mp4_writer import Mp4, drawn_samples
from tests.fuzz.files import on_disk
from tests.fuzz.law import read_or_refused

LONGEST = 8192
WORDS = (
    b"ftyp", b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"stsz", b"stts", b"stsc", b"stco", b"co64", b"ctts", b"stss", b"mdhd", b"hdlr",
    b"vide", b"avc1", b"hvc1", b"avcC", b"hvcC", b"\0\0\0\x01", b"\0\0\0\0", b"\x7f" + b"\xff" * 7, b"\xff" * 4, b"\0\x3d\x09\0",
)  # fmt: skip


def check(data: bytes) -> bool:
    """Pictures that lie inside the file and are due in order, or a refusal."""
    path = on_disk(data)
    track = read_or_refused(lambda: read_track(path), named=False)
    if track is None:
        return False
    count = len(track.sizes)
    assert 1 <= count <= MAX_SAMPLES
    assert {len(column) for column in (track.offsets, track.steps, track.ahead, track.keys)} == {count}
    assert track.keys.any()
    assert track.width >= 1
    assert track.height >= 1
    assert 0 <= int(track.sizes.min()) <= int(track.sizes.max()) <= MAX_SAMPLE_BYTES
    assert int(track.offsets.min()) >= 0
    # In Python's numbers, which do not wrap around.
    assert int(track.offsets.max()) <= len(data)
    assert int((track.offsets + track.sizes).max()) <= len(data)
    assert int(track.steps.min()) >= 0
    assert int(track.ahead.min()) >= 0
    assert 1 <= track.length_size <= 4
    return True


def seeds() -> list[bytes]:
    """Every layout that the reader must know."""
    sets, nals = drawn_samples(3)
    nals = [nal[:40] for nal in nals]
    return [
        Mp4(sets, nals).file(),
        Mp4(
            sets, nals, wide_offsets=True, chunks=(1, 2), late=[0, 100, 0], keys=[0], index_first=True
        ).file(),
        Mp4(
            sets, nals, wide_boxes=True, track_version=1, length_size=2, entry=b"avc3", chunks=(1, 1, 1)
        ).file(),
    ]
