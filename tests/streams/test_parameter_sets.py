"""Sequence parameter sets: sizes that were written are read again, and no bytes from the network do any harm."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.bench.cameras.h264 import Bits, Encoder, nal
from aihub.streams.parameter_sets import PictureFormat, picture_format

SIDE = st.integers(1, 1000).map(lambda half: 2 * half)


def h265_sps(
    width: int, height: int, *, layers: int = 0, chroma: int = 1, depth: int = 8, cut: int = 0
) -> bytes:
    """As an encoder writes it (H.265 7.3.2.2), up to what is read."""
    bits = Bits().put(0, 4).put(layers, 3).put(1, 1)
    bits.put(1, 8).put(0x60000000, 32).put(0, 48).put(93, 8)  # profile, compatibility, constraints, level
    for layer in range(layers):
        bits.flags(layer % 2, 1)
    if layers:
        bits.put(0, 2 * (8 - layers))
    for layer in range(layers):
        bits.put(1, 88 * (layer % 2)).put(60, 8)
    bits.ue(0, chroma)
    if chroma == 3:
        bits.flags(0)
    bits.ue(width, height)
    if cut:
        bits.flags(1).ue(0, cut, 0, cut)
    else:
        bits.flags(0)
    bits.ue(depth - 8, depth - 8, 4)
    return bytes((33 << 1, 1)) + nal(1, bits.stop().aligned())[1:]


@given(width=SIDE, height=SIDE)
@settings(max_examples=60, deadline=None)
def test_size_of_h264_is_what_the_encoder_was_asked_for(width: int, height: int) -> None:
    sps = Encoder(width, height).parameter_sets[0]
    assert picture_format("H264", sps) == PictureFormat(width, height)


@given(
    width=SIDE,
    height=SIDE,
    layers=st.integers(0, 6),
    chroma=st.integers(0, 3),
    depth=st.sampled_from([8, 10, 12]),
)
def test_size_of_h265_is_what_was_written(
    width: int, height: int, layers: int, chroma: int, depth: int
) -> None:
    sps = h265_sps(width, height, layers=layers, chroma=chroma, depth=depth)
    assert picture_format("H265", sps) == PictureFormat(width, height, chroma, depth)


def test_what_is_cut_off_is_not_shown() -> None:
    assert picture_format("H265", h265_sps(1920, 1088, cut=4)) == PictureFormat(1912, 1080)


def test_high_profile_with_scaling_lists_and_fields() -> None:
    bits = Bits().put(100, 8).put(0, 8).put(40, 8).ue(0, 1, 0, 0).flags(0, 1)  # 4:2:0, 8 bits, scaling
    bits.flags(1).se(4)
    for _ in range(15):
        bits.se(0)  # one list of 16, written out
    bits.flags(*[0] * 7)
    bits.ue(0, 1).flags(0).se(-1).se(2).ue(2).se(3).se(-4)  # order of pictures: kind 1
    bits.ue(4).flags(0).ue(119, 33).flags(0, 1, 1).flags(1).ue(0, 0, 0, 2)  # fields, 4 rows of each cut off
    assert picture_format("H264", nal(7, bits.stop().aligned())) == PictureFormat(1920, 1080)


REFUSED = [
    ("nothing", b""),
    ("a header alone", b"\x67"),
    ("cut in the middle", Encoder(640, 360).parameter_sets[0][:6]),
    ("zeros, a code that never ends", b"\x67" + bytes(200)),
    ("a megabyte", b"\x67" + b"\xff" * 1_000_000),
    ("64 x 65536 pixels", h265_sps(64, 65536)),
    ("more is cut off than there is", h265_sps(64, 64, cut=40)),
    ("20 bits a sample", h265_sps(64, 64, depth=20)),
]


@pytest.mark.parametrize("unit", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
@pytest.mark.parametrize("codec", ["H264", "H265"])
def test_what_makes_no_sense_is_none(codec: str, unit: bytes) -> None:
    assert picture_format(codec, unit) is None


@given(codec=st.sampled_from(["H264", "H265"]), unit=st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_bytes_raise_or_take_long(codec: str, unit: bytes) -> None:
    started = time.perf_counter()
    found = picture_format(codec, unit)
    assert found is None or (0 < found.width <= 16384 and 0 < found.height <= 16384)
    assert time.perf_counter() - started < 5
