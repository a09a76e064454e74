"""The MP4 reader: every layout of the index, real files against OpenCV's reader, and broken files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aihub.bench.cameras import mp4
from aihub.errors import InputError, UnsupportedTypeError

from .mp4_writer import Mp4, box, drawn_samples, full, table

SETS, NALS = drawn_samples(12)


def _read(path: Path, data: bytes) -> mp4.Track:
    path.write_bytes(data)
    return mp4.read_track(path)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "one chunk, every picture a key picture"),
        ({"chunks": (3, 3, 3, 3)}, "one run of equal chunks"),
        ({"chunks": (5, 5, 1, 1)}, "two runs"),
        ({"chunks": (1, 4, 2, 5)}, "every chunk another size"),
        ({"wide_offsets": True, "wide_boxes": True}, "64-bit offsets and sizes"),
        ({"index_first": True}, "index before the pictures"),
        ({"keys": [0, 5, 10]}, "a table of key pictures"),
        ({"late": [0, 300, -100, 0, 200, 100, 0, 0, 0, 100, 0, 0]}, "B pictures, negative offsets"),
        ({"length_size": 2}, "short lengths before the NAL units"),
        ({"track_version": 1}, "64-bit track times"),
        ({"scale": 30000, "step": 1001}, "NTSC rate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_layout_gives_the_same_pictures(options: dict[str, Any], why: str, tmp_path: Path) -> None:
    written = Mp4(SETS, NALS, **options)
    path = tmp_path / "clip.mp4"
    track = _read(path, written.file())
    data = path.read_bytes()
    found = [data[at : at + size] for at, size in zip(track.offsets, track.sizes, strict=True)]
    assert found == written.samples()
    assert track.parameter_sets == SETS
    assert (track.codec, track.width, track.height) == ("H264", 64, 48)
    assert track.length_size == written.length_size
    assert list(np.flatnonzero(track.keys)) == (written.keys or list(range(len(NALS))))
    assert track.fps == pytest.approx(written.scale / written.step, rel=1e-3)
    assert track.ahead.min() == 0
    late = np.array(written.late or [0] * 12)
    np.testing.assert_allclose(track.ahead, (late - late.min()) * 90000 / written.scale, atol=1)


def test_rounding_does_not_add_up(tmp_path: Path) -> None:
    written = Mp4(SETS, NALS * 40, scale=7, step=1)
    track = _read(tmp_path / "clip.mp4", written.file())
    assert abs(int(track.steps.sum()) - 480 * 90000 / 7) <= 1


@pytest.mark.media
def test_real_files_are_read_as_opencv_reads_them(media: Path) -> None:
    paths = sorted((media / "video").glob("*.mp4"))
    assert paths
    for path in paths:
        track = mp4.read_track(path)
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        assert len(track.sizes) == int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), path.name
        assert track.width == capture.get(cv2.CAP_PROP_FRAME_WIDTH), path.name
        assert track.height == capture.get(cv2.CAP_PROP_FRAME_HEIGHT), path.name
        assert track.fps == pytest.approx(capture.get(cv2.CAP_PROP_FPS), rel=1e-3), path.name


def _moov(*content: bytes) -> bytes:
    return box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", *content)


GOOD = Mp4(SETS, NALS, chunks=(3, 3, 3, 3), keys=[0, 5, 10], late=[0] * 12).file()


@pytest.mark.parametrize(
    ("data", "error", "why"),
    [
        (b"", InputError, "empty"),
        (b"not a film", InputError, "text"),
        (b"\xff\xd8\xff\xe0" + bytes(100), InputError, "a JPEG"),
        (GOOD[:-200], InputError, "cut off in the index"),
        (box(b"ftyp", b"isom") + box(b"mdat", bytes(50)), InputError, "no index"),
        (box(b"ftyp", b"isom") + b"\xff\xff\xff\xffmoov", InputError, "a box larger than the file"),
        (box(b"ftyp", b"isom") + b"\0\0\0\x04moov", InputError, "a box smaller than its header"),
        (_moov(), UnsupportedTypeError, "no track"),
        (_moov(box(b"trak", box(b"mdia"))), InputError, "a track without handler"),
        (GOOD.replace(b"avc1\0", b"mp4v\0"), UnsupportedTypeError, "another codec"),
        (GOOD.replace(b"avcC", b"xxxx"), InputError, "no decoder configuration"),
        (GOOD.replace(b"stsz", b"stzz"), InputError, "no sizes"),
        (GOOD.replace(table(b"stts", "II", [(12, 100)]), table(b"stts", "II", [])), InputError, "no times"),
        (
            GOOD.replace(table(b"stts", "II", [(12, 100)])[:16], full(b"stts", b"\xff\xff\xff\xff")),
            InputError,
            "a huge table",
        ),
        (Mp4(SETS, NALS, scale=0).file(), InputError, "time scale 0"),
        (Mp4(SETS, NALS, keys=[]).file(), InputError, "no key picture"),
        (Mp4(SETS, NALS, step=0xFFFFFFFF, scale=1).file(), InputError, "a film of centuries"),
        (Mp4(SETS, []).file(), InputError, "no pictures: fragmented"),
        (
            Mp4(SETS, NALS, wide_offsets=True, chunks=(1,) * 12).file()[:-8] + b"\x7f" + b"\xff" * 7,
            InputError,
            "a place so far out that adding a size wraps around",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_broken_files_are_input_errors(
    data: bytes, error: type[InputError], why: str, tmp_path: Path
) -> None:
    assert data != GOOD
    with pytest.raises(error):
        _read(tmp_path / "broken.mp4", data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    damage=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(0, 40),
)
def test_damaged_files_are_read_or_refused_never_worse(
    damage: list[tuple[int, int]], cut: int, tmp_path: Path
) -> None:
    data = bytearray(GOOD)
    index = GOOD.index(b"moov") - 4
    for place, value in damage:
        data[index + place % (len(GOOD) - index)] = value
    try:
        track = _read(tmp_path / "damaged.mp4", bytes(data[: len(data) - cut]))
    except InputError:
        return
    size = len(data) - cut
    assert np.all(track.offsets >= 0)
    assert np.all(track.offsets + track.sizes <= size)
    assert np.all(track.steps >= 0)
    assert np.all(track.ahead >= 0)
    assert track.keys.any()
