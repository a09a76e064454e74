"""Packets: what is cut can be put together, numbers go on, reports say what was sent."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.bench.cameras import sdp
from aihub.bench.cameras.rtp import Lane, cut

from .rtsp_client import Packet, pictures

NALS = st.lists(
    st.tuples(st.sampled_from([0x65, 0x41, 0x67, 0x68, 0x06]), st.binary(max_size=600)).map(
        lambda parts: bytes((parts[0],)) + parts[1]
    ),
    min_size=1,
    max_size=5,
)


@given(NALS, st.integers(4, 200))
def test_h264_pictures_can_be_put_together(nals: list[bytes], mtu: int) -> None:
    pieces = cut(nals, "H264", mtu=mtu)
    lane = Lane.fresh(96, 90000)
    packets = [Packet.read(b"".join(parts)) for parts in lane.datagrams(pieces, 0)]
    assert all(len(packet.payload) <= mtu for packet in packets)
    assert [packet.marker for packet in packets] == [False] * (len(packets) - 1) + [True]
    assert pictures(packets) == [nals]


@given(st.binary(min_size=2, max_size=900), st.integers(4, 200))
def test_h265_units_can_be_put_together(data: bytes, mtu: int) -> None:
    unit = bytes((19 << 1, 1)) + data  # IDR_W_RADL
    pieces = [lead + bytes(body) for lead, body in cut([unit], "H265", mtu=mtu)]
    assert all(len(piece) <= mtu for piece in pieces)
    if len(pieces) == 1:
        assert pieces == [unit]
        return
    # RFC 7798, 4.4.3: payload header with type 49, then S, E and the type of the unit.
    assert all(piece[0] >> 1 & 63 == 49 and piece[2] & 63 == 19 for piece in pieces)
    assert [piece[2] >> 6 for piece in pieces] == [2] + [0] * (len(pieces) - 2) + [1]
    assert unit[:2] + b"".join(piece[3:] for piece in pieces) == unit


@given(NALS)
def test_interleaved_packets_are_the_datagrams_with_their_length_in_front(nals: list[bytes]) -> None:
    pieces = cut(nals, "H264", mtu=50)
    one, two = Lane(96, 90000, 7, 65530, 9), Lane(96, 90000, 7, 65530, 9)
    framed = b"".join(one.framed(pieces, 33, 4))
    expected = b""
    for parts in two.datagrams(pieces, 33):
        data = b"".join(parts)
        expected += struct.pack(">BBH", 0x24, 4, len(data)) + data
    assert framed == expected
    assert (one.sequence, one.packets, one.octets) == (two.sequence, two.packets, two.octets)


def test_the_payload_is_shared_and_not_copied() -> None:
    unit = b"\x65" + bytes(5000)
    pieces = cut([unit], "H264")
    first, second = Lane.fresh(96, 90000), Lane.fresh(96, 90000)
    assert all(body.obj is unit for _, body in pieces)
    assert first.framed(pieces, 0, 0)[1] is second.framed(pieces, 0, 0)[1]


def test_numbers_wrap_and_a_skipped_picture_leaves_a_gap() -> None:
    lane = Lane(96, 90000, 1, 65535, 2**32 - 10)
    pieces = cut([b"\x41a", b"\x41b"], "H264")
    packets = [Packet.read(b"".join(parts)) for parts in lane.datagrams(pieces, 20)]
    assert [packet.sequence for packet in packets] == [65535, 0]
    assert {packet.timestamp for packet in packets} == {10}
    lane.skip(3)
    assert lane.sequence == 4


def test_a_report_carries_both_clocks_and_what_was_sent() -> None:
    lane = Lane(96, 90000, 0xABCD, 0, 1000)
    lane.datagrams(cut([b"\x41" + bytes(99)], "H264"), 0)
    data = lane.report(1_700_000_000.5, 90_000.0, "cam1@aihub")
    head, kind, words, ssrc, whole, part, stamp, packets, octets = struct.unpack_from(">BBHIIIIII", data)
    assert (head, kind, (words + 1) * 4, ssrc) == (0x80, 200, 28, 0xABCD)
    assert (whole, part) == (1_700_000_000 + 2_208_988_800, 1 << 31)
    assert (stamp, packets, octets) == (91_000, 1, 100)
    head, kind, words = struct.unpack_from(">BBH", data, 28)
    assert (head, kind, 28 + (words + 1) * 4) == (0x81, 202, len(data))
    assert b"\x01\x0acam1@aihub\x00" in data


@pytest.mark.parametrize("length", range(1, 9))
def test_the_source_description_ends_on_a_word_and_with_a_zero(length: int) -> None:
    data = Lane.fresh(96, 90000).report(0.0, 0, "x" * length)
    assert len(data) % 4 == 0
    assert data[-1] == 0


def test_the_description_of_h264_carries_what_a_decoder_needs() -> None:
    text = sdp.describe(
        name="cam1",
        host="127.0.0.1",
        codec="H264",
        payload_type=96,
        clock=90000,
        parameter_sets=(b"\x67\x42\xc0\x1e\xaa", b"\x68\xbb"),
        fps=12.5,
    ).decode()
    lines = text.split("\r\n")
    assert "m=video 0 RTP/AVP 96" in lines
    assert "a=rtpmap:96 H264/90000" in lines
    fmtp = "a=fmtp:96 packetization-mode=1;profile-level-id=42C01E;sprop-parameter-sets=Z0LAHqo=,aLs="
    assert fmtp in lines
    assert "a=framerate:12.500" in lines
    assert "a=range:npt=now-" in lines
    assert text.endswith("a=control:trackID=1\r\n")


def test_the_description_of_h265_names_its_sets_by_kind() -> None:
    sets = (bytes((32 << 1, 1, 5)), bytes((33 << 1, 1, 6)), bytes((34 << 1, 1, 7)))
    text = sdp.describe(
        name="cam1", host="::1", codec="H265", payload_type=96, clock=90000, parameter_sets=sets, seconds=2.5
    ).decode()
    assert "a=rtpmap:96 H265/90000" in text
    assert "sprop-vps=QAEF;sprop-sps=QgEG;sprop-pps=RAEH" in text
    assert "IN IP6 ::1" in text
    assert "a=range:npt=0-2.500" in text
